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
use beem_ids::AccountId;
use beem_sealing::Zeroizing;
use beem_telemetry::Telemetry;
use ed25519_dalek::SigningKey;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedMutexGuard, Semaphore};

/// An RSA key takes a processor about 100 ms: those who ask for keys wait for each other, and nobody else for them.
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

/// Where keys are drawn. Cheap to clone; clones share its bounds.
#[derive(Clone)]
pub struct KeyMaker {
    entropy: Entropy,
    telemetry: Telemetry,
    free: Arc<Semaphore>,
    /// Of the accounts that want keys now.
    turns: Arc<Mutex<HashMap<AccountId, Gate>>>,
}

type Gate = Arc<tokio::sync::Mutex<()>>;

/// An account's turn, of which it has one at a time: whoever asks for many keys waits for himself, and is in front of others
/// once at most.
pub struct Turn(#[expect(dead_code, reason = "it is held")] OwnedMutexGuard<()>);

impl KeyMaker {
    #[must_use]
    pub fn new(entropy: Entropy, telemetry: Telemetry) -> Self {
        Self { entropy, telemetry, free: Arc::new(Semaphore::new(DRAWN_AT_ONCE)), turns: Arc::default() }
    }

    /// The account's turn, when it has come.
    pub async fn turn(&self, account: AccountId) -> Turn {
        let gate = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody holds or waits for.
            turns.retain(|_, gate| Arc::strong_count(gate) > 1);
            Arc::clone(turns.entry(account).or_default())
        };
        Turn(gate.lock_owned().await)
    }

    /// New keys, drawn beside the threads that serve. Not inside a transaction: it takes a while.
    ///
    /// # Errors
    /// `internal` when the cryptography library fails.
    pub async fn draw(&self, turn: Turn) -> Result<NewKeys> {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(Fault::internal)?;
        let entropy = self.entropy.clone();
        self.telemetry.meters().counter("beem.hooks.keys.drawn", &[]);
        let drawing = tokio::task::spawn_blocking(move || {
            // Held to the end of the work: whoever asked may have gone, the processor is busy all the same.
            let _held = (permit, turn);
            NewKeys::draw(&entropy)
        });
        drawing.await.map_err(Fault::internal)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::sync::mpsc;
    use uuid::Uuid;

    const ONE: AccountId = AccountId(Uuid::from_u128(1));
    const OTHER: AccountId = AccountId(Uuid::from_u128(2));

    #[tokio::test]
    async fn an_account_waits_for_itself_and_not_for_others() {
        let maker = KeyMaker::new(Entropy::System, Telemetry::off());
        let first = maker.turn(ONE).await;
        let mut second = Box::pin(maker.turn(ONE));
        assert!(second.as_mut().now_or_never().is_none());
        drop(maker.turn(OTHER).now_or_never().expect("another account's turn comes at once"));
        drop(first);
        drop(second.now_or_never().expect("the first has ended"));
        drop(maker.turn(OTHER).await);
        assert_eq!(maker.turns.lock().unwrap().len(), 1, "accounts that want nothing are forgotten");
    }

    #[test]
    fn a_turn_lasts_as_long_as_the_work_also_when_nobody_waits_for_it() {
        // One thread for work that takes a while, which is busy until it is told.
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (tell, told) = mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || told.recv());
            let maker = KeyMaker::new(Entropy::System, Telemetry::off());
            let turn = maker.turn(ONE).await;
            assert!(maker.draw(turn).now_or_never().is_none());
            let mut next = Box::pin(maker.turn(ONE));
            assert!(next.as_mut().now_or_never().is_none(), "the keys are drawn all the same");
            tell.send(()).unwrap();
            busy.await.unwrap().unwrap();
            drop(next.await);
        });
    }
}
