//! Replays: what a hook is to be sent again since a time, a stretch of events that is worked off a part at a time.

use super::ids::{among, list};
use super::intake;
use super::locked::locked;
use crate::domain::{Hook, Status};
use beem_clock::Moment;
use beem_database::{OrFault as _, Sql, Tx};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, DeliveryId, EventId, HookId};
use sea_orm::QueryResult;
use std::collections::HashMap;
use uuid::Uuid;

/// A stretch of an account's events for a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    pub id: Uuid,
    pub hook: HookId,
    pub account: AccountId,
    /// Events behind this position are still to be looked at, up to `until`.
    pub after: i64,
    pub until: i64,
}

/// An event of the stretch.
pub struct Kept {
    pub position: i64,
    pub event_id: EventId,
    pub event: String,
}

/// Asks for a replay of what was taken in at `since` or later, up to now. It locks the intake, so that every event is either
/// in the stretch or taken in with the hook as this transaction sees it.
///
/// # Errors
/// As the database says.
pub async fn add(tx: &Tx<'_>, hook: &Hook, since: Moment) -> Result<()> {
    let first = intake::first_since(tx, since).await?;
    let until = intake::lock(tx).await?;
    if first > until {
        return Ok(());
    }
    let sql = "INSERT INTO replays (id, hook, after_position, until_position, created_ms) VALUES ($1, $2, $3, $4, $5)";
    let id = beem_ids::draw(tx.now(), tx.entropy());
    let values =
        vec![id.into(), hook.id.0.into(), (first - 1).into(), until.into(), tx.now().unix_ms().into()];
    tx.run(sql, values).await.map(drop)
}

/// Whether there is any.
///
/// # Errors
/// As the database says.
pub async fn is_any(on: &impl Sql) -> Result<bool> {
    Ok(on.row("SELECT 1 AS found FROM replays LIMIT 1", vec![]).await?.is_some())
}

/// The next replay behind `after` that nobody else has in its hands, ours until the transaction ends.
///
/// # Errors
/// As the database says.
pub async fn take(tx: &Tx<'_>, after: Uuid) -> Result<Option<Replay>> {
    let sql = format!(
        "SELECT r.id, r.hook, h.account_id, r.after_position, r.until_position
         FROM replays r JOIN hooks h ON h.id = r.hook WHERE r.id > $1 ORDER BY r.id LIMIT 1 {}",
        locked(tx, "FOR UPDATE OF r SKIP LOCKED")
    );
    tx.row(&sql, vec![after.into()]).await?.as_ref().map(read).transpose()
}

fn read(row: &QueryResult) -> Result<Replay> {
    Ok(Replay {
        id: row.try_get("", "id").or_fault()?,
        hook: HookId(row.try_get("", "hook").or_fault()?),
        account: AccountId(row.try_get("", "account_id").or_fault()?),
        after: row.try_get("", "after_position").or_fault()?,
        until: row.try_get("", "until_position").or_fault()?,
    })
}

/// The next events of the stretch, which are not forgotten until the transaction ends.
///
/// # Errors
/// As the database says.
pub async fn events(tx: &Tx<'_>, replay: &Replay, max: u32) -> Result<Vec<Kept>> {
    let sql = format!(
        "SELECT position, event_id, event FROM events
         WHERE account_id = $1 AND position > $2 AND position <= $3 ORDER BY position LIMIT $4 {}",
        locked(tx, "FOR KEY SHARE")
    );
    let values =
        vec![replay.account.0.into(), replay.after.into(), replay.until.into(), i64::from(max).into()];
    let read = |row: &QueryResult| {
        Ok(Kept {
            position: row.try_get("", "position").or_fault()?,
            event_id: EventId(row.try_get("", "event_id").or_fault()?),
            event: row.try_get("", "event").or_fault()?,
        })
    };
    tx.rows(&sql, values).await?.iter().map(read).collect()
}

/// The hook's deliveries of these events, as they will stay until the transaction ends.
///
/// # Errors
/// As the database says.
pub async fn deliveries(
    tx: &Tx<'_>,
    hook: HookId,
    events: &[EventId],
) -> Result<HashMap<EventId, (DeliveryId, Status)>> {
    let sql = format!(
        "SELECT id, event_id, status FROM deliveries WHERE hook = $1 AND event_id {} ORDER BY id {}",
        among(tx, 2),
        locked(tx, "FOR UPDATE")
    );
    let values = vec![hook.0.into(), list(tx, events.iter().map(|id| id.0))];
    let read = |row: &QueryResult| {
        let status: String = row.try_get("", "status").or_fault()?;
        let status = Status::parse(&status).ok_or_else(|| Fault::internal("a delivery has no status"))?;
        let id = DeliveryId(row.try_get("", "id").or_fault()?);
        Ok((EventId(row.try_get("", "event_id").or_fault()?), (id, status)))
    };
    tx.rows(&sql, values).await?.iter().map(read).collect()
}

/// What has failed is tried anew, from now on.
///
/// # Errors
/// As the database says.
pub async fn wake(tx: &Tx<'_>, failed: &[DeliveryId]) -> Result<()> {
    let sql = format!(
        "UPDATE deliveries SET status = 'PENDING', tries = 0, next_ms = $1, ended_ms = NULL
         WHERE id {} AND status = 'FAILED'",
        among(tx, 2)
    );
    let values = vec![tx.now().unix_ms().into(), list(tx, failed.iter().map(|id| id.0))];
    tx.run(&sql, values).await.map(drop)
}

/// The stretch now begins behind this position.
///
/// # Errors
/// As the database says.
pub async fn go_on(tx: &Tx<'_>, replay: &Replay, after: i64) -> Result<()> {
    let sql = "UPDATE replays SET after_position = $2 WHERE id = $1";
    tx.run(sql, vec![replay.id.into(), after.into()]).await.map(drop)
}

/// Nothing of it is left to do.
///
/// # Errors
/// As the database says.
pub async fn end(tx: &Tx<'_>, replay: &Replay) -> Result<()> {
    tx.run("DELETE FROM replays WHERE id = $1", vec![replay.id.into()]).await.map(drop)
}
