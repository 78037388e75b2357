//! One sealing key: 32 bytes, written in base64, never printed.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_clock::Entropy;
use beem_fault::{Fault, Result};
use std::fmt;
use zeroize::Zeroizing;

const LABEL: &[u8] = b"beem sealing key id\0";

/// Names a key without telling anything about it: hex in logs and in what an operator reads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 8]);

impl KeyId {
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 32 secret bytes. Its `Debug` is its id.
#[derive(Clone)]
pub struct SealingKey {
    bytes: Zeroizing<[u8; 32]>,
    id: KeyId,
}

impl SealingKey {
    /// 32 bytes in standard base64 with its padding (44 characters); white space around it, as a key file ends with, is
    /// left out.
    ///
    /// # Errors
    /// `validation-failed`; the text is not repeated.
    pub fn parse(text: &str) -> Result<Self> {
        let decoded = STANDARD.decode(text.trim()).map(Zeroizing::new);
        let bytes: Option<[u8; 32]> = decoded.ok().and_then(|bytes| bytes.as_slice().try_into().ok());
        bytes.map(Self::from_bytes).ok_or_else(|| {
            Fault::field(
                "sealingKey",
                "not 32 bytes in base64 (44 characters), as `openssl rand -base64 32` makes",
            )
        })
    }

    /// A new one.
    #[must_use]
    pub fn draw(entropy: &Entropy) -> Self {
        Self::from_bytes(entropy.bytes())
    }

    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let labelled = Zeroizing::new([LABEL, bytes.as_slice()].concat());
        let mut id = [0; 8];
        for (to, from) in id.iter_mut().zip(digest(&SHA256, &labelled).as_ref()) {
            *to = *from;
        }
        Self { bytes, id: KeyId(id) }
    }

    /// For the key file; [`SealingKey::parse`] reads it.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.bytes.as_slice()))
    }

    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_and_read_again() {
        let key = SealingKey::draw(&Entropy::seeded(1));
        let text = key.to_base64();
        assert_eq!(text.len(), 44);
        let again = SealingKey::parse(&format!("\n{}\n", *text)).unwrap();
        assert_eq!(again.bytes(), key.bytes());
        assert_eq!(again.id(), key.id());
        assert_ne!(SealingKey::draw(&Entropy::seeded(2)).id(), key.id());
    }

    #[test]
    fn what_is_not_a_key_is_refused_without_being_repeated() {
        let short = STANDARD.encode([7; 31]);
        let unpadded = STANDARD.encode([7; 32]).trim_end_matches('=').to_owned();
        for text in ["", "hello", &short, &unpadded, &STANDARD.encode([7; 33])] {
            let fault = SealingKey::parse(text).unwrap_err();
            assert_eq!(fault.code, beem_fault::Code::ValidationFailed);
            assert!(text.is_empty() || !format!("{fault:?}").contains(text), "{fault:?}");
        }
    }

    #[test]
    fn is_never_printed() {
        let key = SealingKey::from_bytes([0xAB; 32]);
        let printed = format!("{key:?}").to_lowercase();
        assert_eq!(printed, format!("sealingkey({})", key.id()));
        assert!(!printed.contains("abab") && !printed.contains("171"));
    }
}
