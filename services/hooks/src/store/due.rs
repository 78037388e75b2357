//! What the worker of a lane reads: where its hook sends to, how it has been doing, and what is due.

use super::hooks;
use super::lanes::{HEALTH_COLUMNS, health};
use crate::domain::{EventCodes, Health};
use beem_clock::Moment;
use beem_database::{OrFault as _, Sql};
use beem_fault::{Fault, Result};
use beem_ids::{DeliveryId, EventId, HookId};
use sea_orm::QueryResult;
use uuid::Uuid;

/// A delivery that is due.
#[derive(Clone, Debug)]
pub struct Due {
    pub id: DeliveryId,
    pub event_id: EventId,
    /// Its type.
    pub event: String,
    pub created: Moment,
    /// All attempts so far.
    pub attempts: u64,
    /// Of these, those since it was made or last replayed.
    pub tries: u32,
    /// None when the event is no longer kept.
    pub body: Option<String>,
}

/// Where a hook sends to, what it asks for, and how it has been doing: None when nothing is sent to it.
///
/// # Errors
/// As the database says; `internal` for a garbled row.
pub async fn receiver(on: &impl Sql, hook: HookId) -> Result<Option<(String, EventCodes, Health)>> {
    let sql = format!(
        "SELECT h.url, h.event_codes, h.areas, {HEALTH_COLUMNS} FROM hooks AS h JOIN lanes ON lanes.hook = h.id
        WHERE h.id = $1 AND h.enabled AND h.deleted_ms IS NULL"
    );
    let row = on.row(&sql, vec![hook.0.into()]).await?;
    row.map(|row| Ok((row.try_get("", "url").or_fault()?, hooks::codes(&row)?, health(&row)?))).transpose()
}

/// The first `max` of a hook's deliveries that are due, those first that have been for longest.
///
/// # Errors
/// As the database says; `internal` for a garbled row.
pub async fn deliveries(on: &impl Sql, hook: HookId, now: Moment, max: usize) -> Result<Vec<Due>> {
    let sql = "SELECT d.id, d.event_id, d.event, d.created_ms, d.attempts, d.tries, e.body
        FROM deliveries AS d LEFT JOIN events AS e ON e.event_id = d.event_id
        WHERE d.hook = $1 AND d.status = 'PENDING' AND d.next_ms <= $2 ORDER BY d.next_ms, d.id LIMIT $3";
    let max = i64::try_from(max).map_err(Fault::internal)?;
    on.rows(sql, vec![hook.0.into(), now.unix_ms().into(), max.into()]).await?.iter().map(read).collect()
}

fn read(row: &QueryResult) -> Result<Due> {
    let count = |column: &str| row.try_get::<i64>("", column).or_fault();
    Ok(Due {
        id: DeliveryId(row.try_get::<Uuid>("", "id").or_fault()?),
        event_id: EventId(row.try_get::<Uuid>("", "event_id").or_fault()?),
        event: row.try_get("", "event").or_fault()?,
        created: Moment::from_unix_ms(count("created_ms")?),
        attempts: u64::try_from(count("attempts")?).map_err(Fault::internal)?,
        tries: u32::try_from(count("tries")?).map_err(Fault::internal)?,
        body: row.try_get("", "body").or_fault()?,
    })
}
