//! Passwords as they are stored: argon2id (RFC 9106) with 19 MiB, two passes and one lane, OWASP's first choice for little
//! memory. Each computation holds its memory and a core, so that few run at once and few wait; the rest are sent away.
//!
//! The salt is a hash of the installation and the address, and not drawn: so one computation judges a sign-in whoever has
//! the address, be it users of several accounts, one, or nobody, and takes the same time for each. Salts of two addresses,
//! or of one address in two installations, differ.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use beem_fault::{Fault, Result};
use beem_ids::InstallationId;
use beem_sealing::Zeroizing;
use beem_telemetry::Telemetry;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tokio::sync::{Semaphore, TryAcquireError};

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// Hashes passwords, a few at once. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    installation: InstallationId,
    /// At work.
    working: Arc<Semaphore>,
    /// At work or waiting for it.
    admitted: Arc<Semaphore>,
    telemetry: Telemetry,
}

/// A PHC string of argon2id. It does not print.
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// To be stored.
    #[must_use]
    pub fn phc(&self) -> &str {
        &self.0
    }

    /// Whether the password that was hashed is the one stored so.
    #[must_use]
    pub fn is(&self, stored: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), stored.as_bytes()).is_ok()
    }
}

impl Passwords {
    /// `at_once` computations, and `waiting` more that wait for one.
    #[must_use]
    pub fn new(installation: InstallationId, at_once: u32, waiting: u32, telemetry: Telemetry) -> Self {
        let permits = |count: u32| usize::try_from(count).unwrap_or(1).max(1);
        Self {
            installation,
            working: Arc::new(Semaphore::new(permits(at_once))),
            admitted: Arc::new(Semaphore::new(permits(at_once.saturating_add(waiting)))),
            telemetry,
        }
    }

    /// The hash of a password under the salt of an address (folded).
    ///
    /// # Errors
    /// `unavailable` when too many wait already.
    pub async fn hash(&self, address: &str, password: &str) -> Result<PasswordHash> {
        let admitted = self.admitted.clone().try_acquire_owned().map_err(|refused| match refused {
            TryAcquireError::NoPermits => Fault::unavailable("too many passwords are being judged"),
            TryAcquireError::Closed => Fault::internal("passwords are not hashed any more"),
        })?;
        let working = self.working.clone().acquire_owned().await.map_err(Fault::internal)?;
        self.telemetry.meters().counter("beem.identity.password.hashes", &[]);
        let (salt, password) = (self.salt(address), Zeroizing::new(password.to_owned()));
        // The permits go along: whoever asked may be gone before it is done.
        let computed = tokio::task::spawn_blocking(move || {
            let hash = compute(&salt, password.as_bytes());
            drop((working, admitted));
            hash
        });
        computed.await.map_err(Fault::internal)?
    }

    fn salt(&self, address: &str) -> [u8; SALT_BYTES] {
        let mut hash = Sha256::new();
        hash.update(b"beem identity password salt 1\0");
        hash.update(self.installation.0.as_bytes());
        hash.update(address.as_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        digest.first_chunk().copied().unwrap_or_default()
    }
}

fn compute(salt: &[u8], password: &[u8]) -> Result<PasswordHash> {
    let wrong = |fault: argon2::Error| Fault::internal(fault.to_string());
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).map_err(wrong)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut hash = [0; HASH_BYTES];
    argon2.hash_password_into(password, salt, &mut hash).map_err(wrong)?;
    let (salt, hash) = (BASE64_STANDARD_NO_PAD.encode(salt), BASE64_STANDARD_NO_PAD.encode(hash));
    Ok(PasswordHash(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_clock::{Entropy, Moment};

    fn installation(seed: u64) -> InstallationId {
        InstallationId::draw(Moment::from_unix_s(1_800_000_000), &Entropy::seeded(seed))
    }

    fn passwords(at_once: u32, waiting: u32) -> Passwords {
        Passwords::new(installation(1), at_once, waiting, Telemetry::off())
    }

    /// What the reference implementation writes, by way of Python's argon2-cffi:
    /// `hash_secret(b"correct horse battery", b"0123456789abcdef", 2, 19456, 1, 32, Type.ID)`.
    #[test]
    fn others_read_what_is_stored() {
        let hash = compute(b"0123456789abcdef", b"correct horse battery").unwrap();
        assert_eq!(hash.phc(), REFERENCE);
    }

    const REFERENCE: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$69I7qCjDTsQwhQqFvpQJiqEI0lGQvxC84fXE0Ktxca4";

    #[tokio::test]
    async fn a_password_is_known_again_for_its_address_only() {
        let ours = passwords(2, 2);
        let stored = ours.hash("a@example.com", "correct horse battery").await.unwrap();
        assert!(ours.hash("a@example.com", "correct horse battery").await.unwrap().is(stored.phc()));
        assert!(!ours.hash("a@example.com", "correct horse batterY").await.unwrap().is(stored.phc()));
        assert!(!ours.hash("b@example.com", "correct horse battery").await.unwrap().is(stored.phc()));
        let elsewhere = Passwords::new(installation(2), 1, 1, Telemetry::off());
        assert!(!elsewhere.hash("a@example.com", "correct horse battery").await.unwrap().is(stored.phc()));
        assert!(!stored.is("") && !stored.is("$argon2id$"));
    }

    #[tokio::test]
    async fn those_beyond_the_queue_are_sent_away() {
        let ours = passwords(1, 1);
        let both = futures::future::join3(
            ours.hash("a", "first password"),
            ours.hash("b", "second password"),
            ours.hash("c", "third password"),
        );
        let (first, second, third) = both.await;
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(third.err().unwrap().code, beem_fault::Code::Unavailable);
        assert!(ours.hash("c", "third password").await.is_ok(), "room again");
    }
}
