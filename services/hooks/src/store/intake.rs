//! Events on their way in: their positions, their bytes, and what is due to whom.
//!
//! Whoever puts an event in holds the lock of `intake` until its transaction ends. So positions have no gaps and are seen in
//! their order, and so are the times of taking in, which never go back from one position to the next.

use super::ids::{among, hex, list};
use super::locked::locked;
use beem_clock::Moment;
use beem_database::{Backend, OrFault as _, Sql, Tx, array};
use beem_events::Event;
use beem_fault::{Fault, Result};
use beem_ids::{DeliveryId, EventId, HookId};
use sea_orm::Value;
use serde::Serialize;
use std::collections::HashSet;
use uuid::Uuid;

/// Deliveries in one statement.
const LARGEST_INSERT: usize = 5_000;

/// An event that is new here.
pub struct Incoming<'a> {
    pub event: &'a Event,
    /// Whose business it is: the bit of its area, 0 for none.
    pub area: i64,
    pub body: String,
}

/// An event for a hook.
pub struct Outgoing<'a> {
    pub hook: HookId,
    pub event_id: EventId,
    pub event: &'a str,
    /// Of its first attempt.
    pub due: Moment,
}

/// Where and when something is taken in.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The position of the first.
    pub first: i64,
    pub taken: Moment,
}

/// Locks the intake until the transaction ends, before anything else is locked; the last position given.
///
/// # Errors
/// As the database says.
pub async fn lock(tx: &Tx<'_>) -> Result<i64> {
    let sql = format!("SELECT head FROM intake {}", locked(tx, "FOR UPDATE"));
    let row = tx.row(&sql, vec![]).await?.ok_or_else(|| Fault::internal("the intake has no row"))?;
    row.try_get("", "head").or_fault()
}

/// The last position given and committed.
///
/// # Errors
/// As the database says.
pub async fn head(on: &impl Sql) -> Result<i64> {
    let row = on.row("SELECT head FROM intake", vec![]).await?;
    row.ok_or_else(|| Fault::internal("the intake has no row"))?.try_get("", "head").or_fault()
}

/// The next `count` positions. Locks the intake, if it is not locked yet.
///
/// # Errors
/// As the database says.
pub async fn advance(tx: &Tx<'_>, count: usize) -> Result<Place> {
    let head = lock(tx).await?;
    let last = tx.row("SELECT taken_ms FROM events WHERE position = $1", vec![head.into()]).await?;
    let last: Option<i64> = last.map(|row| row.try_get("", "taken_ms").or_fault()).transpose()?;
    let count = i64::try_from(count).map_err(Fault::internal)?;
    tx.run("UPDATE intake SET head = head + $1", vec![count.into()]).await?;
    let taken = last.map_or(tx.now(), |ms| tx.now().max(Moment::from_unix_ms(ms)));
    Ok(Place { first: head + 1, taken })
}

/// Those of these events that were taken in before.
///
/// # Errors
/// As the database says.
pub async fn known(tx: &Tx<'_>, events: &[Event]) -> Result<HashSet<EventId>> {
    let sql = format!("SELECT event_id FROM events WHERE event_id {}", among(tx, 1));
    let rows = tx.rows(&sql, vec![list(tx, events.iter().map(|event| event.event_id.0))]).await?;
    rows.iter().map(|row| row.try_get("", "event_id").or_fault().map(EventId)).collect()
}

/// Writes the events at the positions of `place`, which are as many.
///
/// # Errors
/// As the database says.
pub async fn insert_events(tx: &Tx<'_>, place: Place, events: &[Incoming<'_>]) -> Result<()> {
    let placed = || (place.first..).zip(events);
    let taken = place.taken.unix_ms();
    let (sql, values) = match tx.backend() {
        Backend::Postgres => {
            let sql = "INSERT INTO events (position, event_id, account_id, event, area, body, taken_ms)
                SELECT position, event_id, account_id, event, area, body, $7 FROM UNNEST($1::bigint[], $2::uuid[],
                    $3::uuid[], $4::text[], $5::bigint[], $6::text[])
                    AS new (position, event_id, account_id, event, area, body)";
            let values = vec![
                array::longs(placed().map(|(position, _)| position)),
                array::uuids(events.iter().map(|new| new.event.event_id.0)),
                array::uuids(events.iter().map(|new| new.event.account_id.0)),
                array::texts(events.iter().map(|new| new.event.event.as_str())),
                array::longs(events.iter().map(|new| new.area)),
                array::texts(events.iter().map(|new| new.body.as_str())),
                taken.into(),
            ];
            (sql, values)
        }
        Backend::Sqlite => {
            let sql = "INSERT INTO events (position, event_id, account_id, event, area, body, taken_ms)
                SELECT value ->> 0, unhex(value ->> 1), unhex(value ->> 2), value ->> 3, value ->> 4, value ->> 5, $2
                FROM json_each($1)";
            let rows = placed().map(|(position, new)| {
                let Event { event_id, account_id, event, .. } = new.event;
                (position, hex(event_id.0), hex(account_id.0), event, new.area, &new.body)
            });
            (sql, vec![json(&rows.collect::<Vec<_>>())?, taken.into()])
        }
    };
    tx.run(sql, values).await.map(drop)
}

/// Writes a delivery for each that is not there yet. Their lanes are locked, and told when they are due.
///
/// # Errors
/// As the database says.
pub async fn insert_deliveries(tx: &Tx<'_>, deliveries: &[Outgoing<'_>]) -> Result<()> {
    for some in deliveries.chunks(LARGEST_INSERT) {
        insert_some(tx, some).await?;
    }
    Ok(())
}

async fn insert_some(tx: &Tx<'_>, deliveries: &[Outgoing<'_>]) -> Result<()> {
    let (now, draw) = (tx.now().unix_ms(), || DeliveryId::draw(tx.now(), tx.entropy()).0);
    let (sql, values) = match tx.backend() {
        Backend::Postgres => {
            let sql = "INSERT INTO deliveries (id, hook, event_id, event, status, attempts, tries, next_ms, created_ms)
                SELECT id, hook, event_id, event, 'PENDING', 0, 0, next_ms, $6 FROM UNNEST($1::uuid[], $2::uuid[],
                    $3::uuid[], $4::text[], $5::bigint[]) AS new (id, hook, event_id, event, next_ms)
                ON CONFLICT (hook, event_id) DO NOTHING";
            let values = vec![
                array::uuids(deliveries.iter().map(|_| draw())),
                array::uuids(deliveries.iter().map(|new| new.hook.0)),
                array::uuids(deliveries.iter().map(|new| new.event_id.0)),
                array::texts(deliveries.iter().map(|new| new.event)),
                array::longs(deliveries.iter().map(|new| new.due.unix_ms())),
                now.into(),
            ];
            (sql, values)
        }
        Backend::Sqlite => {
            // `WHERE true`: without it the parser takes ON for the join's.
            let sql = "INSERT INTO deliveries (id, hook, event_id, event, status, attempts, tries, next_ms, created_ms)
                SELECT unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), value ->> 3, 'PENDING', 0, 0,
                    value ->> 4, $2 FROM json_each($1) WHERE true ON CONFLICT (hook, event_id) DO NOTHING";
            let rows = deliveries.iter().map(|new| {
                let id: Uuid = draw();
                (hex(id), hex(new.hook.0), hex(new.event_id.0), new.event, new.due.unix_ms())
            });
            (sql, vec![json(&rows.collect::<Vec<_>>())?, now.into()])
        }
    };
    tx.run(sql, values).await.map(drop)
}

/// Rows for `json_each`.
fn json(rows: &(impl Serialize + ?Sized)) -> Result<Value> {
    serde_json::to_string(rows).map(Value::from).map_err(Fault::internal)
}

/// Where the events begin that were taken in at this moment or later: every one before that position is older, and none
/// from it on. About as many looks as the number of events has binary digits.
///
/// # Errors
/// As the database says.
pub async fn first_since(on: &impl Sql, since: Moment) -> Result<i64> {
    let head = head(on).await?;
    let row = on.row("SELECT MIN(position) AS oldest FROM events", vec![]).await?;
    let oldest: Option<i64> = row.map_or(Ok(None), |row| row.try_get("", "oldest").or_fault())?;
    let (mut low, mut high) = (oldest.unwrap_or(head + 1), head + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let sql = "SELECT position, taken_ms FROM events WHERE position >= $1 AND position < $2
            ORDER BY position LIMIT 1";
        let Some(row) = on.row(sql, vec![middle.into(), high.into()]).await? else {
            high = middle;
            continue;
        };
        let taken: i64 = row.try_get("", "taken_ms").or_fault()?;
        if taken >= since.unix_ms() {
            high = middle;
        } else {
            low = row.try_get::<i64>("", "position").or_fault()? + 1;
        }
    }
    Ok(low)
}
