//! A private key, for those who sign: the command line and tests. The gateway holds none of its callers'.

use crate::algorithm::{Algorithm, KeyKind};
use crate::key::PublicKey;
use crate::pem::{self, PemError};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA512, RsaKeyPair,
};
use beem_clock::Entropy;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::{Signer as _, SigningKey};
use std::fmt;

/// `PrivateKeyInfo` of an Ed25519 key (RFC 8410 section 7) up to its 32 bytes.
const ED25519_PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// `SubjectPublicKeyInfo` of an Ed25519 key (RFC 8410 section 4) up to its point.
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why a private key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    #[error("{0}")]
    Pem(#[from] PemError),
    #[error(
        "BEGIN PRIVATE KEY (PKCS#8, not encrypted) is expected; convert it (openssl pkcs8 -topk8 -nocrypt)"
    )]
    NotPkcs8,
    #[error("it is not an Ed25519, RSA (2048 to 4096 bits) or P-256 key")]
    Unsupported,
    #[error("{0} is not an algorithm of this key")]
    OtherAlgorithm(Algorithm),
    #[error("the cryptography library failed")]
    Failed,
}

/// A private key and its public half. Its `Debug` shows the public half only.
pub struct PrivateKey {
    form: Form,
    public: PublicKey,
}

enum Form {
    Ed25519(Box<SigningKey>),
    Rsa(Box<RsaKeyPair>),
    EcdsaP256(Box<EcdsaKeyPair>),
}

impl PrivateKey {
    /// A new key; RSA ones have 2048 bits. Ed25519 takes its bytes from `entropy`; the others from the generator inside
    /// aws-lc-rs, which cannot be given one.
    ///
    /// # Errors
    /// [`PrivateKeyError::Failed`].
    pub fn generate(kind: KeyKind, entropy: &Entropy) -> Result<Self, PrivateKeyError> {
        let form = match kind {
            KeyKind::Ed25519 => Form::Ed25519(Box::new(SigningKey::from_bytes(&entropy.bytes()))),
            KeyKind::Rsa => Form::Rsa(Box::new(
                RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| PrivateKeyError::Failed)?,
            )),
            KeyKind::EcdsaP256 => Form::EcdsaP256(Box::new(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                    .map_err(|_| PrivateKeyError::Failed)?,
            )),
        };
        Self::of(form)
    }

    /// Reads a PEM `-----BEGIN PRIVATE KEY-----` (PKCS#8).
    ///
    /// # Errors
    /// [`PrivateKeyError`].
    pub fn from_pkcs8_pem(text: &str) -> Result<Self, PrivateKeyError> {
        let block = pem::parse(text)?;
        if block.label != "PRIVATE KEY" {
            return Err(PrivateKeyError::NotPkcs8);
        }
        let der = block.der.as_slice();
        let form = if let Ok(key) = SigningKey::from_pkcs8_der(der) {
            Form::Ed25519(Box::new(key))
        } else if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            Form::EcdsaP256(Box::new(key))
        } else {
            Form::Rsa(Box::new(RsaKeyPair::from_pkcs8(der).map_err(|_| PrivateKeyError::Unsupported)?))
        };
        Self::of(form)
    }

    fn of(form: Form) -> Result<Self, PrivateKeyError> {
        let spki = match &form {
            Form::Ed25519(key) => [&ED25519_SPKI[..], key.verifying_key().as_bytes()].concat(),
            Form::Rsa(key) => {
                key.public_key().as_der().map_err(|_| PrivateKeyError::Failed)?.as_ref().to_vec()
            }
            Form::EcdsaP256(key) => {
                key.public_key().as_der().map_err(|_| PrivateKeyError::Failed)?.as_ref().to_vec()
            }
        };
        let public = PublicKey::parse_spki_der(&spki).map_err(|_| PrivateKeyError::Unsupported)?;
        Ok(Self { form, public })
    }

    /// The PEM that [`PrivateKey::from_pkcs8_pem`] reads. A secret: write it to a file only its owner can read.
    ///
    /// # Errors
    /// [`PrivateKeyError::Failed`].
    pub fn to_pkcs8_pem(&self) -> Result<String, PrivateKeyError> {
        let der = match &self.form {
            Form::Ed25519(key) => [&ED25519_PKCS8[..], key.as_bytes()].concat(),
            Form::Rsa(key) => key.as_der().map_err(|_| PrivateKeyError::Failed)?.as_ref().to_vec(),
            Form::EcdsaP256(key) => key.to_pkcs8v1().map_err(|_| PrivateKeyError::Failed)?.as_ref().to_vec(),
        };
        Ok(pem::write("PRIVATE KEY", &der))
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.public.kind()
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a signature base. Deterministic for `ed25519` and `rsa-v1_5-sha256`.
    ///
    /// # Errors
    /// When the algorithm is not one of this key's.
    pub fn sign(&self, algorithm: Algorithm, base: &[u8]) -> Result<Vec<u8>, PrivateKeyError> {
        match (&self.form, algorithm) {
            (Form::Ed25519(key), Algorithm::Ed25519) => Ok(key.sign(base).to_bytes().to_vec()),
            (Form::Rsa(key), Algorithm::RsaV15Sha256 | Algorithm::RsaPssSha512) => {
                let padding =
                    if algorithm == Algorithm::RsaPssSha512 { &RSA_PSS_SHA512 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &SystemRandom::new(), base, &mut signature)
                    .map_err(|_| PrivateKeyError::Failed)?;
                Ok(signature)
            }
            (Form::EcdsaP256(key), Algorithm::EcdsaP256Sha256) => {
                let signature = key.sign(&SystemRandom::new(), base).map_err(|_| PrivateKeyError::Failed)?;
                Ok(signature.as_ref().to_vec())
            }
            (Form::Ed25519(_) | Form::Rsa(_) | Form::EcdsaP256(_), _) => {
                Err(PrivateKeyError::OtherAlgorithm(algorithm))
            }
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(of {:?})", self.public)
    }
}
