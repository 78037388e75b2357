//! A write that changes one service's own database: carried out once under its key, told to the audit trail, and kept from
//! taking all of the database's connections. Writes across services are `beem_database::sagas`.
//!
//! - [`Writes::write`]: an actor's write under its request key, in one transaction with its audit row and its answer.
//! - [`Writes::is_known`]: whether there is an answer already.
//! - [`Writes::effect`]: another service's write under its effect key.
//! - [`Trail`]: what the audit trail says of an actor's write.
//! - [`audit_task`]: hands the audit rows on to authz.

mod audit;
mod trail;

pub use audit::audit_task;
pub use trail::Trail;

use beem_database::claims::{self, Outcome, RequestKey, fingerprint};
use beem_database::{Database, Tx};
use beem_fault::{Code, Fault, Result};
use futures::future::BoxFuture;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// For a call that came without a deadline.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The largest request of an actor's write, in bytes of its message.
const LARGEST_REQUEST: usize = 128 * 1024;

/// The writes of one service's process.
#[derive(Debug)]
pub struct Writes {
    /// One for each that is under way.
    turns: Semaphore,
}

/// Whether a request or its answer holds a secret, so that what is remembered of them is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remember {
    Plain,
    Sealed,
}

impl Writes {
    /// At most so many are under way at once: fewer than the database has connections, when something else needs them.
    #[must_use]
    pub fn new(at_once: u32) -> Self {
        Self { turns: Semaphore::new(usize::try_from(at_once).unwrap_or(1).max(1)) }
    }

    /// Carries out an actor's write under its request key: at most once, in one transaction with whatever `work` does and
    /// its answer; every repeat gives the first answer. A refusal is remembered, and told to the trail. `rpc` is the full
    /// name, `request` the encoded message, `target` the id of what it changes, if that is there already.
    pub async fn write<'e, W>(
        &self,
        db: &Database,
        trail: Trail<'e>,
        (rpc, remember): (&str, Remember),
        request: &[u8],
        target: &str,
        work: W,
    ) -> Outcome
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
    {
        let actor = trail.actor;
        if actor.request_key.is_empty() {
            return refused(Fault::internal("a write came without a request key"));
        }
        if request.len() > LARGEST_REQUEST {
            let detail = format!("a request has at most {LARGEST_REQUEST} bytes");
            return refused(Fault::new(Code::BodyTooLarge, detail));
        }
        let key = request_key(trail, rpc, request);
        let deadline = beem_runtime::deadline(PATIENCE);
        let _turn = match self.turn(deadline).await {
            Ok(turn) => turn,
            Err(fault) => return refused(fault),
        };
        let outcome = match remember {
            Remember::Plain => claims::once(db, &key, deadline, work).await,
            Remember::Sealed => claims::once_secret(db, &key, deadline, work).await,
        };
        if let Err(fault) = &outcome.result
            && fault.is_refusal()
            && !outcome.replayed
            && let Err(fault) = tell_refusal(db, trail, target, fault).await
        {
            return refused(fault);
        }
        outcome
    }

    /// Whether [`Writes::write`] will give an earlier answer, or wait for one: for whoever would have much to do before it.
    /// Only a look; what is true is for that call to say.
    ///
    /// # Errors
    /// `unavailable` when the database is away.
    pub async fn is_known(db: &Database, trail: Trail<'_>, rpc: &str, request: &[u8]) -> Result<bool> {
        claims::is_known(db, &request_key(trail, rpc, request)).await
    }

    /// Carries out another service's write under its effect key, remembered for ever: at most once, in one transaction with
    /// whatever `work` does and its answer.
    pub async fn effect<'e, W>(&self, db: &Database, key: &str, fingerprint: [u8; 32], work: W) -> Outcome
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
    {
        let deadline = beem_runtime::deadline(PATIENCE);
        match self.turn(deadline).await {
            Ok(_turn) => claims::once_for_ever(db, key, fingerprint, deadline, work).await,
            Err(fault) => refused(fault),
        }
    }

    /// # Errors
    /// `unavailable` when there was none by the deadline: nothing was done.
    async fn turn(&self, deadline: Instant) -> Result<SemaphorePermit<'_>> {
        let turn = timeout_at(deadline, self.turns.acquire()).await;
        turn.map_err(|_| Fault::unavailable("too many writes are under way"))?.map_err(Fault::internal)
    }
}

fn request_key(trail: Trail<'_>, rpc: &str, request: &[u8]) -> RequestKey {
    RequestKey {
        principal: trail.actor.principal.to_string(),
        rpc: rpc.to_owned(),
        key: trail.actor.request_key.clone(),
        fingerprint: fingerprint(rpc, request),
    }
}

async fn tell_refusal(db: &Database, trail: Trail<'_>, target: &str, refusal: &Fault) -> Result<()> {
    let row = &trail.row(target, refusal.code.as_str(), None, None);
    db.write(|tx| Box::pin(async move { beem_events::audit::record(tx, row.clone()).await.map(drop) })).await
}

/// Before there is a claim.
#[must_use]
pub const fn refused(fault: Fault) -> Outcome {
    Outcome { result: Err(fault), replayed: false }
}
