//! A client's public key: parsed once, kept in the form that verifies fastest. Ed25519 by ed25519-dalek (strict),
//! RSA and ECDSA by aws-lc-rs.

use crate::algorithm::{Algorithm, KeyKind};
use crate::error::{Refusal, SignatureError};
use crate::pem::{self, PemError};
use crate::spki::{self, Spki};
use aws_lc_rs::signature::{self, ParsedPublicKey};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Why a text is not a key that is accepted. The message says what was found and never quotes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("{0}")]
    Pem(#[from] PemError),
    #[error("a private key was found; keep it secret and send its public key (openssl pkey -pubout)")]
    PrivateKey,
    #[error("a certificate was found; send its public key (openssl x509 -pubkey -noout)")]
    Certificate,
    #[error("a certificate request was found; send its public key (openssl req -pubkey -noout)")]
    CertificateRequest,
    #[error(
        "a PKCS#1 key (BEGIN RSA PUBLIC KEY) was found; convert it (openssl rsa -RSAPublicKey_in -pubout)"
    )]
    Pkcs1,
    #[error("another kind of PEM block was found; BEGIN PUBLIC KEY is expected")]
    OtherBlock,
    #[error("the PEM block does not hold a public key (SubjectPublicKeyInfo)")]
    NotSpki,
    #[error("there is data after the end of the key")]
    TrailingData,
    #[error("{0} was found; Ed25519, RSA or P-256 is expected")]
    OtherAlgorithm(&'static str),
    #[error("an elliptic curve key on {0} was found; P-256 is the one accepted")]
    OtherCurve(&'static str),
    #[error("the point is compressed; send it uncompressed")]
    CompressedPoint,
    #[error("the point is not a valid one on its curve")]
    BadPoint,
    #[error("the Ed25519 key is one of the few weak ones that accept forged signatures")]
    WeakPoint,
    #[error("an RSA key of {0} bits was found; 2048 to 4096 are accepted")]
    RsaBits(usize),
    #[error("the RSA modulus is even")]
    BadModulus,
    #[error("the RSA exponent is weak: it must be odd, at least 3, and at most 32 bits long")]
    BadExponent,
    #[error("the cryptography library refuses the key")]
    Refused,
}

/// A parsed public key. Cheap to clone for Ed25519; share others behind an `Arc`.
#[derive(Clone)]
pub struct PublicKey {
    form: Form,
    der: Vec<u8>,
}

#[derive(Clone)]
enum Form {
    Ed25519(Box<VerifyingKey>),
    /// One parsed form per algorithm an RSA key may sign with.
    Rsa {
        v15: ParsedPublicKey,
        pss: ParsedPublicKey,
    },
    EcdsaP256(ParsedPublicKey),
}

impl PublicKey {
    /// Reads a PEM `-----BEGIN PUBLIC KEY-----` (SPKI), the only form accepted.
    ///
    /// # Errors
    /// [`KeyError`], saying what was found instead.
    pub fn parse_pem(text: &str) -> Result<Self, KeyError> {
        // Before anything else, so that whoever pasted a secret reads that, however broken the rest is.
        if text.contains("PRIVATE KEY") {
            return Err(KeyError::PrivateKey);
        }
        let block = pem::parse(text)?;
        match block.label {
            "PUBLIC KEY" => Self::parse_spki_der(&block.der),
            "RSA PUBLIC KEY" => Err(KeyError::Pkcs1),
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => Err(KeyError::Certificate),
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Err(KeyError::CertificateRequest),
            _ => Err(KeyError::OtherBlock),
        }
    }

    /// Reads the DER of a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let parsed = |algorithm: &'static dyn signature::VerificationAlgorithm| {
            ParsedPublicKey::new(algorithm, der).map_err(|_| KeyError::Refused)
        };
        let form = match spki::parse(der)? {
            Spki::Ed25519(point) => {
                let key = VerifyingKey::from_bytes(&point).map_err(|_| KeyError::BadPoint)?;
                if key.is_weak() {
                    return Err(KeyError::WeakPoint);
                }
                Form::Ed25519(Box::new(key))
            }
            Spki::Rsa => Form::Rsa {
                v15: parsed(&signature::RSA_PKCS1_2048_8192_SHA256)?,
                // RFC 9421 section 3.3.1 fixes the salt at 64 bytes, the digest's length, which is what this one takes.
                pss: parsed(&signature::RSA_PSS_2048_8192_SHA512)?,
            },
            Spki::EcdsaP256 => Form::EcdsaP256(
                ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, der)
                    .map_err(|_| KeyError::BadPoint)?,
            ),
        };
        Ok(Self { form, der: der.to_vec() })
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        match self.form {
            Form::Ed25519(_) => KeyKind::Ed25519,
            Form::Rsa { .. } => KeyKind::Rsa,
            Form::EcdsaP256(_) => KeyKind::EcdsaP256,
        }
    }

    /// SHA-256 of the SPKI DER in lower-case hex: the same for every PEM text of one key.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(&self.der))
    }

    /// The canonical PEM: what was sent, with line breaks at 64 digits and one at the end.
    #[must_use]
    pub fn pem(&self) -> String {
        pem::write("PUBLIC KEY", &self.der)
    }

    /// The SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.der
    }

    /// Whether the signature over the base is this key's.
    ///
    /// # Errors
    /// `signature-invalid` when it is not, or when the algorithm is not one of this key's.
    pub fn verify(&self, algorithm: Algorithm, base: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let verified = match (&self.form, algorithm) {
            (Form::Ed25519(key), Algorithm::Ed25519) => ed25519_dalek::Signature::from_slice(signature)
                .and_then(|signature| key.verify_strict(base, &signature))
                .is_ok(),
            (Form::Rsa { v15, .. }, Algorithm::RsaV15Sha256) => v15.verify_sig(base, signature).is_ok(),
            (Form::Rsa { pss, .. }, Algorithm::RsaPssSha512) => pss.verify_sig(base, signature).is_ok(),
            (Form::EcdsaP256(key), Algorithm::EcdsaP256Sha256) => key.verify_sig(base, signature).is_ok(),
            (Form::Ed25519(_) | Form::Rsa { .. } | Form::EcdsaP256(_), _) => {
                let detail = format!("{algorithm} is not an algorithm of this {} key", self.kind());
                return Err(Refusal::Invalid.because(detail));
            }
        };
        if verified {
            Ok(())
        } else {
            Err(Refusal::Invalid.because("the signature does not verify under the registered key"))
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.kind(), self.fingerprint())
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for PublicKey {}
