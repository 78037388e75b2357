//! One run of one saga: what it knows, its steps, its end.

use super::rows::{self, Claimed};
use super::{LEASE_MS, RENEW, is_lost};
use crate::claims::encode;
use crate::{Database, Tx};
use beem_fault::{Fault, Result};
use futures::future::BoxFuture;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// A saga being carried out, for the first time or again.
pub struct SagaRun {
    db: Database,
    claimed: Claimed,
    ids: serde_json::Value,
    finished: OnceLock<Vec<u8>>,
}

impl SagaRun {
    pub(super) fn new(db: Database, claimed: Claimed) -> Self {
        // Written by `Sagas::run` from a JSON value; null stands for what cannot be.
        let ids = serde_json::from_str(&claimed.ids).unwrap_or_default();
        Self { db, claimed, ids, finished: OnceLock::new() }
    }

    /// Drawn once, with the claim.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.claimed.saga_id
    }

    /// What `draw_ids` drew for the first run; the same in every one.
    #[must_use]
    pub fn ids(&self) -> &serde_json::Value {
        &self.ids
    }

    /// The request.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.claimed.payload
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
        if let Some(answer) = rows::step(self.db.read(), self.id(), name).await? {
            return answer;
        }
        let answer = call().await;
        if let Err(fault) = &answer
            && !fault.is_refusal()
        {
            return answer;
        }
        let outcome = &encode(&answer)?;
        let claimed = &self.claimed;
        self.db.write(|tx| Box::pin(rows::store_step(tx, claimed, name, outcome))).await?;
        answer
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
        Ok(self.finished.get_or_init(|| answer).clone())
    }

    async fn end_with<'e, W>(&self, tx: &Tx<'e>, work: &W) -> Result<Vec<u8>>
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
    {
        rows::renew(tx, &self.claimed).await?;
        let answer = work(tx).await?;
        let stored = encode(&Ok(answer.clone()))?;
        rows::end(tx, &self.claimed, &stored).await?;
        Ok(answer)
    }

    /// Remembers what the saga ended with, or gives it back to be tried again.
    pub(super) async fn conclude(&self, result: Result<Vec<u8>>) -> Result<Vec<u8>> {
        if let Some(answer) = self.finished.get() {
            return Ok(answer.clone());
        }
        let claimed = &self.claimed;
        match &result {
            Err(fault) if is_lost(fault) => {}
            Err(fault) if !fault.is_refusal() => {
                let (rpc, saga) = (&claimed.rpc, claimed.saga_id);
                tracing::warn!(rpc, %saga, attempt = claimed.fence, ?fault, "a saga stopped and will be resumed");
                if let Err(fault) = self.db.write(|tx| Box::pin(rows::release(tx, claimed))).await {
                    tracing::debug!(%saga, ?fault, "its lease lapses by itself");
                }
            }
            Ok(_) | Err(_) => {
                let outcome = &encode(&result)?;
                self.db.write(|tx| Box::pin(rows::end(tx, claimed, outcome))).await?;
            }
        }
        result
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
