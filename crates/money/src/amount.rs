//! An amount in minor units. It carries no currency, because it is stored beside one; what reads or writes the decimal
//! text of a client is the currency. Its own text is the plain integer that the databases hold.

use std::fmt;
use std::str::FromStr;

/// A signed number of minor units (cents, satoshi, wei). Only checked arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(i128);

impl Amount {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(i128::MAX);

    #[must_use]
    pub const fn from_minor(minor: i128) -> Self {
        Self(minor)
    }

    #[must_use]
    pub const fn minor(self) -> i128 {
        self.0
    }

    /// None when the sum does not fit.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// None when the difference does not fit.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// None for the one number whose opposite does not fit.
    #[must_use]
    pub const fn checked_neg(self) -> Option<Self> {
        match self.0.checked_neg() {
            Some(opposite) => Some(Self(opposite)),
            None => None,
        }
    }

    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }
}

/// The plain integer of minor units, as the databases hold it.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not a plain integer of minor units within 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a whole number of minor units")]
pub struct NotAnAmount;

/// Exactly what [`fmt::Display`] writes: digits, a `-` before them when negative, no `+`, no leading zeros. A row that
/// holds another spelling was not written by this house.
impl FromStr for Amount {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = match digits.as_bytes() {
            [] => false,
            [b'0'] => digits.len() == text.len(),
            [b'0', ..] => false,
            some => some.iter().all(u8::is_ascii_digit),
        };
        if !plain {
            return Err(NotAnAmount);
        }
        text.parse().map(Self).map_err(|_| NotAnAmount)
    }
}
