//! A hook's keys: drawn once, kept sealed, and what a delivery is signed with. Each hook has three: an RSA key for
//! `x-signature`, and an Ed25519 key and a secret for the two kinds of signature of Standard Webhooks.

mod signer;
mod text;

pub use signer::{Signer, headers};
pub use text::{public_key_base64, public_key_pem, signing_public_key, signing_secret};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use beem_clock::Entropy;
use beem_fault::{Fault, Result};
use beem_sealing::Zeroizing;
use ed25519_dalek::SigningKey;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// An RSA key takes a processor about 100 ms: those who ask for many wait for each other, and nobody else for them.
const DRAWN_AT_ONCE: usize = 2;

/// Keys of a hook that did not exist before.
pub struct NewKeys {
    /// SubjectPublicKeyInfo, DER.
    pub rsa_public: Vec<u8>,
    /// PKCS#8, DER.
    pub rsa_private: Zeroizing<Vec<u8>>,
    pub ed25519_public: [u8; 32],
    /// The seed.
    pub ed25519_private: Zeroizing<[u8; 32]>,
    pub secret: Zeroizing<[u8; 32]>,
}

impl NewKeys {
    /// The Ed25519 seed and the secret come from `entropy`; the RSA key from the generator inside aws-lc-rs, which
    /// cannot be given one.
    fn draw(entropy: &Entropy) -> Result<Self> {
        let rsa = KeyPair::generate(KeySize::Rsa2048).map_err(Fault::internal)?;
        let ed25519_private = Zeroizing::new(entropy.bytes());
        Ok(Self {
            rsa_public: rsa.public_key().as_der().map_err(Fault::internal)?.as_ref().to_vec(),
            rsa_private: Zeroizing::new(rsa.as_der().map_err(Fault::internal)?.as_ref().to_vec()),
            ed25519_public: SigningKey::from_bytes(&ed25519_private).verifying_key().to_bytes(),
            ed25519_private,
            secret: Zeroizing::new(entropy.bytes()),
        })
    }
}

impl fmt::Debug for NewKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewKeys(..)")
    }
}

/// Where keys are drawn. Cheap to clone; clones share one bound.
#[derive(Clone, Debug)]
pub struct KeyMaker {
    entropy: Entropy,
    free: Arc<Semaphore>,
}

impl KeyMaker {
    #[must_use]
    pub fn new(entropy: Entropy) -> Self {
        Self { entropy, free: Arc::new(Semaphore::new(DRAWN_AT_ONCE)) }
    }

    /// New keys, drawn beside the threads that serve. Not inside a transaction: it takes a while.
    ///
    /// # Errors
    /// `internal` when the cryptography library fails.
    pub async fn draw(&self) -> Result<NewKeys> {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(Fault::internal)?;
        let entropy = self.entropy.clone();
        let drawing = tokio::task::spawn_blocking(move || {
            // Held to the end of the work: whoever asked may have gone, the processor is busy all the same.
            let _permit = permit;
            NewKeys::draw(&entropy)
        });
        drawing.await.map_err(Fault::internal)?
    }
}
