//! What the ways of proving who one is have in common: the one refusal that tells nothing, what is counted against guessing,
//! codes of the second factor, and ending sessions outside of a saga.

use super::change::Trail;
use super::{Means, Operations};
use crate::domain::attempts::Pace;
use crate::domain::{Place, RecoveryHash, SecondFactor, TokenHash, User};
use crate::passwords::Salt;
use crate::peers;
use crate::store::attempts::{self, Bucket, BucketKey, Counted};
use crate::store::credentials::{self, Secrets};
use beem_clock::Moment;
use beem_database::{Database, Tx};
use beem_events::audit;
use beem_fault::{Code, Fault, Result};
use beem_ids::{AccountId, PrincipalId};
use futures::future::BoxFuture;
use sea_orm::ConnectionTrait;
use std::net::IpAddr;

/// Another change of the user can come between raising its version and the write; more of them in a row do not.
pub const TRIES: u32 = 5;

/// The one answer to whatever does not prove who somebody is: which part was wrong, and whether there is such an address,
/// user or link, is not to be told.
#[must_use]
pub fn invalid() -> Fault {
    Fault::new(Code::CredentialsInvalid, "what was sent does not prove who you are")
}

/// Another change of the user came between; nothing was done.
#[must_use]
pub fn overtaken() -> Fault {
    Fault::new(Code::ChangedConcurrently, "the user is being changed, try again")
}

/// Whatever is not there does not prove anything either.
#[must_use]
pub fn hidden(fault: Fault) -> Fault {
    match fault.code {
        Code::NotFound | Code::UserDeleted | Code::PrincipalDisabled => invalid(),
        _ => fault,
    }
}

/// Whatever is counted to slow guessing down.
pub mod bucket {
    use super::{Bucket, BucketKey, IpAddr, Pace, Place, PrincipalId, TokenHash};
    use data_encoding::HEXLOWER;

    /// What a sign-in with an address (folded) is counted by: at a place the address is known at by nothing else, so that
    /// nobody elsewhere, or beside, slows its owner down; from everywhere else together, and by who tries.
    pub fn sign_in(folded: &str, from: IpAddr, known: bool) -> Vec<Bucket> {
        if known {
            return vec![known_sign_in(folded, Place::of(from))];
        }
        let by = BucketKey::of("address", &[&Place::site(from).to_string()]);
        let with = BucketKey::of("sign-in", &[folded]);
        vec![Bucket { key: by, pace: Pace::ADDRESS }, Bucket { key: with, pace: Pace::SIGN_IN }]
    }

    /// Sign-ins with an address (folded) from one place it is known at.
    pub fn known_sign_in(folded: &str, place: Place) -> Bucket {
        let key = BucketKey::of("sign-in-known", &[folded, &place.to_string()]);
        Bucket { key, pace: Pace::SIGN_IN }
    }

    /// Second factors of a user who is signing in, likewise.
    pub fn second_factor(user: PrincipalId, known: Option<Place>) -> Bucket {
        let user = user.to_string();
        let key = match known {
            Some(place) => BucketKey::of("second-factor-known", &[&user, &place.to_string()]),
            None => BucketKey::of("second-factor", &[&user]),
        };
        Bucket { key, pace: Pace::SECOND_FACTOR }
    }

    /// Passwords and codes a user who is signed in gives once more.
    pub fn own(user: PrincipalId) -> Bucket {
        Bucket { key: BucketKey::of("own", &[&user.to_string()]), pace: Pace::SECOND_FACTOR }
    }

    /// Codes that are to confirm a link.
    pub fn link(token: &TokenHash) -> Bucket {
        Bucket { key: BucketKey::of("link", &[&HEXLOWER.encode(token)]), pace: Pace::SECOND_FACTOR }
    }

    /// Passwords to be, put beside a link.
    pub fn activation(token: &TokenHash) -> Bucket {
        Bucket { key: BucketKey::of("activation", &[&HEXLOWER.encode(token)]), pace: Pace::ACTIVATION }
    }

    /// Password resets asked for from an address.
    pub fn reset_from(from: IpAddr) -> Bucket {
        Bucket { key: BucketKey::of("reset-from", &[&Place::site(from).to_string()]), pace: Pace::RESET }
    }

    /// Reset mails to an address (folded), in an hour and in a day.
    pub fn reset_mails(folded: &str) -> [BucketKey; 2] {
        [BucketKey::of("reset-mails", &[folded]), BucketKey::of("reset-mails-of-a-day", &[folded])]
    }
}

/// Why a code is right; it counts once, in the transaction that uses it up.
#[derive(Clone, Copy)]
pub enum Proof {
    Step(i64),
    Recovery(RecoveryHash),
}

impl Proof {
    /// False when it was used up meanwhile.
    ///
    /// # Errors
    /// As the database says.
    pub async fn consume(self, tx: &Tx<'_>, user: PrincipalId) -> Result<bool> {
        match self {
            Self::Step(step) => credentials::use_step(tx, user, step).await,
            Self::Recovery(code) => credentials::use_recovery_code(tx, user, &code).await,
        }
    }
}

impl Means {
    /// What a user's new password is hashed with: other users of the address share theirs, so that one computation goes on
    /// judging a sign-in with it. (Two who activate at once may end with two; then a sign-in costs two.)
    ///
    /// # Errors
    /// As the database says.
    pub(super) async fn new_salt(&self, db: &Database, user: &User) -> Result<Salt> {
        let shared = credentials::salt_of_another(db.read(), &user.email.folded(), user.id).await?;
        Ok(shared.unwrap_or_else(|| Salt::draw(db.entropy())))
    }

    /// Why the code is right, if it is. Both kinds are judged in the same way, so that time tells nothing.
    ///
    /// # Errors
    /// As the database says; `internal` when the second factor does not open.
    pub(super) async fn judge_code(
        &self,
        on: &impl ConnectionTrait,
        secrets: &Secrets,
        code: SecondFactor,
        now: Moment,
    ) -> Result<Option<Proof>> {
        match code {
            SecondFactor::Totp(code) => {
                let step = secrets.totp(&self.sealing)?.step_of(code, now, secrets.totp_step);
                Ok(step.map(Proof::Step))
            }
            SecondFactor::Recovery(code) => {
                let found = credentials::has_recovery_code(on, secrets.user, &code).await?;
                Ok(found.then_some(Proof::Recovery(code)))
            }
        }
    }
}

impl Operations {
    /// Raises the standing's version, so that gateways forget what they know of the user's sessions, and then runs `work`,
    /// which ends them, in one transaction with that version. For what is no saga: done as a whole or not at all, and a
    /// version too many does no harm. `work` takes links first, if any, and then locks the user's row.
    ///
    /// # Errors
    /// Those of `work`; `credentials-invalid` for a user that was deleted; `unavailable` or `deadline` when authz is away.
    pub(super) async fn ending_sessions<'e, T, W>(&self, user: &'e User, work: W) -> Result<T>
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<T>> + Send + Sync,
        T: Send,
    {
        let work = &work;
        for _ in 0..TRIES {
            let version = self.raise_version(user.account, user.id, None).await.map_err(hidden)?;
            let done = self.db.write(|tx| {
                Box::pin(async move {
                    let answer = work(tx).await?;
                    match credentials::note_version(tx, user.id, version).await.map_err(hidden)? {
                        true => Ok(answer),
                        false => Err(overtaken()),
                    }
                })
            });
            match done.await {
                Err(fault) if fault.code == Code::ChangedConcurrently => {}
                ended => return ended,
            }
        }
        Err(overtaken())
    }

    /// A new version of the standing, of this moment: what gateways know of the user's sessions is old.
    ///
    /// # Errors
    /// `user-deleted`; `not-found`; `unavailable` or `deadline` when authz is away.
    pub(super) async fn raise_version(
        &self,
        account: AccountId,
        user: PrincipalId,
        actor: Option<PrincipalId>,
    ) -> Result<u64> {
        let drawn = beem_ids::draw(self.db.clock().now(), self.db.entropy());
        let effect_key = format!("identity:sessions:{user}:{drawn}");
        let raised = self.means.authz.end_sessions(effect_key, account, user, actor).await?;
        Ok(peers::decode(&raised)?.credential_version)
    }

    /// That the user may act at all, as authz says.
    ///
    /// # Errors
    /// `credentials-invalid` when it may not; `unavailable` or `deadline` when authz is away.
    pub(super) async fn require_enabled(&self, user: &User) -> Result<()> {
        let standing = self.means.authz.standing(user.account, user.id).await.map_err(hidden)?;
        if standing.enabled { Ok(()) } else { Err(invalid()) }
    }
}

/// Counts what is to be judged; what is refused as too early is found by reading alone.
///
/// # Errors
/// `rate-limited` with the seconds to wait.
pub async fn counted(db: &Database, buckets: &[Bucket]) -> Result<Vec<Counted>> {
    let now = db.clock().now();
    for bucket in buckets {
        attempts::check(db.read(), *bucket, now).await?;
    }
    db.write(|tx| {
        Box::pin(async move {
            let mut counted = Vec::with_capacity(buckets.len());
            for bucket in buckets {
                counted.push(attempts::reserve(tx, *bucket).await?);
            }
            Ok(counted)
        })
    })
    .await
}

/// What was counted was not judged.
///
/// # Errors
/// As the database says.
pub async fn undo(db: &Database, counted: &[Counted]) -> Result<()> {
    db.write(|tx| {
        Box::pin(async move {
            for counted in counted {
                attempts::undo(tx, counted).await?;
            }
            Ok(())
        })
    })
    .await
}

/// A person who is known failed to prove it once more, or may not come in: their account is to hear of it.
///
/// # Errors
/// As the database says.
pub async fn record_failed(db: &Database, trail: &Trail, fault: &Fault) -> Result<()> {
    db.write(|tx| {
        let row = trail.row(fault.code.as_str(), None, None);
        Box::pin(async move { audit::record(tx, row).await.map(drop) })
    })
    .await
}

/// `proof` of a person who is signed in, counted before it is judged. A wrong one stays counted and leaves a row in the
/// trail; one that was not judged, or stands behind another change for too long, was none.
///
/// # Errors
/// `rate-limited`; those of `proof`.
pub async fn proven<T>(
    db: &Database,
    trail: &Trail,
    bucket: Bucket,
    proof: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    let counted = counted(db, &[bucket]).await?;
    let proven = proof.await;
    match &proven {
        Ok(_) => {}
        Err(fault) if fault.code == Code::CredentialsInvalid => record_failed(db, trail, fault).await?,
        Err(_) => undo(db, &counted).await?,
    }
    proven
}
