//! What the ways of proving who one is have in common: the one refusal that tells nothing, what is counted against guessing,
//! codes of the second factor, and ending sessions outside of a saga.

use super::{Means, Operations};
use crate::domain::{Place, RecoveryHash, SecondFactor, TokenHash, User};
use crate::peers;
use crate::store::attempts::BucketKey;
use crate::store::credentials::{self, Secrets};
use beem_clock::Moment;
use beem_database::Tx;
use beem_fault::{Code, Fault, Result};
use beem_ids::PrincipalId;
use futures::future::BoxFuture;
use sea_orm::ConnectionTrait;

/// Another change of the user can come between raising its version and the write; more of them in a row do not.
const TRIES: u32 = 5;

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
    use super::{BucketKey, Place, PrincipalId, TokenHash};
    use data_encoding::HEXLOWER;

    /// Sign-ins from a place, whoever is to be.
    pub fn address(place: Place) -> BucketKey {
        BucketKey::of("address", &[&place.to_string()])
    }

    /// Sign-ins with an address (folded): from each place it is known at, and from everywhere else together, so that
    /// nobody elsewhere slows its owner down.
    pub fn sign_in(folded: &str, known: Option<Place>) -> BucketKey {
        match known {
            Some(place) => BucketKey::of("sign-in-known", &[folded, &place.to_string()]),
            None => BucketKey::of("sign-in", &[folded]),
        }
    }

    /// Second factors of a user who is signing in, likewise.
    pub fn second_factor(user: PrincipalId, known: Option<Place>) -> BucketKey {
        match known {
            Some(place) => BucketKey::of("second-factor-known", &[&user.to_string(), &place.to_string()]),
            None => BucketKey::of("second-factor", &[&user.to_string()]),
        }
    }

    /// Passwords and codes a user who is signed in gives once more.
    pub fn own(user: PrincipalId) -> BucketKey {
        BucketKey::of("own", &[&user.to_string()])
    }

    /// Codes that are to confirm a link.
    pub fn link(token: &TokenHash) -> BucketKey {
        BucketKey::of("link", &[&HEXLOWER.encode(token)])
    }

    /// Password resets asked for from a place.
    pub fn reset_from(place: Place) -> BucketKey {
        BucketKey::of("reset-from", &[&place.to_string()])
    }

    /// Reset mails to an address (folded).
    pub fn reset_mails(folded: &str) -> BucketKey {
        BucketKey::of("reset-mails", &[folded])
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
    /// version too many does no harm.
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
            let drawn = beem_ids::draw(self.db.clock().now(), self.db.entropy());
            let effect_key = format!("identity:sessions:{}:{drawn}", user.id);
            let ended = self.means.authz.end_sessions(effect_key, user.account, user.id, None).await;
            let version = peers::decode(&ended.map_err(hidden)?)?.credential_version;
            let done = self.db.write(|tx| {
                Box::pin(async move {
                    // The user's row last: links come before it everywhere.
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

    /// That the user may act at all, as authz says.
    ///
    /// # Errors
    /// `credentials-invalid` when it may not; `unavailable` or `deadline` when authz is away.
    pub(super) async fn require_enabled(&self, user: &User) -> Result<()> {
        let standing = self.means.authz.standing(user.account, user.id).await.map_err(hidden)?;
        if standing.enabled { Ok(()) } else { Err(invalid()) }
    }
}
