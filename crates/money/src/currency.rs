//! A currency, and the decimal text of its amounts: what a client sends is read here once, exactly, and what a client
//! gets is written here in one canonical form.

use crate::{Amount, CurrencyCode};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest text that is read as an amount. The largest amount has 39 digits.
const LONGEST: usize = 60;

/// Whether a currency lives on a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CurrencyKind {
    Fiat,
    Crypto,
}

impl CurrencyKind {
    /// `FIAT` or `CRYPTO`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fiat => "FIAT",
            Self::Crypto => "CRYPTO",
        }
    }
}

impl fmt::Display for CurrencyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is neither kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a kind of currency is FIAT or CRYPTO")]
pub struct NotACurrencyKind;

impl FromStr for CurrencyKind {
    type Err = NotACurrencyKind;

    fn from_str(text: &str) -> Result<Self, NotACurrencyKind> {
        match text {
            "FIAT" => Ok(Self::Fiat),
            "CRYPTO" => Ok(Self::Crypto),
            _ => Err(NotACurrencyKind),
        }
    }
}

/// A network that carries a currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrencyNetwork {
    /// Such as `ethereum`.
    pub name: String,
    /// How many blocks make a payment final, the block it is in counted.
    pub confirmations: u32,
    /// The network of the sandbox, where nothing is worth anything.
    pub sandbox: bool,
}

/// A currency of this installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currency {
    pub code: CurrencyCode,
    /// For people, such as `US dollar`.
    pub name: String,
    /// Digits after the point, 0 to 18: a whole unit is 10^decimals minor units.
    pub decimals: u8,
    pub kind: CurrencyKind,
    /// None for fiat, at least one for crypto; in the order of the registry.
    pub networks: Vec<CurrencyNetwork>,
    /// How far liquidity may go below zero in a live installation; not negative.
    pub overdraft: Amount,
}

/// Why a text is not an amount of a currency. Each message is for the client who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("the amount is empty")]
    Empty,
    #[error("the amount must not have a sign")]
    Sign,
    #[error("the amount must not have an exponent")]
    Exponent,
    #[error("the amount must be a decimal number such as 100.25")]
    NotDecimal,
    #[error("the amount must have no more than {allowed} decimals")]
    TooManyDecimals {
        /// What the currency has.
        allowed: u8,
    },
    /// More than an [`Amount`] holds, or more than 60 characters.
    #[error("the amount is too large")]
    TooLarge,
    /// Only of [`Currency::parse_positive`].
    #[error("the amount must be more than zero")]
    Zero,
}

impl Currency {
    /// Reads decimal ASCII digits with at most one point, digits on both sides of it, and no more than `decimals` after
    /// it (not even zeros). Leading zeros are taken. Zero is an amount; see [`Currency::parse_positive`].
    ///
    /// # Errors
    /// As [`AmountError`] says.
    pub fn parse(&self, text: &str) -> Result<Amount, AmountError> {
        if text.is_empty() {
            return Err(AmountError::Empty);
        }
        if text.chars().nth(LONGEST).is_some() {
            return Err(AmountError::TooLarge);
        }
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if is_digits(fraction) => (whole, fraction),
            Some(_) => return Err(misspelt(text)),
            None => (text, ""),
        };
        if !is_digits(whole) {
            return Err(misspelt(text));
        }
        let missing = usize::from(self.decimals)
            .checked_sub(fraction.len())
            .ok_or(AmountError::TooManyDecimals { allowed: self.decimals })?;
        let mut digits = whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', missing));
        let minor = digits.try_fold(0_i128, |minor, digit| {
            minor.checked_mul(10)?.checked_add(i128::from(digit.checked_sub(b'0')?))
        });
        minor.map(Amount::from_minor).ok_or(AmountError::TooLarge)
    }

    /// As [`Currency::parse`], for where an amount moves money.
    ///
    /// # Errors
    /// As [`Currency::parse`], and for zero.
    pub fn parse_positive(&self, text: &str) -> Result<Amount, AmountError> {
        let amount = self.parse(text)?;
        if amount.is_positive() { Ok(amount) } else { Err(AmountError::Zero) }
    }

    /// The canonical text: `-` when negative, at least one digit before the point and exactly `decimals` after it; no
    /// point when there are none.
    #[must_use]
    pub fn format(&self, amount: Amount) -> String {
        let sign = if amount.is_negative() { "-" } else { "" };
        let minor = amount.minor().unsigned_abs();
        let decimals = usize::from(self.decimals);
        if decimals == 0 {
            return format!("{sign}{minor}");
        }
        let digits = format!("{minor:0>width$}", width = decimals.saturating_add(1));
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(decimals));
        format!("{sign}{whole}.{fraction}")
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What to tell whoever sent that: the signs and exponents of a number that is one are named.
fn misspelt(text: &str) -> AmountError {
    if text.starts_with(['-', '+']) {
        return AmountError::Sign;
    }
    let mut parts = text.splitn(2, ['e', 'E']);
    let mantissa = parts.next().unwrap_or_default();
    let numeric = mantissa.starts_with(|first: char| first.is_ascii_digit())
        && mantissa.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match parts.next() {
        Some(_) if numeric => AmountError::Exponent,
        Some(_) | None => AmountError::NotDecimal,
    }
}
