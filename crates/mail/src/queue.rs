//! The queue: rows that wait, put there by whoever has something to say.

use crate::is_address;
use crate::rows;
use beem_database::{Database, Sql as _, Tx};
use beem_fault::{Fault, Result};
use beem_sealing::Sealing;
use serde_json::Value as Json;
use std::sync::Arc;
use tokio::sync::Notify;
use uuid::Uuid;

/// Payloads looked at in one go.
const PAGE: u32 = 500;

/// Where a service puts its mail. Cheap to clone; the [`crate::Mailer`] gets one of the clones.
#[derive(Clone)]
pub struct MailQueue {
    pub(crate) sealing: Sealing,
    pub(crate) added: Arc<Notify>,
}

/// A mail to send. It does not print: what it is made of may be a token.
#[derive(Clone)]
pub struct NewMail {
    /// The address alone: `ada@example.com`.
    pub to: String,
    /// What [`crate::Render`] tells mails apart by; shown in logs and metrics.
    pub kind: &'static str,
    /// What it is made of, tokens included. Sealed while it waits, cleared when it was sent.
    pub content: Json,
}

impl MailQueue {
    /// A queue whose payloads are sealed with `sealing`.
    #[must_use]
    pub fn new(sealing: Sealing) -> Self {
        Self { sealing, added: Arc::default() }
    }

    /// Queues a mail in this transaction: it is sent if and only if the transaction commits. Its id, which is its
    /// `Message-ID` as well.
    ///
    /// # Errors
    /// `internal` for what is not an address (see [`is_address`]); as [`beem_database::ErrorKind`] classifies.
    pub async fn add(&self, tx: &Tx<'_>, mail: &NewMail) -> Result<Uuid> {
        if !is_address(&mail.to) {
            return Err(Fault::internal("a mail was queued for what is not an address"));
        }
        let id = beem_ids::draw(tx.now(), tx.entropy());
        let plain = serde_json::to_vec(&mail.content).map_err(Fault::internal)?;
        let payload = self.sealing.seal(&rows::context(id), &plain, tx.entropy());
        rows::insert(tx, id, mail, payload).await?;
        // A hint, and early: the row is there only after the commit, which the mailer allows for.
        self.added.notify_one();
        Ok(id)
    }
}

/// Forgets at most `max` mails that were sent or have failed and were queued longer than `older_ms` ago; how many.
///
/// # Errors
/// `unavailable` when the database is away.
pub async fn purge(db: &Database, older_ms: i64, max: u32) -> Result<u64> {
    let before_ms = db.clock().now().plus_ms(older_ms.saturating_neg()).unix_ms();
    let sql = "DELETE FROM mails WHERE id IN (
        SELECT id FROM mails WHERE payload IS NULL AND created_ms <= $1 ORDER BY created_ms LIMIT $2)";
    db.write(|tx| Box::pin(async move { tx.run(sql, vec![before_ms.into(), i64::from(max).into()]).await }))
        .await
}

/// What a round of [`reseal`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resealed {
    pub resealed: u64,
    /// Whether there were more than `max`: go on.
    pub more: bool,
}

/// Seals at most `max` waiting payloads again that are not under the key that seals now. Those under way keep to the key
/// they were opened with.
///
/// # Errors
/// `internal` when one does not open; `unavailable` when the database is away.
pub async fn reseal(db: &Database, sealing: &Sealing, max: u32) -> Result<Resealed> {
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let (mut old, mut after) = (Vec::new(), Uuid::nil());
    while old.len() <= max {
        let page = rows::payloads(db, after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        old.extend(page.into_iter().filter(|(_, payload)| !sealing.is_current(payload)));
    }
    let more = old.len() > max;
    old.truncate(max);
    let mut pairs = Vec::with_capacity(old.len());
    for (id, payload) in old {
        if let Some(fresh) = sealing.reseal(&rows::context(id), &payload, db.entropy())? {
            pairs.push((id, payload, fresh));
        }
    }
    let pairs = &pairs;
    let resealed = db.write(|tx| Box::pin(replace_all(tx, pairs))).await?;
    Ok(Resealed { resealed, more })
}

async fn replace_all(tx: &Tx<'_>, pairs: &[(Uuid, Vec<u8>, Vec<u8>)]) -> Result<u64> {
    let mut replaced = 0;
    for (id, old, new) in pairs {
        replaced += rows::replace_payload(tx, *id, old, new).await?;
    }
    Ok(replaced)
}
