//! Passwords as they are stored: argon2id (RFC 9106) with 19 MiB, two passes and one lane, OWASP's first choice for little
//! memory. Each computation holds its memory and a core, so that few run at once and few wait; the rest are sent away.
//!
//! A salt is drawn at random; users of one address share theirs, so that one computation judges a sign-in whichever of them
//! it is. For an address that nobody has, one that only this installation can tell stands in, so that it costs the same.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use beem_clock::Entropy;
use beem_fault::{Fault, Result};
use beem_sealing::{Sealing, Zeroizing};
use beem_telemetry::Telemetry;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::timeout_at;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// Of those that may wait, one in so many may hold a link: whoever was mailed one keeps nobody from signing in.
const LINK_HOLDERS: u32 = 4;

/// What is left of a call's time when waiting ends: for the computation, and for what is written after it.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// The time of a call that says nothing about it.
const USUAL_TIME: Duration = Duration::from_secs(10);

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Who signs in, or is signed in.
    SignIn,
    /// Who holds a link.
    Link,
}

/// What a password is hashed with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Salt([u8; SALT_BYTES]);

impl Salt {
    #[must_use]
    pub fn draw(entropy: &Entropy) -> Self {
        Self(entropy.bytes())
    }

    /// What stands in for an address (folded) that nobody has: always the same, and not to be told from a real one.
    #[must_use]
    pub fn of_nobody(sealing: &Sealing, address: &str) -> Self {
        let digest = sealing.digest("identity.passwords.salt", address.as_bytes());
        Self(digest.first_chunk().copied().unwrap_or_default())
    }

    /// That of a stored hash.
    #[must_use]
    pub fn of(phc: &str) -> Option<Self> {
        let salt = BASE64_STANDARD_NO_PAD.decode(phc.rsplit('$').nth(1)?).ok()?;
        salt.try_into().ok().map(Self)
    }
}

/// Names a stored hash without holding it.
#[must_use]
pub fn digest(phc: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(phc))
}

/// Hashes passwords, a few at once. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    /// At work.
    working: Arc<Semaphore>,
    /// At work or waiting for it.
    admitted: Arc<Semaphore>,
    /// Those of them who hold a link.
    by_link: Arc<Semaphore>,
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
    pub fn new(at_once: u32, waiting: u32, telemetry: Telemetry) -> Self {
        let permits = |count: u32| Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(1).max(1)));
        Self {
            working: permits(at_once),
            admitted: permits(at_once.saturating_add(waiting)),
            by_link: permits(waiting / LINK_HOLDERS),
            telemetry,
        }
    }

    /// The hash of a password under a salt.
    ///
    /// # Errors
    /// `unavailable` when too many wait already, or the call's time is almost over before its turn came: in time to undo
    /// what was done for it.
    pub async fn hash(&self, line: Line, salt: Salt, password: &str) -> Result<PasswordHash> {
        let by_link = match line {
            Line::SignIn => None,
            Line::Link => Some(room(&self.by_link)?),
        };
        let admitted = room(&self.admitted)?;
        let deadline = beem_runtime::deadline(USUAL_TIME);
        let enough = deadline.checked_sub(AFTERWARDS).unwrap_or(deadline);
        let turn = timeout_at(enough, self.working.clone().acquire_owned()).await;
        let working = turn.map_err(|_| crowded())?.map_err(Fault::internal)?;
        self.telemetry.meters().counter("beem.identity.password.hashes", &[]);
        let password = Zeroizing::new(password.to_owned());
        // The permits go along: whoever asked may be gone before it is done.
        let computed = tokio::task::spawn_blocking(move || {
            let hash = compute(&salt.0, password.as_bytes());
            drop((working, admitted, by_link));
            hash
        });
        computed.await.map_err(Fault::internal)?
    }
}

fn room(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    places.clone().try_acquire_owned().map_err(|refused| match refused {
        TryAcquireError::NoPermits => crowded(),
        TryAcquireError::Closed => Fault::internal("passwords are not hashed any more"),
    })
}

fn crowded() -> Fault {
    Fault::unavailable("too many passwords are being judged")
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
    use beem_caller::Call;
    use beem_sealing::SealingKey;
    use tokio::time::Instant;

    const SALT: Salt = Salt(*b"0123456789abcdef");

    fn passwords(at_once: u32, waiting: u32) -> Passwords {
        Passwords::new(at_once, waiting, Telemetry::off())
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
    async fn a_password_is_known_again_under_its_salt_only() {
        let (ours, entropy) = (passwords(2, 2), Entropy::seeded(1));
        let hash = async |salt, text| ours.hash(Line::SignIn, salt, text).await.unwrap();
        let salt = Salt::draw(&entropy);
        let stored = hash(salt, "correct horse battery").await;
        assert!(Salt::of(stored.phc()) == Some(salt) && Salt::of("").is_none() && Salt::of("$a$b").is_none());
        assert!(hash(salt, "correct horse battery").await.is(stored.phc()));
        assert!(!hash(salt, "correct horse batterY").await.is(stored.phc()));
        assert!(!hash(Salt::draw(&entropy), "correct horse battery").await.is(stored.phc()));
        assert!(!stored.is("") && !stored.is("$argon2id$"));
        assert!(digest(stored.phc()) == digest(stored.phc()) && digest(stored.phc()) != digest(REFERENCE));
    }

    #[test]
    fn nobody_has_a_salt_of_this_installation() {
        let sealing = |seed| Sealing::new(vec![SealingKey::draw(&Entropy::seeded(seed))]).unwrap();
        let (ours, theirs) = (sealing(1), sealing(2));
        let salt = Salt::of_nobody(&ours, "a@example.com");
        assert!(salt == Salt::of_nobody(&ours, "a@example.com"));
        assert!(salt != Salt::of_nobody(&ours, "b@example.com"));
        assert!(salt != Salt::of_nobody(&theirs, "a@example.com"));
    }

    #[tokio::test]
    async fn those_beyond_the_queue_are_sent_away() {
        let ours = passwords(1, 1);
        let hash = async |text| ours.hash(Line::SignIn, SALT, text).await;
        let (first, second, third) = tokio::join!(hash("first"), hash("second"), hash("third"));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(third.err().unwrap().code, beem_fault::Code::Unavailable);
        assert!(hash("third").await.is_ok(), "room again");
    }

    #[tokio::test]
    async fn who_holds_a_link_leaves_room_for_sign_ins() {
        let ours = passwords(1, 8);
        let by_link = futures::future::join_all((0..20).map(|_| ours.hash(Line::Link, SALT, "by link")));
        let sign_ins = futures::future::join_all((0..7).map(|_| ours.hash(Line::SignIn, SALT, "sign-in")));
        let (by_link, sign_ins) = tokio::join!(by_link, sign_ins);
        assert_eq!(by_link.iter().filter(|hash| hash.is_ok()).count(), 2, "a quarter of those that may wait");
        assert!(sign_ins.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn waiting_ends_before_the_call_does() {
        let ours = passwords(1, 8);
        let busy = room(&ours.working).unwrap();
        let deadline = Instant::now() + AFTERWARDS + Duration::from_millis(50);
        let call = Call { deadline, request: None, record: None };
        let waited = beem_caller::scope(call, ours.hash(Line::SignIn, SALT, "too late"));
        let fault = tokio::time::timeout_at(deadline, waited).await.unwrap().err().unwrap();
        assert_eq!(fault.code, beem_fault::Code::Unavailable);
        drop(busy);
        assert!(ours.hash(Line::SignIn, SALT, "in time").await.is_ok());
    }
}
