//! What is forgotten after a while: events, what was sent of them, and keys that have long retired. Each call forgets `max`
//! rows at most and says how many it was.

use super::ids::{among, list};
use super::intake;
use super::locked::locked;
use beem_clock::Moment;
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::Result;
use sea_orm::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// An event that is still to be sent to somebody is kept until that has ended. Its account's pull has a floor all the same.
const NOT_UNDER_WAY: &str = "NOT EXISTS (SELECT 1 FROM hooks h JOIN deliveries d ON d.hook = h.id
    WHERE h.account_id = e.account_id AND h.deleted_ms IS NULL AND d.event_id = e.event_id AND d.status = 'PENDING')";

/// Forgets events that were taken in longer ago than this, oldest first, and notes how far for each account: a pull from
/// before that is told so.
///
/// # Errors
/// As the database says.
pub async fn events(db: &Database, kept_ms: i64, max: u32) -> Result<u64> {
    let young = intake::first_since(db.read(), before(db.clock().now(), kept_ms)).await?;
    db.write(|tx| Box::pin(forget_events(tx, young, max))).await
}

async fn forget_events(tx: &Tx<'_>, young: i64, max: u32) -> Result<u64> {
    let sql = format!(
        "SELECT e.event_id FROM events e WHERE e.position < $1 AND {NOT_UNDER_WAY} ORDER BY e.position LIMIT $2 {}",
        locked(tx, "FOR UPDATE OF e SKIP LOCKED")
    );
    let old = column(tx, &sql, "event_id", vec![young.into(), i64::from(max).into()]).await?;
    if old.is_empty() {
        return Ok(0);
    }
    // Said again, in a statement that sees what committed before the locks were had.
    let sql = format!(
        "DELETE FROM events AS e WHERE e.event_id {} AND {NOT_UNDER_WAY} RETURNING account_id, position",
        among(tx, 1)
    );
    let gone = tx.rows(&sql, vec![list(tx, old)]).await?;
    let mut floors: BTreeMap<Uuid, i64> = BTreeMap::new();
    for row in &gone {
        let position: i64 = row.try_get("", "position").or_fault()?;
        let floor = floors.entry(row.try_get("", "account_id").or_fault()?).or_insert(position);
        *floor = position.max(*floor);
    }
    for (account, floor) in floors {
        let sql = "INSERT INTO event_floors (account_id, purged_to) VALUES ($1, $2)
            ON CONFLICT (account_id) DO UPDATE SET purged_to = excluded.purged_to
            WHERE event_floors.purged_to < excluded.purged_to";
        tx.run(sql, vec![account.into(), floor.into()]).await?;
    }
    u64::try_from(gone.len()).map_err(beem_fault::Fault::internal)
}

/// Forgets deliveries that ended longer ago than this, with their attempts.
///
/// # Errors
/// As the database says.
pub async fn deliveries(db: &Database, kept_ms: i64, max: u32) -> Result<u64> {
    db.write(|tx| Box::pin(forget_deliveries(tx, kept_ms, max))).await
}

async fn forget_deliveries(tx: &Tx<'_>, kept_ms: i64, max: u32) -> Result<u64> {
    // One that is replayed meanwhile is locked by whoever does so, and one that was is looked at again before it is.
    let sql = format!(
        "SELECT id FROM deliveries WHERE ended_ms <= $1 ORDER BY ended_ms LIMIT $2 {}",
        locked(tx, "FOR UPDATE SKIP LOCKED")
    );
    let ended = before(tx.now(), kept_ms).unix_ms();
    let old = column(tx, &sql, "id", vec![ended.into(), i64::from(max).into()]).await?;
    if old.is_empty() {
        return Ok(0);
    }
    let attempts = format!("DELETE FROM attempts WHERE delivery {}", among(tx, 1));
    tx.run(&attempts, vec![list(tx, old.iter().copied())]).await?;
    let deliveries = format!("DELETE FROM deliveries WHERE id {}", among(tx, 1));
    tx.run(&deliveries, vec![list(tx, old)]).await
}

/// Forgets attempts that were made longer ago than this, also those of a delivery that is replayed again and again, which
/// does not end for long enough to be forgotten itself.
///
/// # Errors
/// As the database says.
pub async fn attempts(db: &Database, kept_ms: i64, max: u32) -> Result<u64> {
    db.write(|tx| {
        Box::pin(async move {
            // It waits for nobody: whoever forgets their delivery forgets them, too.
            let sql = format!(
                "WITH old AS MATERIALIZED (
                    SELECT id FROM attempts WHERE time_ms <= $1 ORDER BY time_ms LIMIT $2 {})
                 DELETE FROM attempts WHERE id IN (SELECT id FROM old)",
                locked(tx, "FOR UPDATE SKIP LOCKED")
            );
            tx.run(&sql, vec![before(tx.now(), kept_ms).unix_ms().into(), i64::from(max).into()]).await
        })
    })
    .await
}

/// Forgets keys that retired longer ago than this.
///
/// # Errors
/// As the database says.
pub async fn keys(db: &Database, kept_ms: i64, max: u32) -> Result<u64> {
    let sql = "DELETE FROM hook_keys WHERE (hook, number) IN (
        SELECT hook, number FROM hook_keys WHERE retires_ms <= $1 ORDER BY retires_ms LIMIT $2)";
    db.write(|tx| {
        Box::pin(async move {
            tx.run(sql, vec![before(tx.now(), kept_ms).unix_ms().into(), i64::from(max).into()]).await
        })
    })
    .await
}

async fn column(tx: &Tx<'_>, sql: &str, name: &str, values: Vec<Value>) -> Result<Vec<Uuid>> {
    tx.rows(sql, values).await?.iter().map(|row| row.try_get("", name).or_fault()).collect()
}

const fn before(now: Moment, ms: i64) -> Moment {
    now.plus_ms(ms.saturating_neg())
}
