//! One run of one saga: what it knows, its steps, its end. Every write of a run goes through here, and compares owner and
//! fence in its own transaction: a runner that was paused for longer than its lease changes nothing any more.

use super::rows::{self, Claimed};
use super::{LEASE_MS, RENEW, is_lost};
use crate::claims::{Turn, encode, encode_sealed, step_context};
use crate::{Database, Tx};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_fault::{Fault, Result};
use beem_sealing::Zeroizing;
use futures::future::BoxFuture;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// From this run on, one that stops is an error for somebody to look at: minutes after the first.
const STUCK: i64 = 10;

/// A saga being carried out, for the first time or again.
pub struct SagaRun {
    db: Database,
    claimed: Claimed,
    opened: Opened,
    unopened: Option<Fault>,
    finished: OnceLock<Result<Vec<u8>>>,
    turn: Mutex<Option<Turn>>,
}

/// What the claim holds for its runs.
#[derive(Default)]
struct Opened {
    ids: serde_json::Value,
    payload: Zeroizing<Vec<u8>>,
}

impl Opened {
    fn of(db: &Database, claimed: &Claimed) -> Result<Self> {
        if !claimed.secret {
            // Written by `Sagas::run` from a JSON value; null stands for what cannot be.
            let ids = serde_json::from_str(&claimed.ids).unwrap_or_default();
            return Ok(Self { ids, payload: Zeroizing::new(claimed.payload.clone()) });
        }
        let vault = db.vault();
        let sealed = STANDARD.decode(&claimed.ids).map_err(Fault::internal)?;
        let ids = vault.open(&claimed.name.column("ids"), &sealed)?;
        let payload = vault.open(&claimed.name.column("payload"), &claimed.payload)?;
        Ok(Self { ids: serde_json::from_slice(&ids).unwrap_or_default(), payload })
    }
}

impl SagaRun {
    pub(super) fn new(db: Database, claimed: Claimed) -> Self {
        let (opened, unopened) = match Opened::of(&db, &claimed) {
            Ok(opened) => (opened, None),
            Err(fault) => (Opened::default(), Some(fault)),
        };
        Self { db, claimed, opened, unopened, finished: OnceLock::new(), turn: Mutex::new(None) }
    }

    /// Whether what the claim holds could be read: without the key of a secret saga it cannot be run.
    pub(super) fn opened(&self) -> Result<()> {
        self.unopened.clone().map_or(Ok(()), Err)
    }

    /// Drawn once, with the claim.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.claimed.saga_id
    }

    /// What `draw_ids` drew for the first run; the same in every one.
    #[must_use]
    pub fn ids(&self) -> &serde_json::Value {
        &self.opened.ids
    }

    /// The request.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.opened.payload
    }

    /// Who asked, for the audit trail: a resumed run acts as its service.
    #[must_use]
    pub fn actor(&self) -> &[u8] {
        &self.claimed.actor
    }

    /// Which run this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> i64 {
        self.claimed.fence
    }

    #[must_use]
    pub fn db(&self) -> &Database {
        &self.db
    }

    /// The key under which the callee of a step does it once: `<rpc>:<saga id>:<step>`.
    #[must_use]
    pub fn effect_key(&self, step: &str) -> String {
        format!("{}:{}:{step}", self.claimed.rpc, self.claimed.saga_id)
    }

    /// Waits for its turn among the runs of this process that want the same thing, and keeps it until the run ends; false
    /// when `until` came first. It spares looking at the database for each other; it protects nothing.
    pub async fn queue(&self, thing: &str, until: Instant) -> bool {
        let turn = self.db.inner.registry.turn(format!("thing\0{thing}"), until).await;
        let mut held = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        *held = turn;
        held.is_some()
    }

    /// The stored answer of step `name`, if it was taken; a refusal is the inner error.
    ///
    /// # Errors
    /// `unavailable` when the database is away.
    pub async fn answered(&self, name: &str) -> Result<Option<Result<Vec<u8>>>> {
        rows::step(self.db.read(), self.db.vault(), self.id(), name).await
    }

    /// The answer of step `name`: stored, or by `call`, which passes [`SagaRun::effect_key`] to its callee. It is stored
    /// before this returns. A refusal is stored and given again like an answer.
    ///
    /// # Errors
    /// What the callee refused; anything else should be passed on, which ends this run.
    pub async fn step<F, Fut>(&self, name: &str, call: F) -> Result<Vec<u8>>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<Vec<u8>>> + Send,
    {
        if let Some(answer) = self.answered(name).await? {
            return answer;
        }
        let answer = call().await;
        if let Err(fault) = &answer
            && !fault.is_refusal()
        {
            return answer;
        }
        let outcome = &self.encode_step(name, &answer)?;
        let claimed = &self.claimed;
        let stored = self.db.write(|tx| {
            Box::pin(async move {
                rows::renew(tx, claimed).await?;
                rows::store_step(tx, claimed, name, outcome).await
            })
        });
        stored.await?;
        answer
    }

    /// A step of ours: what `work` writes commits together with its answer, once. None from `work` says "not now", and a
    /// refusal "no": either leaves nothing.
    ///
    /// # Errors
    /// What `work` refused; `request-in-progress` when another runner has taken over.
    pub async fn write<'e, W>(&self, name: &str, work: W) -> Result<Option<Vec<u8>>>
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Option<Vec<u8>>>> + Send + Sync,
    {
        if let Some(answer) = self.answered(name).await? {
            return answer.map(Some);
        }
        let work = &work;
        self.db.write(|tx| Box::pin(self.write_with(tx, name, work))).await
    }

    async fn write_with<'e, W>(&self, tx: &Tx<'e>, name: &str, work: &W) -> Result<Option<Vec<u8>>>
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Option<Vec<u8>>>> + Send + Sync,
    {
        rows::renew(tx, &self.claimed).await?;
        let answer = work(tx).await?;
        if let Some(answer) = &answer {
            let outcome = self.encode_step(name, &Ok(answer.clone()))?;
            rows::store_step(tx, &self.claimed, name, &outcome).await?;
        }
        Ok(answer)
    }

    /// The last step: what `work` writes, its outbox and audit rows, and the answer it makes commit together, once.
    /// A refusal undoes `work`; return it from [`super::Saga::run`] and it is remembered.
    ///
    /// # Errors
    /// What `work` refused; `request-in-progress` when another runner has taken over.
    pub async fn finish<'e, W>(&self, work: W) -> Result<Vec<u8>>
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
    {
        let work = &work;
        let answer = self.db.write(|tx| Box::pin(self.end_with(tx, work))).await?;
        self.finished.get_or_init(|| Ok(answer)).clone()
    }

    /// The other end: what `work` writes (giving back what was taken, the audit row) commits together with the refusal,
    /// once. Give the answer, which is the refusal, back from [`super::Saga::run`].
    ///
    /// # Errors
    /// `refusal`; what kept it from being stored, and then the saga is gone on with.
    pub async fn refuse<'e, W>(&self, refusal: &Fault, work: W) -> Result<Vec<u8>>
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<()>> + Send + Sync,
    {
        let (stored, work) = (&encode(&Err(refusal.clone()))?, &work);
        self.db.write(|tx| Box::pin(self.refuse_with(tx, stored, work))).await?;
        self.finished.get_or_init(|| Err(refusal.clone())).clone()
    }

    async fn refuse_with<'e, W>(&self, tx: &Tx<'e>, stored: &[u8], work: &W) -> Result<()>
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<()>> + Send + Sync,
    {
        rows::renew(tx, &self.claimed).await?;
        work(tx).await?;
        rows::end(tx, &self.claimed, stored).await
    }

    async fn end_with<'e, W>(&self, tx: &Tx<'e>, work: &W) -> Result<Vec<u8>>
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
    {
        rows::renew(tx, &self.claimed).await?;
        let answer = work(tx).await?;
        let stored = self.encode_end(&Ok(answer.clone()))?;
        rows::end(tx, &self.claimed, &stored).await?;
        Ok(answer)
    }

    fn encode_step(&self, name: &str, answer: &Result<Vec<u8>>) -> Result<Vec<u8>> {
        if !self.claimed.secret {
            return encode(answer);
        }
        encode_sealed(answer, self.db.vault(), &step_context(self.id(), name))
    }

    fn encode_end(&self, result: &Result<Vec<u8>>) -> Result<Vec<u8>> {
        if !self.claimed.secret {
            return encode(result);
        }
        encode_sealed(result, self.db.vault(), &self.claimed.name.column("outcome"))
    }

    /// Remembers what the saga ended with, or gives it back to be tried again; one that `waits` and has not begun is
    /// forgotten instead.
    pub(super) async fn conclude(&self, result: Result<Vec<u8>>, waits: bool) -> Result<Vec<u8>> {
        if let Some(ended) = self.finished.get() {
            return ended.clone();
        }
        let claimed = &self.claimed;
        match &result {
            Err(fault) if is_lost(fault) => {}
            Err(fault) if !fault.is_refusal() => {
                match self.db.write(|tx| Box::pin(let_go(tx, claimed, waits))).await {
                    Ok(true) => tracing::debug!(saga = %self.id(), %fault, "a saga ended before it began"),
                    Ok(false) => self.warn(fault),
                    Err(away) => {
                        self.warn(fault);
                        tracing::debug!(saga = %self.id(), ?away, "its lease lapses by itself");
                    }
                }
            }
            Ok(_) | Err(_) => {
                let outcome = &self.encode_end(&result)?;
                self.db.write(|tx| Box::pin(rows::end(tx, claimed, outcome))).await?;
            }
        }
        result
    }

    fn warn(&self, fault: &Fault) {
        let (rpc, saga, attempt) = (&self.claimed.rpc, self.id(), self.attempt());
        if attempt < STUCK {
            tracing::warn!(rpc, %saga, attempt, ?fault, "a saga stopped and will be resumed");
        } else {
            tracing::error!(rpc, %saga, attempt, ?fault, "a saga does not come to its end");
        }
    }

    /// Renews the lease for as long as it is polled; ends when it could not, or another runner has taken over.
    pub(super) async fn keep_lease(&self) -> Fault {
        let lease = Duration::from_millis(u64::try_from(LEASE_MS).unwrap_or_default());
        let mut renewed = Instant::now();
        let claimed = &self.claimed;
        loop {
            tokio::time::sleep(RENEW).await;
            match self.db.write(|tx| Box::pin(rows::renew(tx, claimed))).await {
                Ok(()) => renewed = Instant::now(),
                Err(fault) if is_lost(&fault) => return fault,
                Err(fault) if renewed.elapsed() >= lease => return fault,
                Err(_) => {}
            }
        }
    }
}

/// True: it had not begun, and is forgotten.
async fn let_go(tx: &Tx<'_>, claimed: &Claimed, waits: bool) -> Result<bool> {
    if waits && rows::forget_unbegun(tx, claimed).await? {
        return Ok(true);
    }
    rows::release(tx, claimed).await.map(|()| false)
}
