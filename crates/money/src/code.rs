//! The code of a currency, kept in place: it is in every balance, entry and quote, and is copied with them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

const LONGEST: usize = 10;

/// 2 to 10 characters of `[A-Z0-9]`, the first of them a letter. Ordered as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CurrencyCode {
    /// Filled up with zero bytes, so that the order of the arrays is that of the texts.
    bytes: [u8; LONGEST],
    length: u8,
}

/// The text is not a currency code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a currency code is 2 to 10 upper-case letters and digits, starting with a letter")]
pub struct NotACurrencyCode;

impl CurrencyCode {
    /// The one currency that must be there: rates are kept against it.
    pub const USD: Self = Self { bytes: *b"USD\0\0\0\0\0\0\0", length: 3 };

    /// Reads a code as it is written, without changing its case.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &str) -> Result<Self, NotACurrencyCode> {
        let given = text.as_bytes();
        let letters = given.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if given.len() < 2 || !letters || !given.first().is_some_and(u8::is_ascii_uppercase) {
            return Err(NotACurrencyCode);
        }
        let mut bytes = [0; LONGEST];
        bytes.get_mut(..given.len()).ok_or(NotACurrencyCode)?.copy_from_slice(given);
        let length = u8::try_from(given.len()).map_err(|_| NotACurrencyCode)?;
        Ok(Self { bytes, length })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII comes in, so that neither default is ever taken.
        let text = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl FromStr for CurrencyCode {
    type Err = NotACurrencyCode;

    fn from_str(text: &str) -> Result<Self, NotACurrencyCode> {
        Self::parse(text)
    }
}

impl fmt::Display for CurrencyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for CurrencyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for CurrencyCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CurrencyCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
