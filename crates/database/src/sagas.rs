//! Sagas: writes across services. The claim is stored first, with every id drawn; then each step is a call under an
//! effect key derived from it, its answer stored before the next; the last step is local and carries the answer. Whoever
//! finds a claim whose runner is gone goes on where it stopped, so that none is ever left half way.
//!
//! Two runners at once (one was paused, one took over) do no harm: remote steps repeat under the same effect keys, and
//! every local write ([`SagaRun::write`], [`SagaRun::finish`], [`SagaRun::refuse`]) first compares owner and fence in the
//! claim's row.
//!
//! A saga that changes a thing takes it first, and waits while another has it ([`Saga::waits`]). One that never came to
//! have it did nothing and told nobody anything, so it is *forgotten* with its claim, and not carried out at a later time,
//! when it could undo what was asked for and answered meanwhile. Whoever has the thing is gone on with, and keeps it until
//! the end. So an answered change is never undone by one that was asked for before it.

mod resume;
mod rows;
mod run;

pub use rows::MIGRATION;
pub use run::SagaRun;

use crate::claims::{self, Abandoned, Draft, NewSaga, Outcome, RequestKey, Slot, State, in_progress};
use crate::{Database, Tx};
use beem_fault::{Fault, Result};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use rows::Claimed;
use std::collections::HashMap;
use std::error::Error as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long a runner may be silent before another takes over.
pub(crate) const LEASE_MS: i64 = 15_000;
/// How often it says that it is still there.
const RENEW: Duration = Duration::from_secs(5);

/// One kind of saga.
pub trait Saga: Send + Sync + 'static {
    /// Full name of the RPC it carries out.
    fn rpc(&self) -> &'static str;

    /// Whether its first step is a [`SagaRun::write`] that takes what it changes, and may have to wait for that. A run that
    /// ends (by an error, a deadline, the death of its process) before that step is stored is forgotten: nothing is done
    /// later, and the same key begins anew.
    fn waits(&self) -> bool {
        false
    }

    /// Whether its request, its answer or that of a step holds a secret. Then these, the ids drawn and the fingerprint are
    /// stored sealed, under the keys of [`Database::sealed_by`]. Decided with the claim: a saga goes on as it began.
    fn secret(&self) -> bool {
        false
    }

    /// Carries it out, or goes on with it: everything before [`SagaRun::finish`] goes through [`SagaRun::step`] and
    /// [`SagaRun::write`]. A refusal ends it and is remembered; undo what earlier steps did first, or do it in
    /// [`SagaRun::refuse`]. Any other error is tried again later.
    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>>;
}

/// The sagas of a service. Cheap to clone.
#[derive(Clone)]
pub struct Sagas {
    db: Database,
    kinds: Arc<HashMap<&'static str, Arc<dyn Saga>>>,
}

impl Sagas {
    #[must_use]
    pub fn new(db: Database, kinds: Vec<Arc<dyn Saga>>) -> Self {
        let kinds = kinds.into_iter().map(|saga| (saga.rpc(), saga)).collect();
        Self { db, kinds: Arc::new(kinds) }
    }

    /// Claims the key, draws and stores the ids, and runs the saga of `key.rpc` to its end. `payload` is the request and
    /// `actor` who asked, both as a resumed run will need them.
    ///
    /// Outcomes as of [`claims::once`]; besides, `deadline` when the claim was not to be had in time, or when our own run
    /// had not ended: then it goes on in [`Sagas::resume`], if it had begun.
    pub async fn run(
        &self,
        key: &RequestKey,
        draw_ids: impl FnOnce() -> serde_json::Value + Send,
        payload: &[u8],
        actor: &[u8],
        deadline: Instant,
    ) -> Outcome {
        // Whether another one was seen to run under this key.
        let behind = AtomicBool::new(false);
        let ids = draw_ids().to_string();
        let settled = self.settle(key, &ids, payload, actor, deadline, &behind);
        match tokio::time::timeout_at(deadline, settled).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(fault)) => Outcome::first(Err(fault)),
            Err(_) if behind.load(Ordering::Relaxed) => Outcome::first(Err(in_progress())),
            Err(_) => Outcome::first(Err(Fault::deadline())),
        }
    }

    async fn settle(
        &self,
        key: &RequestKey,
        ids: &str,
        payload: &[u8],
        actor: &[u8],
        deadline: Instant,
        behind: &AtomicBool,
    ) -> Result<Outcome> {
        let Some(kind) = self.kinds.get(key.rpc.as_str()) else {
            return Err(Fault::internal(format!("no saga carries out {}", key.rpc)));
        };
        let slot = Slot::Request { key, secret: kind.secret() };
        let registry = &self.db.inner.registry;
        // Only another one's turn makes this wait.
        behind.store(true, Ordering::Relaxed);
        let Some(_turn) = registry.turn(slot.name(), deadline).await else { return Err(in_progress()) };
        behind.store(false, Ordering::Relaxed);
        loop {
            let slot = &slot;
            match self.db.write(|tx| Box::pin(self.claim(tx, slot, ids, payload, actor))).await? {
                Claim::Ours(claimed) => {
                    behind.store(false, Ordering::Relaxed);
                    let running = Running::start(&self.db, &claimed);
                    return Ok(Outcome::first(self.execute(claimed, running).await));
                }
                Claim::Done(outcome) => return Ok(outcome),
                Claim::Elsewhere => {
                    behind.store(true, Ordering::Relaxed);
                    tokio::time::sleep(claims::LOOK).await;
                }
            }
        }
    }

    /// A new claim, or one whose runner is gone.
    async fn claim(
        &self,
        tx: &Tx<'_>,
        slot: &Slot<'_>,
        ids: &str,
        payload: &[u8],
        actor: &[u8],
    ) -> Result<Claim> {
        let process = self.db.inner.process;
        let draft = Draft::Saga(NewSaga {
            id: beem_ids::draw(tx.now(), tx.entropy()),
            ids,
            payload,
            actor,
            owner: process,
            lease_until_ms: tx.now().unix_ms().saturating_add(LEASE_MS),
        });
        let fresh = slot.insert(tx, &draft).await?;
        let Some(stored) = slot.stored(tx).await? else { return Ok(Claim::Elsewhere) };
        stored.check(slot)?;
        let row = match stored.state {
            State::Done(outcome) => return Ok(Claim::Done(Outcome::again(slot.decode(tx, &outcome)?))),
            State::Running(row) => Claimed::read(&row)?,
        };
        if fresh {
            return Ok(Claim::Ours(row));
        }
        let silent =
            row.owner.is_none() || row.owner == Some(process) || row.lease_until_ms <= tx.now().unix_ms();
        if !silent || self.db.inner.registry.is_running(row.saga_id) {
            return Ok(Claim::Elsewhere);
        }
        Ok(Claim::Ours(rows::take_over(tx, row, process).await?))
    }

    /// Runs a claim of ours to its end, or gives it back.
    async fn execute(&self, claimed: Claimed, mut running: Running) -> Result<Vec<u8>> {
        let kind =
            self.kinds.get(claimed.rpc.as_str()).ok_or_else(|| Fault::internal("a saga lost its kind"))?;
        let run = SagaRun::new(self.db.clone(), claimed);
        let result = match run.opened() {
            Ok(()) => {
                let carried_out = AssertUnwindSafe(kind.run(&run)).catch_unwind();
                tokio::select! {
                    result = carried_out => result.unwrap_or_else(|_| Err(Fault::internal("a saga panicked"))),
                    fault = run.keep_lease() => Err(fault),
                }
            }
            // Left to a process that has the key.
            Err(fault) => Err(fault),
        };
        let result = run.conclude(result, kind.waits()).await;
        running.ended = true;
        result
    }
}

enum Claim {
    Ours(Claimed),
    Done(Outcome),
    Elsewhere,
}

/// A run of this process. Dropped before its end (the caller went away), it hands the saga to [`Sagas::resume`].
struct Running {
    db: Database,
    saga: Abandoned,
    ended: bool,
}

impl Running {
    fn start(db: &Database, claimed: &Claimed) -> Self {
        db.inner.registry.start(claimed.saga_id);
        let saga = Abandoned { saga_id: claimed.saga_id, fence: claimed.fence };
        Self { db: db.clone(), saga, ended: false }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.db.inner.registry.stop(self.saga.saga_id);
        if !self.ended {
            self.db.inner.registry.abandon(self.saga);
        }
    }
}

/// The claim is another runner's now: told apart from a callee that says `request-in-progress`.
#[derive(Debug, thiserror::Error)]
#[error("another runner has taken this saga over")]
struct LeaseLost;

fn lost() -> Fault {
    in_progress().caused_by(LeaseLost)
}

fn is_lost(fault: &Fault) -> bool {
    fault.source().is_some_and(|source| source.is::<LeaseLost>())
}
