//! Digests over rows: every field with its length before it, so that two different rows never read the same.

use beem_money::Amount;
use sha2::{Digest as _, Sha256};

/// SHA-256.
pub type Hash = [u8; 32];

/// A digest under way. The first field says what is digested.
#[derive(Clone)]
pub struct Digest(Sha256);

impl Digest {
    #[must_use]
    pub fn of(what: &str) -> Self {
        Self(Sha256::new()).text(what)
    }

    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0.update(length.to_be_bytes());
        self.0.update(bytes);
        self
    }

    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    #[must_use]
    pub fn number(self, number: i64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    #[must_use]
    pub fn amount(self, amount: Amount) -> Self {
        self.bytes(&amount.minor().to_be_bytes())
    }

    #[must_use]
    pub fn optional(self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            None => self.bytes(b"-"),
            Some(bytes) => self.bytes(b"+").bytes(bytes),
        }
    }

    #[must_use]
    pub fn done(self) -> Hash {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_into_each_other() {
        let of = |a: &str, b: &str| Digest::of("x").text(a).text(b).done();
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(Digest::of("x").optional(None).done(), Digest::of("x").optional(Some(b"")).done());
    }
}
