//! Lanes from outside the engine: opening one with its hook, telling it that something is due, closing it when its hook is
//! disabled. Whoever locks several does so in the order of their hooks, after hooks and deliveries and before anything else.
//! What the engine does with them is in [`leases`](super::leases) and [`outcomes`](super::outcomes).

use super::ids::{among, list};
use super::{for_update, id};
use crate::domain::Health;
use beem_clock::Moment;
use beem_database::{Backend, OrFault as _, Sql as _, Tx, array};
use beem_fault::{Fault, Result};
use beem_ids::HookId;
use sea_orm::QueryResult;
use std::collections::BTreeMap;

/// What [`health`] reads, of `lanes`.
pub const HEALTH_COLUMNS: &str = "failures, failing_since_ms, failed_ms, held_until_ms";

/// Opens the lane of a new hook.
///
/// # Errors
/// As the database says.
pub async fn open(tx: &Tx<'_>, hook: HookId) -> Result<()> {
    let sql = "INSERT INTO lanes (hook, due_ms, owner, leased_until_ms, failures, failing_since_ms, held_until_ms, closing)
        VALUES ($1, NULL, NULL, 0, 0, NULL, 0, $2)";
    tx.run(sql, vec![hook.0.into(), false.into()]).await.map(drop)
}

/// Locks the lanes that exist until the transaction ends, in the order of their hooks; how each hook has been doing.
///
/// # Errors
/// As the database says.
pub async fn lock(tx: &Tx<'_>, hooks: impl IntoIterator<Item = HookId>) -> Result<BTreeMap<HookId, Health>> {
    let (among, lock) = (among(tx, 1), for_update(tx));
    let sql = format!("SELECT hook, {HEALTH_COLUMNS} FROM lanes WHERE hook {among} ORDER BY hook {lock}");
    let rows = tx.rows(&sql, vec![list(tx, hooks.into_iter().map(|hook| hook.0))]).await?;
    rows.iter().map(|row| Ok((hook(row)?, health(row)?))).collect()
}

/// Tells each lane that something is due at a time: now, or then. Ring the engine's bell after the commit.
///
/// # Errors
/// As the database says.
pub async fn due(tx: &Tx<'_>, hooks: &BTreeMap<HookId, Moment>) -> Result<()> {
    match tx.backend() {
        Backend::Postgres => {
            let sql = "WITH o AS (SELECT * FROM UNNEST($1::uuid[], $2::bigint[]) AS o (hook, at_ms)),
                locked AS MATERIALIZED (
                    SELECT hook FROM lanes WHERE hook = ANY($1::uuid[]) ORDER BY hook FOR UPDATE)
                UPDATE lanes AS l SET due_ms = CASE WHEN l.due_ms < o.at_ms THEN l.due_ms ELSE o.at_ms END
                FROM o JOIN locked USING (hook) WHERE l.hook = o.hook";
            let values = vec![
                array::uuids(hooks.keys().map(|hook| hook.0)),
                array::longs(hooks.values().map(|at| at.unix_ms())),
            ];
            tx.run(sql, values).await?;
        }
        Backend::Sqlite => {
            let sql =
                "UPDATE lanes SET due_ms = CASE WHEN due_ms < $2 THEN due_ms ELSE $2 END WHERE hook = $1";
            for (hook, at) in hooks {
                tx.run(sql, vec![hook.0.into(), at.unix_ms().into()]).await?;
            }
        }
    }
    Ok(())
}

/// The hook was disabled or deleted: what is pending ends as FAILED, a part at a time.
///
/// # Errors
/// As the database says.
pub async fn close(tx: &Tx<'_>, hook: HookId) -> Result<()> {
    let sql = "UPDATE lanes SET closing = $2 WHERE hook = $1";
    tx.run(sql, vec![hook.0.into(), true.into()]).await.map(drop)
}

/// The hook was enabled, or has another receiver: its record begins anew.
///
/// # Errors
/// As the database says.
pub async fn reopen(tx: &Tx<'_>, hook: HookId) -> Result<()> {
    let sql = "UPDATE lanes SET closing = $2, failures = 0, failing_since_ms = NULL, failed_ms = NULL,
        held_until_ms = 0 WHERE hook = $1";
    tx.run(sql, vec![hook.0.into(), false.into()]).await.map(drop)
}

/// How a hook has been doing, of [`HEALTH_COLUMNS`].
///
/// # Errors
/// `internal` for a garbled row.
pub fn health(row: &QueryResult) -> Result<Health> {
    let failures: i64 = row.try_get("", "failures").or_fault()?;
    let since: Option<i64> = row.try_get("", "failing_since_ms").or_fault()?;
    let failed: Option<i64> = row.try_get("", "failed_ms").or_fault()?;
    let held: i64 = row.try_get("", "held_until_ms").or_fault()?;
    Ok(Health {
        failures: u32::try_from(failures).map_err(Fault::internal)?,
        failing_since: since.map(Moment::from_unix_ms),
        failed: failed.map(Moment::from_unix_ms),
        held_until: (held > 0).then(|| Moment::from_unix_ms(held)),
    })
}

/// # Errors
/// `internal` for a garbled row.
pub(super) fn hook(row: &QueryResult) -> Result<HookId> {
    id(row, "hook").map(HookId)
}
