//! Claims: a write happens once under its key, and every repeat gives the first answer.
//!
//! A *request key* comes from outside: (principal, RPC, key), remembered 24 h with a fingerprint of the decoded request.
//! An *effect key* is ours and for ever: it names a stored resource and a step. Claim, effect and answer commit in one
//! transaction, so there is no moment at which one exists without the others:
//!
//! - a business refusal undoes the effect and is remembered like a success;
//! - any other failure undoes everything: the key is as good as new;
//! - two at the same time: the second waits for the first one's commit and gives its answer.
//!
//! A group commit looks up and remembers the effect keys of its whole batch through [`effects`].
//!
//! A request or an answer that holds a secret goes through [`once_secret`]: what is remembered of it is sealed under the
//! keys of [`Database::sealed_by`], and [`reseal`] is how these change.

mod bulk;
mod outcome;
mod registry;
mod reseal;
mod rows;
mod vault;

/// Many effect keys at once, for a group commit.
pub mod effects {
    pub use super::bulk::{Known, LARGEST_BATCH, Settled, answers, known, part, remember};
}

pub use outcome::Outcome;
pub(crate) use outcome::{decode, encode, encode_sealed};
pub(crate) use registry::{Abandoned, Registry, Turn};
pub use reseal::{Resealed, reseal};
pub(crate) use rows::{Draft, NewSaga, Slot, State};
pub use rows::{MIGRATION, SEALED};
pub(crate) use vault::{ClaimName, Vault, note_key, step_context};

use crate::{Backend, Database, ErrorKind, OrFault as _, Sql as _, Tx, kind_of};
use beem_fault::{Code, Fault, Result};
use futures::future::BoxFuture;
use sea_orm::ConnectionTrait as _;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long a request key is remembered, from its first use.
pub const RETENTION_MS: i64 = 24 * 60 * 60 * 1000;
/// How often a waiter looks whether another process has come to an end.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// A key from outside. Its `Debug` leaves the fingerprint out: a password could be tried out on it.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// Who asks; never another principal's answer.
    pub principal: String,
    /// Full name of the RPC: `beem.identity.v1.Clients/CreateClient`.
    pub rpc: String,
    /// The caller's `Idempotency-Key`, or the one the gateway derived.
    pub key: String,
    /// [`fingerprint`] of the decoded request.
    pub fingerprint: [u8; 32],
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RequestKey");
        out.field("principal", &self.principal).field("rpc", &self.rpc).field("key", &self.key);
        out.finish_non_exhaustive()
    }
}

/// What a request is, so that another one under the same key is seen: SHA-256 over the RPC and the decoded message.
#[must_use]
pub fn fingerprint(rpc: &str, request: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(rpc.as_bytes());
    hash.update([0]);
    hash.update(request);
    hash.finalize().into()
}

/// Whether something is remembered under the key, or is being done: a look beside all transactions, for whoever would have
/// much to do before [`once`], which alone decides.
///
/// # Errors
/// `unavailable` when the database is away.
pub async fn is_known(db: &Database, key: &RequestKey) -> Result<bool> {
    rows::is_known(db.read(), key, db.clock().now()).await
}

/// Runs `work` under a request key: at most once, in one transaction with its claim and its answer (the bytes).
///
/// The outcome is `idempotency-key-reused` for another request under the key, `request-in-progress` when the first one
/// had not ended by `deadline`, and otherwise what `work` answered, now or the first time.
pub async fn once<'e, W>(db: &Database, key: &RequestKey, deadline: Instant, work: W) -> Outcome
where
    W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
{
    settle(db, &Slot::Request { key, secret: false }, deadline, &work).await
}

/// The same for a request or an answer that holds a secret: answer and fingerprint are stored sealed, so that neither a
/// password nor a token is to be had, or tried out, from what is at rest. A refusal is stored as it is, and names no secret.
///
/// `internal` besides, when the database was given no keys, or when the first answer is under a key that is not held.
pub async fn once_secret<'e, W>(db: &Database, key: &RequestKey, deadline: Instant, work: W) -> Outcome
where
    W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
{
    settle(db, &Slot::Request { key, secret: true }, deadline, &work).await
}

/// The same under an effect key, remembered for ever: what the callee of a saga's step does.
pub async fn once_for_ever<'e, W>(
    db: &Database,
    effect_key: &str,
    fingerprint: [u8; 32],
    deadline: Instant,
    work: W,
) -> Outcome
where
    W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
{
    settle(db, &Slot::Effect { key: effect_key, fingerprint }, deadline, &work).await
}

/// The same inside a transaction that does more: one of a batch. The same effect key twice in one batch has one effect,
/// and the second gets the first one's answer.
///
/// # Errors
/// What is no refusal, and undoes the whole batch.
pub async fn once_within<'e, W>(
    tx: &Tx<'e>,
    effect_key: &str,
    fingerprint: [u8; 32],
    work: W,
) -> Result<Outcome>
where
    W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
{
    let slot = Slot::Effect { key: effect_key, fingerprint };
    if slot.insert(tx, &Draft::AtOnce).await? {
        return carry_out(tx, &slot, &work).await;
    }
    match stored(tx, &slot).await {
        Err(fault) if fault.code == Code::IdempotencyKeyReused => Ok(Outcome::first(Err(fault))),
        other => other?.ok_or_else(|| Fault::internal("an effect's claim without its answer")),
    }
}

/// Forgets at most `max` request keys past their time; how many it was. To be called every minute or so.
///
/// # Errors
/// `unavailable` when the database is away.
pub async fn purge(db: &Database, max: u32) -> Result<u64> {
    db.write(|tx| Box::pin(rows::purge(tx, max))).await
}

async fn settle<'e, W>(db: &Database, slot: &Slot<'_>, deadline: Instant, work: &W) -> Outcome
where
    W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
{
    // Those of this process queue here rather than at the database, where each would hold a connection.
    let Some(_turn) = db.inner.registry.turn(slot.name(), deadline).await else {
        return Outcome::first(Err(in_progress()));
    };
    // Whether this one stands at the database, behind another's uncommitted key.
    let behind = &AtomicBool::new(false);
    loop {
        let written = db.write(|tx| Box::pin(attempt(tx, slot, deadline, behind, work)));
        match tokio::time::timeout_at(deadline, written).await {
            Err(_) if behind.load(Ordering::Relaxed) => return Outcome::first(Err(in_progress())),
            Err(_) => return Outcome::first(Err(Fault::deadline())),
            Ok(Err(fault)) => return Outcome::first(Err(fault)),
            Ok(Ok(Some(outcome))) => return outcome,
            Ok(Ok(None)) if Instant::now() + LOOK >= deadline => return Outcome::first(Err(in_progress())),
            Ok(Ok(None)) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// One try: none while another runs under this key.
async fn attempt<'e, W>(
    tx: &Tx<'e>,
    slot: &Slot<'_>,
    deadline: Instant,
    behind: &AtomicBool,
    work: &W,
) -> Result<Option<Outcome>>
where
    W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
{
    wait_no_longer_than(tx, deadline).await?;
    behind.store(true, Ordering::Relaxed);
    let fresh = slot.insert(tx, &Draft::AtOnce).await;
    let fresh = fresh.map_err(|fault| match kind_of(&fault) {
        Some(ErrorKind::LockTimeout) => in_progress().caused_by(fault),
        _ => fault,
    })?;
    behind.store(false, Ordering::Relaxed);
    if fresh {
        return carry_out(tx, slot, work).await.map(Some);
    }
    stored(tx, slot).await
}

/// What was answered before; none while another runs under this key.
async fn stored(tx: &Tx<'_>, slot: &Slot<'_>) -> Result<Option<Outcome>> {
    slot.stored(tx).await?.map_or(Ok(None), |stored| stored.answer(tx, slot))
}

/// Effect and answer, under a claim that is ours.
async fn carry_out<'e, W>(tx: &Tx<'e>, slot: &Slot<'_>, work: &W) -> Result<Outcome>
where
    W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
{
    tx.execute_unprepared("SAVEPOINT effect").await.or_fault()?;
    let result = work(tx).await;
    if let Err(fault) = &result {
        if !fault.is_refusal() {
            return Err(fault.clone());
        }
        tx.execute_unprepared("ROLLBACK TO SAVEPOINT effect").await.or_fault()?;
    }
    tx.execute_unprepared("RELEASE SAVEPOINT effect").await.or_fault()?;
    slot.store(tx, &result).await?;
    Ok(Outcome::first(result))
}

/// PostgreSQL waits for another's uncommitted key inside the insert; it must not wait beyond the deadline.
async fn wait_no_longer_than(tx: &Tx<'_>, deadline: Instant) -> Result<()> {
    if tx.backend() == Backend::Postgres {
        let left_ms = deadline.saturating_duration_since(Instant::now()).as_millis().clamp(1, 600_000);
        tx.run("SELECT set_config('lock_timeout', $1, true)", vec![left_ms.to_string().into()]).await?;
    }
    Ok(())
}

pub(crate) fn in_progress() -> Fault {
    Fault::new(Code::RequestInProgress, "the first request under this key has not ended yet")
}

pub(crate) fn reused() -> Fault {
    Fault::new(Code::IdempotencyKeyReused, "this key was used for another request")
}
