//! Deliveries and their attempts as people look at them, and sending one again. Those of events are made where events are
//! taken in; how they go on is the engine's.

use super::ids::list as list_of;
use super::{for_update, garbled, id, moment, text};
use crate::domain::{Attempt, Delivery, Status};
use beem_clock::Moment;
use beem_database::page::{Order, Page};
use beem_database::{Backend, OrFault as _, Sql, Tx};
use beem_fault::{Fault, Result};
use beem_ids::{DeliveryId, EventId, HookId};
use sea_orm::{QueryResult, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What [`read`] reads.
const COLUMNS: &str = "id, hook, event_id, event, status, attempts, tries, next_ms, created_ms";

/// Attempts that are shown with their delivery.
const SHOWN_ATTEMPTS: u32 = 20;

/// Which deliveries of a hook are listed; None is all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    pub status: Option<Status>,
    /// The event's type.
    pub event: Option<&'a str>,
}

/// A new one, which is pending. Its lane must hear of it.
///
/// # Errors
/// As the database says.
pub async fn insert(tx: &Tx<'_>, delivery: &Delivery) -> Result<()> {
    let sql = format!("INSERT INTO deliveries ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    let values = vec![
        delivery.id.0.into(),
        delivery.hook.0.into(),
        delivery.event_id.0.into(),
        delivery.event.as_str().into(),
        delivery.status.as_str().into(),
        i64::try_from(delivery.attempts).map_err(Fault::internal)?.into(),
        i64::from(delivery.tries).into(),
        delivery.next.map(Moment::unix_ms).into(),
        delivery.created.unix_ms().into(),
    ];
    tx.run(&sql, values).await.map(drop)
}

/// One delivery of the hook, which is one of the account's.
///
/// # Errors
/// `not-found`, another hook's too; as the database says.
pub async fn get(on: &impl Sql, hook: HookId, id: DeliveryId) -> Result<Delivery> {
    find(on, hook, id, "").await
}

/// The same, locked until the transaction ends.
///
/// # Errors
/// As [`get`].
pub async fn lock(tx: &Tx<'_>, hook: HookId, id: DeliveryId) -> Result<Delivery> {
    find(tx, hook, id, for_update(tx)).await
}

async fn find(on: &impl Sql, hook: HookId, id: DeliveryId, lock: &str) -> Result<Delivery> {
    let sql = format!("SELECT {COLUMNS} FROM deliveries WHERE id = $1 AND hook = $2 {lock}");
    let row = on.row(&sql, vec![id.0.into(), hook.0.into()]).await?;
    read(&row.ok_or_else(|| Fault::not_found("delivery"))?)
}

/// A locked delivery begins anew: pending, due then, with all of its tries before it. Its lane must hear of it.
///
/// # Errors
/// As the database says.
pub async fn begin_anew(tx: &Tx<'_>, delivery: &Delivery, due: Moment) -> Result<Delivery> {
    let sql =
        "UPDATE deliveries SET status = 'PENDING', tries = 0, next_ms = $2, ended_ms = NULL WHERE id = $1";
    tx.run(sql, vec![delivery.id.0.into(), due.unix_ms().into()]).await?;
    Ok(Delivery { status: Status::Pending, tries: 0, next: Some(due), ..delivery.clone() })
}

/// A page of the hook's deliveries by creation, and the token of the next.
///
/// # Errors
/// As the database says.
pub async fn list(
    on: &impl Sql,
    hook: HookId,
    filter: Filter<'_>,
    page: &Page,
) -> Result<(Vec<Delivery>, String)> {
    let mut values = vec![hook.0.into()];
    let mut filters = String::new();
    for (column, wanted) in [("status", filter.status.map(Status::as_str)), ("event", filter.event)] {
        if let Some(wanted) = wanted {
            values.push(wanted.into());
            filters.push_str(&format!("AND {column} = ${} ", values.len()));
        }
    }
    let tail = tail(page, "created_ms", &mut values);
    let sql = format!("SELECT {COLUMNS} FROM deliveries WHERE hook = $1 {filters} {tail}");
    let rows = on.rows(&sql, values).await?;
    let deliveries = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(page.finish(deliveries, |delivery| (delivery.created.unix_ms(), delivery.id.0)))
}

/// The last attempts of each of these deliveries, oldest first, without what the receiver answered.
///
/// # Errors
/// As the database says.
pub async fn last_attempts(
    on: &impl Sql,
    deliveries: &[DeliveryId],
) -> Result<BTreeMap<DeliveryId, Vec<Attempt>>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    if deliveries.is_empty() {
        return Ok(found);
    }
    // By the index of each delivery from its end: one that was replayed a thousand times costs no more than another.
    let last = format!(
        "SELECT id FROM attempts WHERE delivery = wanted.id ORDER BY time_ms DESC, id DESC LIMIT {SHOWN_ATTEMPTS}"
    );
    let found_by = match on.dialect() {
        Backend::Postgres => format!(
            "UNNEST($1::uuid[]) AS wanted (id) CROSS JOIN LATERAL ({last}) AS last JOIN attempts AS a ON a.id = last.id"
        ),
        Backend::Sqlite => format!(
            "(SELECT unhex(value) AS id FROM json_each($1)) AS wanted CROSS JOIN attempts AS a ON a.id IN ({last})"
        ),
    };
    let sql = format!(
        "SELECT a.delivery, a.time_ms, a.duration_ms, a.status_code, a.error, NULL AS answer
         FROM {found_by} ORDER BY a.delivery, a.time_ms, a.id"
    );
    let wanted = list_of(on, deliveries.iter().map(|delivery| delivery.0));
    for row in on.rows(&sql, vec![wanted]).await? {
        found.entry(DeliveryId(id(&row, "delivery")?)).or_default().push(attempt(&row)?);
    }
    Ok(found)
}

/// A page of a delivery's attempts by time, each with what the receiver answered, and the token of the next.
///
/// # Errors
/// As the database says.
pub async fn attempts(on: &impl Sql, delivery: DeliveryId, page: &Page) -> Result<(Vec<Attempt>, String)> {
    let mut values = vec![delivery.0.into()];
    let tail = tail(page, "time_ms", &mut values);
    let sql = format!(
        "SELECT id, time_ms, duration_ms, status_code, error, answer FROM attempts WHERE delivery = $1 {tail}"
    );
    let rows = on.rows(&sql, values).await?;
    let attempts = rows.iter().map(|row| Ok((id(row, "id")?, attempt(row)?))).collect::<Result<Vec<_>>>()?;
    let place = |(id, attempt): &(Uuid, Attempt)| (attempt.time.unix_ms(), *id);
    let (attempts, next) = page.finish(attempts, place);
    Ok((attempts.into_iter().map(|(_, attempt)| attempt).collect(), next))
}

/// What a page adds to the conditions of a list by a time and the id.
fn tail(page: &Page, time: &str, values: &mut Vec<Value>) -> String {
    let (limit, skipped) = (page.limit(), page.skipped());
    let (order, beyond) = match page.order {
        Order::Asc => ("ASC", ">"),
        Order::Desc => ("DESC", "<"),
    };
    // The first condition alone can use the index; the second settles rows of the same millisecond.
    let after = page.after().map_or_else(String::new, |(at_ms, id)| {
        values.extend([at_ms.into(), id.into()]);
        let (at, id) = (values.len().saturating_sub(1), values.len());
        format!("AND {time} {beyond}= ${at} AND ({time} {beyond} ${at} OR id {beyond} ${id})")
    });
    format!("{after} ORDER BY {time} {order}, id {order} LIMIT {limit} OFFSET {skipped}")
}

fn read(row: &QueryResult) -> Result<Delivery> {
    let count = |column: &str| row.try_get::<i64>("", column).or_fault();
    let next: Option<i64> = row.try_get("", "next_ms").or_fault()?;
    Ok(Delivery {
        id: DeliveryId(id(row, "id")?),
        hook: HookId(id(row, "hook")?),
        event_id: EventId(id(row, "event_id")?),
        event: text(row, "event")?,
        status: Status::parse(&text(row, "status")?).ok_or_else(|| garbled("delivery's status"))?,
        attempts: u64::try_from(count("attempts")?).map_err(|_| garbled("delivery's attempts"))?,
        tries: u32::try_from(count("tries")?).map_err(|_| garbled("delivery's tries"))?,
        next: next.map(Moment::from_unix_ms),
        created: moment(row, "created_ms")?,
    })
}

fn attempt(row: &QueryResult) -> Result<Attempt> {
    let whole = |stored: i64| u32::try_from(stored).map_err(|_| garbled("attempt"));
    let status_code: Option<i64> = row.try_get("", "status_code").or_fault()?;
    Ok(Attempt {
        time: moment(row, "time_ms")?,
        duration_ms: whole(row.try_get("", "duration_ms").or_fault()?)?,
        status_code: status_code.map(whole).transpose()?,
        error: row.try_get("", "error").or_fault()?,
        answer: row.try_get("", "answer").or_fault()?,
    })
}
