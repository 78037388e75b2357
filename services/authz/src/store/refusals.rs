//! How often callers nobody knows were refused, per address, minute and code; and the reports that were counted.

use super::entities::refusal_counts::{ActiveModel, Column, Entity};
use beem_database::{OrFault as _, Sql as _, Tx};
use beem_fault::Result;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{ActiveValue::Set, EntityTrait as _};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Address, minute, code: in the order in which they are written, so that reporters do not wait for each other in a ring.
pub type RefusalCount = BTreeMap<(String, i64, String), i64>;

/// Counts a report, unless it was counted before. At most 1,000 counts.
pub async fn count(tx: &Tx<'_>, report: Uuid, counts: &RefusalCount) -> Result<()> {
    let sql = "INSERT INTO refusal_reports (id, reported_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    if tx.run(sql, vec![report.into(), tx.now().unix_ms().into()]).await? == 0 || counts.is_empty() {
        return Ok(());
    }
    let rows = counts.iter().map(|((address, minute_s, code), count)| ActiveModel {
        address: Set(address.clone()),
        minute_s: Set(*minute_s),
        code: Set(code.clone()),
        count: Set(*count),
    });
    let sum = Expr::col((Entity, Column::Count)).add(Expr::cust("excluded.count"));
    let add = OnConflict::columns([Column::Address, Column::MinuteS, Column::Code])
        .value(Column::Count, sum)
        .to_owned();
    Entity::insert_many(rows).on_conflict(add).exec_without_returning(tx).await.or_fault()?;
    Ok(())
}

/// Forgets counts of minutes before this one, at most `max`; how many it was.
pub async fn purge_counts(tx: &Tx<'_>, before_s: i64, max: i64) -> Result<u64> {
    let sql = "DELETE FROM refusal_counts WHERE (address, minute_s, code) IN (
        SELECT address, minute_s, code FROM refusal_counts WHERE minute_s < $1 ORDER BY minute_s LIMIT $2)";
    tx.run(sql, vec![before_s.into(), max.into()]).await
}

/// Forgets which reports were counted before this moment, at most `max`; how many it was.
pub async fn purge_reports(tx: &Tx<'_>, before_ms: i64, max: i64) -> Result<u64> {
    let sql = "DELETE FROM refusal_reports WHERE id IN (
        SELECT id FROM refusal_reports WHERE reported_ms < $1 ORDER BY reported_ms LIMIT $2)";
    tx.run(sql, vec![before_ms.into(), max.into()]).await
}
