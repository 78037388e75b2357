//! Money: amounts, currencies, rates and the price of a conversion. Pure: no clock, no I/O, no floats. Everything that
//! could overflow answers `None` or an error, and the lints below let no unchecked operator in.
//!
//! An [`Amount`] is a whole number of minor units and does not know its currency; a [`Currency`] reads and writes it as
//! the decimal text of the API, exactly. A [`Rate`] says how many whole units of one currency one whole unit of another
//! is worth: an exact ratio, shown as a decimal of at most 18 significant digits. Products of both need more than 128 bits
//! and are made in 512.
//!
//! # Rounding
//!
//! **A customer's side is rounded down and the installation's side up; what is between is kept and shown.** A rate that is
//! derived ([`Rate::cross`], [`Rate::less_millionths`]) is exact, and what comes out is divided once: what is paid out is
//! rounded down, what must be paid in and a fee are rounded up. So 10.80 dollars are 10.00 euros at 1.08, and two things
//! follow. No conversion, and no chain of conversions that ends where it began, makes money: each step gives at most its
//! exact worth. And nothing is lost: with the rate before the spread, `gross = amount_out + spread + remainder` holds to
//! the minor unit ([`Conversion`]), so that each part becomes an entry in the books and the liquidity account pays exactly
//! `gross`. The part of a minor unit that is cut off to make `gross` stays in liquidity by not being paid out, as there is
//! no smaller unit to book; the remainder, which goes to rounding, is what is left of splitting `gross`. Rounding to the
//! nearest would be kinder by half a unit and could be milked by many small conversions.

#![deny(clippy::arithmetic_side_effects, clippy::wildcard_enum_match_arm, clippy::float_arithmetic)]

mod amount;
mod code;
mod conversion;
mod currency;
mod rate;
mod rate_text;
mod registry;
mod wide;

pub use amount::{Amount, NotAnAmount};
pub use code::{CurrencyCode, NotACurrencyCode};
pub use conversion::{Conversion, ConversionError, Terms};
pub use currency::{AmountError, Currency, CurrencyKind, CurrencyNetwork, NotACurrencyKind};
pub use rate::{Rate, share_ceil};
pub use rate_text::RateError;
pub use registry::{Currencies, RegistryError};
