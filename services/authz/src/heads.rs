//! Signed heads of the audit chains, and the task that signs them: each chain soon after its first row and then once in an
//! interval while it grows. A trail that is cut off, or written anew with all its hashes, does not reach its heads. The same
//! task forgets counted refusals and committed changes that are past their time.

use crate::store::{self, Head};
use beem_clock::Clock;
use beem_database::{Database, Tx};
use beem_fault::{Fault, Result};
use beem_proto::authz::v1 as wire;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use futures::future::BoxFuture;
use prost::Message as _;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Stands before the signed bytes, so that nothing else signed with the same key can pass for a head.
const CONTEXT: &[u8] = b"beem.authz.v1.AuditHead\n";
/// How often one looks for chains that are due, unless a chain began.
const LOOK: Duration = Duration::from_secs(10);
/// Between two rounds of forgetting.
const PURGE_PAUSE: Duration = Duration::from_secs(600);
/// Chains signed, or rows forgotten, before one looks again.
const BATCH: i64 = 500;
/// How long a report that was counted is known.
const REPORT_MS: i64 = 24 * 60 * 60 * 1000;
/// How long a change is kept beyond its commit.
const COMMITTED_MS: i64 = 7 * 24 * 60 * 60 * 1000;

pub(crate) fn to_wire(head: &Head) -> wire::AuditHead {
    wire::AuditHead {
        account_id: head.account.to_string(),
        sequence: u64::try_from(head.sequence).unwrap_or(0),
        hash: head.hash.clone(),
        time_ms: head.time_ms,
        signature: head.signature.clone(),
    }
}

/// # Errors
/// `validation-failed` for an account id that is none.
pub(crate) fn from_wire(field: &str, head: &wire::AuditHead) -> Result<Head> {
    let account = head.account_id.parse::<Uuid>();
    Ok(Head {
        account: account.map_err(|_| Fault::field(format!("{field}.accountId"), "not an id"))?,
        sequence: i64::try_from(head.sequence).unwrap_or(i64::MAX),
        hash: head.hash.clone(),
        time_ms: head.time_ms,
        signature: head.signature.clone(),
    })
}

/// Whether one of the keys signed it.
pub(crate) fn is_signed(head: &Head, keys: &[VerifyingKey]) -> bool {
    let Ok(signature) = Signature::from_slice(&head.signature) else { return false };
    let bytes = signed_bytes(head);
    keys.iter().any(|key| key.verify_strict(&bytes, &signature).is_ok())
}

fn signed_bytes(head: &Head) -> Vec<u8> {
    let unsigned = wire::AuditHead { signature: Vec::new(), ..to_wire(head) };
    [CONTEXT, &unsigned.encode_to_vec()].concat()
}

/// See the module.
pub(crate) struct Keeper {
    database: Database,
    key: SigningKey,
    clock: Clock,
    interval_ms: i64,
    refusals_kept_ms: i64,
    began: Notify,
}

impl Keeper {
    pub(crate) fn new(
        database: Database,
        key: SigningKey,
        clock: Clock,
        interval_ms: i64,
        refusals_kept_ms: i64,
    ) -> Self {
        Self { database, key, clock, interval_ms, refusals_kept_ms, began: Notify::new() }
    }

    /// A chain has its first rows, and wants a head soon.
    pub(crate) fn chain_began(&self) {
        self.began.notify_one();
    }

    /// Signs and forgets, again and again, until cancelled.
    pub(crate) async fn run(&self, cancel: CancellationToken) {
        let mut purge_at = Instant::now();
        let mut was_away = false;
        loop {
            let mut outcome = self.sign_due().await;
            if outcome.is_ok() && Instant::now() >= purge_at {
                purge_at = Instant::now() + PURGE_PAUSE;
                outcome = self.purge().await;
            }
            if let (Err(fault), false) = (&outcome, was_away) {
                tracing::warn!(?fault, "the audit trail cannot be kept, trying again");
            }
            was_away = outcome.is_err();
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.began.notified(), if !was_away => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    async fn sign_due(&self) -> Result<()> {
        let signature = &|head: &Head| Ok(self.key.sign(&signed_bytes(head)).to_bytes().to_vec());
        loop {
            let before = self.clock.now().plus_ms(self.interval_ms.saturating_neg()).unix_ms();
            let due = store::due(self.database.read(), before, BATCH).await?;
            for account in &due {
                self.database.write(|tx| Box::pin(store::sign(tx, *account, signature))).await?;
            }
            if i64::try_from(due.len()).is_ok_and(|signed| signed < BATCH) {
                return Ok(());
            }
        }
    }

    async fn purge(&self) -> Result<()> {
        let now = self.clock.now();
        let minute_s = now.plus_ms(self.refusals_kept_ms.saturating_neg()).unix_ms().div_euclid(1000);
        let reported_ms = now.plus_ms(REPORT_MS.saturating_neg()).unix_ms();
        let committed_ms = now.plus_ms(COMMITTED_MS.saturating_neg()).unix_ms();
        self.forget(|tx| Box::pin(store::purge_counts(tx, minute_s, BATCH))).await?;
        self.forget(|tx| Box::pin(store::purge_reports(tx, reported_ms, BATCH))).await?;
        self.forget(|tx| Box::pin(store::purge_committed(tx, committed_ms, BATCH))).await
    }

    /// Batch by batch, until one was not full.
    async fn forget<W>(&self, batch: W) -> Result<()>
    where
        W: for<'t> Fn(&'t Tx<'static>) -> BoxFuture<'t, Result<u64>> + Send + Sync,
    {
        let full = u64::try_from(BATCH).map_err(Fault::internal)?;
        while self.database.write(&batch).await? >= full {}
        Ok(())
    }
}
