//! The four signature algorithms of RFC 9421 section 3.3 that are accepted, and the three kinds of key they need.

use crate::error::{Refusal, SignatureError};
use std::fmt;

/// What a registered key is. The kind decides which algorithms a signature under it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    Ed25519,
    /// 2048 to 4096 bits; signs with either RSA algorithm.
    Rsa,
    EcdsaP256,
}

impl KeyKind {
    /// As the API writes it in `keyAlgorithm`: `ed25519`, `rsa`, `ecdsa-p256`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Rsa => "rsa",
            Self::EcdsaP256 => "ecdsa-p256",
        }
    }

    /// Reads [`KeyKind::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ed25519, Self::Rsa, Self::EcdsaP256].into_iter().find(|k| k.as_str() == text)
    }

    /// The algorithm when a signature names none: RSA means `rsa-v1_5-sha256`, which is what BEEM's own signer uses.
    #[must_use]
    pub const fn default_algorithm(self) -> Algorithm {
        match self {
            Self::Ed25519 => Algorithm::Ed25519,
            Self::Rsa => Algorithm::RsaV15Sha256,
            Self::EcdsaP256 => Algorithm::EcdsaP256Sha256,
        }
    }

    /// The algorithm of a signature under a key of this kind, given its `alg` parameter.
    ///
    /// # Errors
    /// `signature-invalid` when `alg` is unknown or belongs to another kind of key (RFC 9421 section 3.2, step 6).
    pub fn algorithm_for(self, alg: Option<&str>) -> Result<Algorithm, SignatureError> {
        let Some(alg) = alg else { return Ok(self.default_algorithm()) };
        let Some(algorithm) = Algorithm::parse(alg) else {
            return Err(Refusal::Invalid
                .because("alg is not one of ed25519, rsa-v1_5-sha256, rsa-pss-sha512, ecdsa-p256-sha256"));
        };
        if algorithm.key_kind() != self {
            let detail = format!("alg is {algorithm}, but the registered key is {self}");
            return Err(Refusal::Invalid.because(detail));
        }
        Ok(algorithm)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An algorithm by its name in the IANA registry "HTTP Signature Algorithms".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RFC 9421 section 3.3.6.
    Ed25519,
    /// Section 3.3.2.
    RsaV15Sha256,
    /// Section 3.3.1, salt of 64 bytes.
    RsaPssSha512,
    /// Section 3.3.4; the signature is `r || s`, 64 bytes.
    EcdsaP256Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ed25519, Self::RsaV15Sha256, Self::RsaPssSha512, Self::EcdsaP256Sha256];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::RsaV15Sha256 => "rsa-v1_5-sha256",
            Self::RsaPssSha512 => "rsa-pss-sha512",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
        }
    }

    /// Reads [`Algorithm::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == text)
    }

    /// The kind of key it needs.
    #[must_use]
    pub const fn key_kind(self) -> KeyKind {
        match self {
            Self::Ed25519 => KeyKind::Ed25519,
            Self::RsaV15Sha256 | Self::RsaPssSha512 => KeyKind::Rsa,
            Self::EcdsaP256Sha256 => KeyKind::EcdsaP256,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_decides_and_alg_must_agree() {
        assert_eq!(KeyKind::Rsa.algorithm_for(None).unwrap(), Algorithm::RsaV15Sha256);
        assert_eq!(KeyKind::Rsa.algorithm_for(Some("rsa-pss-sha512")).unwrap(), Algorithm::RsaPssSha512);
        for (kind, alg) in [
            (KeyKind::Ed25519, "rsa-v1_5-sha256"),
            (KeyKind::Rsa, "ed25519"),
            (KeyKind::EcdsaP256, "ecdsa-p384-sha384"),
            (KeyKind::Rsa, "hmac-sha256"),
            (KeyKind::Ed25519, ""),
        ] {
            assert_eq!(kind.algorithm_for(Some(alg)).unwrap_err().refusal, Refusal::Invalid, "{kind} {alg}");
        }
    }

    #[test]
    fn names_read_back() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
            assert_eq!(KeyKind::parse(algorithm.key_kind().as_str()), Some(algorithm.key_kind()));
        }
    }
}
