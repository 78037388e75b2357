//! The way of audit rows to authz: oldest first, marked once authz has them, so that a crash in between pushes them again
//! and authz takes each once. A row waits as long as it must, and is forgotten a while after it has arrived.

use super::{AuditRow, LARGEST_PUSH, mark_pushed, unpushed};
use crate::Feed;
use beem_clock::Moment;
use beem_database::{Database, Sql as _};
use beem_fault::Result;
use beem_proto::authz::v1 as wire;
use futures::future::BoxFuture;
use serde_json::{Value as Json, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Bytes of rows in one push, so that it fits into a request however large its rows are; one row always goes.
const PUSH_BYTES: usize = 1024 * 1024;
/// Bytes of before, or of after, in a row: what is larger goes as its size alone and stays here whole while the row does.
const VALUE_BYTES: usize = 256 * 1024;
/// How often one looks for what another process has recorded, or left behind.
const POLL: Duration = Duration::from_secs(1);
/// The pause after a failure, doubling from the first to the second.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// Whoever keeps the trail: authz, over a service's link.
pub trait Trail: Send + Sync {
    /// As `Audit.PushAuditRows`: all of them, each once by its id, or none.
    fn push(&self, rows: Vec<wire::AuditRow>) -> BoxFuture<'_, Result<()>>;
}

/// Pushes rows until cancelled: at once after a record of this process, as long as [`Feed::sequence`] runs on a clone of
/// the same feed, and within a second after one of another. Several processes may do so on one database. While the trail is
/// away it tries on, every ten seconds at last. Run one per process, supervised.
pub async fn push(feed: &Feed, trail: &dyn Trail, cancel: CancellationToken) {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let pushed = tokio::select! {
            () = cancel.cancelled() => return,
            pushed = push_all(&feed.db, trail) => pushed,
        };
        let pause = match pushed {
            Ok(()) => {
                backoff = FIRST_BACKOFF;
                POLL
            }
            Err(fault) => {
                if backoff == FIRST_BACKOFF {
                    tracing::warn!(?fault, "audit rows cannot be pushed, trying on");
                }
                let pause = backoff;
                backoff = (backoff * 2).min(LONGEST_BACKOFF);
                pause
            }
        };
        let woken = async {
            // While the trail is away, more rows must not shorten the pause.
            if pause == POLL { feed.announced.notified().await } else { std::future::pending().await }
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            () = woken => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Pushes what there is, oldest first; stops at the first failure.
async fn push_all(db: &Database, trail: &dyn Trail) -> Result<()> {
    loop {
        let mut rows = unpushed(db, LARGEST_PUSH).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let (mut bytes, mut sent) = (0_usize, Vec::new());
        for row in &rows {
            let row = to_wire(row);
            bytes = bytes.saturating_add(prost::Message::encoded_len(&row));
            if bytes > PUSH_BYTES && !sent.is_empty() {
                break;
            }
            sent.push(row);
        }
        rows.truncate(sent.len());
        trail.push(sent).await?;
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        mark_pushed(db, &ids).await?;
    }
}

/// Forgets rows that were pushed and are older than `older_ms`, at most `max`; how many it was.
///
/// # Errors
/// `unavailable` when the database is away.
pub async fn purge(db: &Database, older_ms: i64, max: u32) -> Result<u64> {
    // Ids begin with their time: the oldest are found without reading the rest.
    let sql = "DELETE FROM audit_rows WHERE id IN (
        SELECT id FROM audit_rows WHERE id < $1 AND pushed ORDER BY id LIMIT $2)";
    db.write(|tx| {
        Box::pin(async move {
            let before = first_id(tx.now().plus_ms(older_ms.saturating_neg()));
            tx.run(sql, vec![before.into(), i64::from(max).into()]).await
        })
    })
    .await
}

/// The least id that a row recorded then could have.
fn first_id(at: Moment) -> Uuid {
    let ms = u64::try_from(at.unix_ms()).unwrap_or(0);
    Uuid::from_u128(u128::from(ms) << 80)
}

/// A row as authz takes it.
#[must_use]
pub fn to_wire(recorded: &AuditRow) -> wire::AuditRow {
    let row = &recorded.row;
    let fact = |name: &str| row.actor.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let kind = match fact("kind").to_ascii_uppercase() {
        kind if kind == "USER" || kind == "CLIENT" => kind,
        _ => "INSTALLATION".to_owned(),
    };
    wire::AuditRow {
        id: recorded.id.to_string(),
        account_id: row.account_id.map(|account| account.to_string()).unwrap_or_default(),
        time_ms: recorded.time.unix_ms(),
        actor: Some(wire::AuditActor { principal_id: fact("principalId"), kind, name: fact("name") }),
        action: row.action.clone(),
        target: Some(wire::AuditTarget { r#type: row.target_type.clone(), id: row.target_id.clone() }),
        outcome: row.outcome.clone(),
        before: object(row.before.as_ref()),
        after: object(row.after.as_ref()),
        address: row.address.clone(),
        key_fingerprint: row.key_fingerprint.clone(),
        request_id: row.request_id.clone(),
    }
}

/// A row that authz refuses would hold up all behind it, so whatever was recorded becomes an object that fits.
fn object(value: Option<&Json>) -> String {
    let text = match value {
        None | Some(Json::Null) => String::new(),
        Some(object @ Json::Object(_)) => object.to_string(),
        Some(other) => json!({ "value": other }).to_string(),
    };
    if text.len() <= VALUE_BYTES { text } else { json!({ "tooLargeBytes": text.len() }).to_string() }
}
