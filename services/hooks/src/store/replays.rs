//! Replays: what a hook is to be sent again since a time, a stretch of events that is worked off a part at a time. A hook has
//! one at most, so that one hook has one turn; whoever writes a replay has locked its hook.

use super::ids::{among, list};
use super::locked::locked;
use crate::domain::Status;
use beem_database::{OrFault as _, Sql, Tx};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, DeliveryId, EventId, HookId};
use sea_orm::QueryResult;
use std::collections::HashMap;
use uuid::Uuid;

/// A stretch of an account's events for a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Events behind this position are still to be looked at, up to `until`.
    pub after: i64,
    pub until: i64,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    pub replay: Uuid,
    pub hook: HookId,
}

/// An event of the stretch.
pub struct Kept {
    pub position: i64,
    pub event_id: EventId,
    pub event: String,
}

/// Asks for a replay of the events from `first` to `until`, the last position given. What the hook already waits for is
/// merged into it: a stretch that was looked at is looked at again, which sends nothing twice.
///
/// # Errors
/// As the database says.
pub async fn add(tx: &Tx<'_>, hook: HookId, first: i64, until: i64) -> Result<()> {
    if first > until {
        return Ok(());
    }
    // Positions never go back: the later `until` is the greater.
    let sql = "INSERT INTO replays (id, hook, after_position, until_position, created_ms) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (hook) DO UPDATE SET until_position = excluded.until_position,
            after_position = CASE WHEN excluded.after_position < replays.after_position
                THEN excluded.after_position ELSE replays.after_position END";
    let id = beem_ids::draw(tx.now(), tx.entropy());
    let values = vec![id.into(), hook.0.into(), (first - 1).into(), until.into(), tx.now().unix_ms().into()];
    tx.run(sql, values).await.map(drop)
}

/// The next one behind the replay `after`, in the order in which they were asked for.
///
/// # Errors
/// As the database says.
pub async fn next(on: &impl Sql, after: Uuid) -> Result<Option<Turn>> {
    let sql = "SELECT id, hook FROM replays WHERE id > $1 ORDER BY id LIMIT 1";
    let read = |row: QueryResult| {
        let hook = HookId(row.try_get("", "hook").or_fault()?);
        Ok(Turn { replay: row.try_get("", "id").or_fault()?, hook })
    };
    on.row(sql, vec![after.into()]).await?.map(read).transpose()
}

/// The replay of a locked hook. None when another process has ended it.
///
/// # Errors
/// As the database says.
pub async fn of(tx: &Tx<'_>, hook: HookId) -> Result<Option<Replay>> {
    let sql = "SELECT after_position, until_position FROM replays WHERE hook = $1";
    let read = |row: QueryResult| {
        let after = row.try_get("", "after_position").or_fault()?;
        Ok(Replay { after, until: row.try_get("", "until_position").or_fault()? })
    };
    tx.row(sql, vec![hook.0.into()]).await?.map(read).transpose()
}

/// The next events of the stretch, which are not forgotten until the transaction ends.
///
/// # Errors
/// As the database says.
pub async fn events(tx: &Tx<'_>, account: AccountId, replay: Replay, max: u32) -> Result<Vec<Kept>> {
    let sql = format!(
        "SELECT position, event_id, event FROM events
         WHERE account_id = $1 AND position > $2 AND position <= $3 ORDER BY position LIMIT $4 {}",
        locked(tx, "FOR KEY SHARE")
    );
    let values = vec![account.0.into(), replay.after.into(), replay.until.into(), i64::from(max).into()];
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

/// The stretch of a locked hook now begins behind this position.
///
/// # Errors
/// As the database says.
pub async fn go_on(tx: &Tx<'_>, hook: HookId, after: i64) -> Result<()> {
    let sql = "UPDATE replays SET after_position = $2 WHERE hook = $1";
    tx.run(sql, vec![hook.0.into(), after.into()]).await.map(drop)
}

/// Nothing of it is left to do.
///
/// # Errors
/// As the database says.
pub async fn end(tx: &Tx<'_>, hook: HookId) -> Result<()> {
    tx.run("DELETE FROM replays WHERE hook = $1", vec![hook.0.into()]).await.map(drop)
}
