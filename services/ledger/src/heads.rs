//! Signed heads of the books, and the task that signs them: in every interval in which something was entered, one over the
//! newest entry of each account that has a new one. Books that are cut off, or written anew with all their hashes, do not
//! reach their heads; each head is also a row of the audit trail, which authz keeps under a key of its own.

use crate::domain::Digest;
use crate::settings::LedgerSettings;
use crate::store::heads::{self as store, Head, HeadEntry};
use beem_clock::Moment;
use beem_database::{Database, Tx};
use beem_events::audit::{self, NewAuditRow};
use beem_fault::{Fault, Result};
use beem_ids::LedgerAccountId;
use beem_proto::ledger::v1 as wire;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use prost::Message as _;
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Stands before the signed bytes, so that nothing else signed with the same key can pass for a head.
const CONTEXT: &[u8] = b"beem.ledger.v1.LedgerHead\n";
/// How often one looks whether a head is due.
const LOOK: Duration = Duration::from_secs(5);
/// Accounts in one head: more of them take several heads, one after the other.
const MOST_ENTRIES: i64 = 5_000;

pub(crate) fn to_wire(head: &Head) -> wire::LedgerHead {
    wire::LedgerHead {
        number: u64::try_from(head.number).unwrap_or(0),
        time_ms: head.time_ms,
        digest: head.digest.clone(),
        signature: head.signature.clone(),
    }
}

/// Whether one of the keys signed it.
pub(crate) fn is_signed(head: &wire::LedgerHead, keys: &[VerifyingKey]) -> bool {
    let Ok(signature) = Signature::from_slice(&head.signature) else { return false };
    let bytes = signed_bytes(head);
    keys.iter().any(|key| key.verify_strict(&bytes, &signature).is_ok())
}

fn signed_bytes(head: &wire::LedgerHead) -> Vec<u8> {
    let unsigned = wire::LedgerHead { signature: Vec::new(), ..head.clone() };
    [CONTEXT, &unsigned.encode_to_vec()].concat()
}

/// Over the digest of the head before (empty for the first) and what this one reaches, in the order of the accounts.
pub(crate) fn digest(number: i64, time_ms: i64, previous: &[u8], entries: &[HeadEntry]) -> Vec<u8> {
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let head = Digest::of("beem.ledger.v1 head").number(number).number(time_ms).bytes(previous).number(count);
    let all = entries.iter().fold(head, |digest, entry| {
        digest.bytes(entry.account.0.as_bytes()).number(entry.sequence).bytes(&entry.hash)
    });
    all.done().to_vec()
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Keeper {
    database: Database,
    key: SigningKey,
    interval_ms: i64,
}

impl Keeper {
    pub(crate) fn new(database: Database, key: SigningKey, settings: &LedgerSettings) -> Self {
        let interval_ms = i64::from(settings.head_interval_s).saturating_mul(1000);
        Self { database, key, interval_ms }
    }

    /// Signs whenever a head is due, until cancelled.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let mut was_away = false;
        loop {
            let outcome = self.sign_due().await;
            if let (Err(fault), false) = (&outcome, was_away) {
                tracing::warn!(?fault, "the books cannot be signed, trying again");
            }
            was_away = outcome.is_err();
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    /// The first head of a round is due by the time of the newest one, wherever that was signed; those after it in the same
    /// round take the accounts that did not fit.
    async fn sign_due(&self) -> Result<()> {
        if !self.is_due(store::newest(self.database.read()).await?.as_ref(), self.database.clock().now()) {
            return Ok(());
        }
        let mut after = None;
        loop {
            after = match self.database.write(|tx| Box::pin(self.sign(tx, after))).await? {
                Some(last) => Some(last),
                None => return Ok(()),
            };
        }
    }

    /// A clock that was set back by more than the interval does not keep heads away until it is there again.
    fn is_due(&self, newest: Option<&Head>, now: Moment) -> bool {
        let since = |head: &Head| now.ms_since(Moment::from_unix_ms(head.time_ms));
        newest.is_none_or(|head| since(head).saturating_abs() >= self.interval_ms)
    }

    /// Signs what no head has, beyond this account; the last one when there are more.
    async fn sign(&self, tx: &Tx<'_>, after: Option<LedgerAccountId>) -> Result<Option<LedgerAccountId>> {
        store::lock(tx).await?;
        let newest = store::newest(tx).await?;
        // Another process was first.
        if after.is_none() && !self.is_due(newest.as_ref(), tx.now()) {
            return Ok(None);
        }
        let entries = store::not_in_a_head(tx, after, MOST_ENTRIES).await?;
        let Some(last) = entries.last() else { return Ok(None) };
        let (number, previous) = newest.map_or((0, Vec::new()), |head| (head.number, head.digest));
        let number = number.checked_add(1).ok_or_else(|| Fault::internal("no more heads"))?;
        let time_ms = tx.now().unix_ms();
        let digest = digest(number, time_ms, &previous, &entries);
        let mut head = Head { number, time_ms, digest, signature: Vec::new() };
        head.signature = self.key.sign(&signed_bytes(&to_wire(&head))).to_bytes().to_vec();
        store::insert(tx, &head, &entries).await?;
        audit::record(tx, audit_row(&head)).await?;
        let full = i64::try_from(entries.len()).is_ok_and(|rows| rows >= MOST_ENTRIES);
        Ok(full.then_some(last.account))
    }
}

/// Published: authz chains it with everything else that happened.
fn audit_row(head: &Head) -> NewAuditRow {
    NewAuditRow {
        after: Some(json!({ "number": head.number, "digest": hex(&head.digest) })),
        ..NewAuditRow::by_installation("LedgerHead", "ledger-head", &head.number.to_string())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
