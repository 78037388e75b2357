//! What the crate promises, in tables of what is refused and properties over amounts and rates of all sizes.

#![expect(clippy::unwrap_used, reason = "clippy sees tests in test functions only, not in what they share")]

mod amounts;
mod conversions;
mod given;
mod rates;
mod registry;
