//! Why a signed request is refused: one of six public codes and a sentence for whoever writes the signer.

use beem_fault::{Code, Fault};
use std::fmt;

/// The family of a refusal; each is a public code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Neither `Signature-Input` nor `Signature` is there.
    Missing,
    /// Malformed, unmatched, not verifying, or an `alg` that disagrees with the key.
    Invalid,
    /// Outside any of the rules about time.
    Expired,
    /// Seen before. This crate computes the replay key; whoever keeps the store gives this verdict.
    Replayed,
    /// Something that must be covered is not.
    Coverage,
    /// `Content-Digest` does not match the body.
    DigestMismatch,
}

impl Refusal {
    /// The public code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Missing => Code::SignatureMissing,
            Self::Invalid => Code::SignatureInvalid,
            Self::Expired => Code::SignatureExpired,
            Self::Replayed => Code::SignatureReplayed,
            Self::Coverage => Code::SignatureCoverage,
            Self::DigestMismatch => Code::DigestMismatch,
        }
    }

    /// The refusal with its sentence.
    #[must_use]
    pub fn because(self, detail: impl Into<String>) -> SignatureError {
        SignatureError { refusal: self, detail: detail.into() }
    }
}

/// A refusal and what to tell the signer's author. The detail quotes names from the request at most, never key
/// material, signatures or bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureError {
    pub refusal: Refusal,
    pub detail: String,
}

impl SignatureError {
    /// The public code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.refusal.code()
    }
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code().as_str(), self.detail)
    }
}

impl std::error::Error for SignatureError {}

impl From<SignatureError> for Fault {
    fn from(error: SignatureError) -> Self {
        Self::new(error.code(), error.detail)
    }
}
