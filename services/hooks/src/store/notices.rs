//! Notices: hooks that were disabled by themselves, of which their operators are still to be told.

use super::flag;
use crate::domain::DisabledReason;
use beem_clock::Moment;
use beem_database::{OrFault as _, Sql, Tx};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, HookId};
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

/// A hook of which its operators are to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub id: Uuid,
    pub hook: HookId,
    pub account: AccountId,
    pub url: String,
    /// When the hook was made.
    pub made: Moment,
    pub reason: DisabledReason,
    /// When it was disabled.
    pub at: Moment,
    /// Whether its operators are to hear of it: see [`may_tell`].
    pub wanted: bool,
}

/// A hook's operators get one mail in so long at most, however often it is enabled and disabled again.
const PAUSE_MS: i64 = 60 * 60 * 1000;

/// Of a hook that is disabled still, was not deleted, and that nobody was told of after $1 and up to $2: a time to come is no
/// time at which anybody was told, but a clock that was wrong.
const WANTED: &str =
    "NOT enabled AND deleted_ms IS NULL AND (told_ms IS NULL OR told_ms <= $1 OR told_ms > $2)";

/// The hook was disabled in this transaction: its operators are told by mail once that has committed.
///
/// # Errors
/// As the database says.
pub async fn add(tx: &Tx<'_>, hook: HookId, reason: DisabledReason) -> Result<()> {
    let id = beem_ids::draw(tx.now(), tx.entropy());
    let sql = "INSERT INTO notices (id, hook, reason, at_ms) VALUES ($1, $2, $3, $4)";
    let values = vec![id.into(), hook.0.into(), reason.as_str().into(), tx.now().unix_ms().into()];
    tx.run(sql, values).await.map(drop)
}

/// Those behind `after`, oldest first.
///
/// # Errors
/// As the database says.
pub async fn waiting(on: &impl Sql, now: Moment, after: Uuid, max: u32) -> Result<Vec<Notice>> {
    let sql = format!(
        "SELECT n.id, n.hook, h.account_id, h.url, h.created_ms, n.reason, n.at_ms, {WANTED} AS wanted
         FROM notices n JOIN hooks h ON h.id = n.hook WHERE n.id > $3 ORDER BY n.id LIMIT $4"
    );
    let [since, until] = pause(now);
    on.rows(&sql, vec![since, until, after.into(), i64::from(max).into()]).await?.iter().map(read).collect()
}

/// Whether the hook's operators are to be told now, in this transaction: not when it is enabled again or deleted, nor when
/// they were told of it within the hour.
///
/// # Errors
/// As the database says.
pub async fn may_tell(tx: &Tx<'_>, hook: HookId) -> Result<bool> {
    let sql = format!("UPDATE hooks SET told_ms = $2 WHERE id = $3 AND {WANTED}");
    let [since, until] = pause(tx.now());
    Ok(tx.run(&sql, vec![since, until, hook.0.into()]).await? == 1)
}

fn pause(now: Moment) -> [Value; 2] {
    [now.plus_ms(-PAUSE_MS).unix_ms().into(), now.unix_ms().into()]
}

/// Ends it in this transaction. False when another process has.
///
/// # Errors
/// As the database says.
pub async fn end(tx: &Tx<'_>, notice: Uuid) -> Result<bool> {
    Ok(tx.run("DELETE FROM notices WHERE id = $1", vec![notice.into()]).await? == 1)
}

fn read(row: &QueryResult) -> Result<Notice> {
    let reason: String = row.try_get("", "reason").or_fault()?;
    Ok(Notice {
        id: row.try_get("", "id").or_fault()?,
        hook: HookId(row.try_get("", "hook").or_fault()?),
        account: AccountId(row.try_get("", "account_id").or_fault()?),
        url: row.try_get("", "url").or_fault()?,
        made: Moment::from_unix_ms(row.try_get("", "created_ms").or_fault()?),
        reason: DisabledReason::parse(&reason).ok_or_else(|| Fault::internal("a notice has no reason"))?,
        at: Moment::from_unix_ms(row.try_get("", "at_ms").or_fault()?),
        wanted: flag(row, "wanted")?,
    })
}
