//! The outbox: events as the transactions that make them write them.

use beem_clock::Moment;
use beem_database::{OrFault as _, Sql as _, Tx};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, EventId};
use sea_orm::QueryResult;
use uuid::Uuid;

/// An event about to be written.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub account_id: AccountId,
    /// As in `layer1:identity:client:key-rotated`.
    pub event: String,
    /// ledger, identity, payment, channel or approval.
    pub source: String,
    /// The thing it is about; its events count from 1 without gaps.
    pub entity_id: String,
    /// The object as its GET answers it once this has committed.
    pub data: serde_json::Value,
}

/// A committed event with its position.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its place in the feed, from 1.
    pub position: u64,
    pub event_id: EventId,
    pub account_id: AccountId,
    pub event: String,
    pub source: String,
    pub entity_id: String,
    /// Its place among its entity's events, from 1, without gaps.
    pub sequence: u64,
    pub time: Moment,
    /// JSON.
    pub data: String,
}

/// Writes an event with the transaction that makes it. Until that ends, no other transaction can write one of the same
/// entity: append late.
///
/// # Errors
/// As [`beem_database::ErrorKind`] classifies.
pub async fn append(tx: &Tx<'_>, new: NewEvent) -> Result<EventId> {
    let sql = "INSERT INTO event_sequences (entity_id, last) VALUES ($1, 1)
        ON CONFLICT (entity_id) DO UPDATE SET last = event_sequences.last + 1 RETURNING last";
    let row = tx.row(sql, vec![new.entity_id.as_str().into()]).await?;
    let row = row.ok_or_else(|| Fault::internal("an upsert returned nothing"))?;
    let sequence: i64 = row.try_get("", "last").or_fault()?;
    let id = EventId::draw(tx.now(), tx.entropy());
    // After the line above, whose row lock makes ordinals of one entity grow with its sequence.
    let sql =
        "INSERT INTO outbox (event_id, account_id, event, source, entity_id, sequence, created_ms, data)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = vec![
        id.0.into(),
        new.account_id.0.into(),
        new.event.into(),
        new.source.into(),
        new.entity_id.into(),
        sequence.into(),
        tx.now().unix_ms().into(),
        new.data.to_string().into(),
    ];
    tx.run(sql, values).await?;
    tx.announce();
    Ok(id)
}

/// What [`Event::read`] needs.
pub(crate) const COLUMNS: &str =
    "position, event_id, account_id, event, source, entity_id, sequence, created_ms, data";

impl Event {
    pub(crate) fn read(row: &QueryResult) -> Result<Self> {
        let id = |name: &str| row.try_get::<Uuid>("", name).or_fault();
        let text = |name: &str| row.try_get::<String>("", name).or_fault();
        let count = |name: &str| row.try_get::<i64>("", name).or_fault();
        Ok(Self {
            position: unsigned(count("position")?)?,
            event_id: EventId(id("event_id")?),
            account_id: AccountId(id("account_id")?),
            event: text("event")?,
            source: text("source")?,
            entity_id: text("entity_id")?,
            sequence: unsigned(count("sequence")?)?,
            time: Moment::from_unix_ms(count("created_ms")?),
            data: text("data")?,
        })
    }
}

/// Positions and sequences are never negative; a database that says so is broken.
pub(crate) fn unsigned(stored: i64) -> Result<u64> {
    u64::try_from(stored).map_err(Fault::internal)
}

pub(crate) fn signed(position: u64) -> Result<i64> {
    i64::try_from(position).map_err(|_| Fault::field("after", "no such position"))
}
