//! Notices: hooks that were disabled by themselves, of which their operators are still to be told.

use crate::domain::DisabledReason;
use beem_clock::Moment;
use beem_database::{OrFault as _, Sql, Tx};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, HookId};
use sea_orm::QueryResult;
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
    /// Whether it was deleted meanwhile.
    pub deleted: bool,
}

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
pub async fn waiting(on: &impl Sql, after: Uuid, max: u32) -> Result<Vec<Notice>> {
    let sql = "SELECT n.id, n.hook, h.account_id, h.url, h.created_ms, n.reason, n.at_ms, h.deleted_ms
        FROM notices n JOIN hooks h ON h.id = n.hook WHERE n.id > $1 ORDER BY n.id LIMIT $2";
    on.rows(sql, vec![after.into(), i64::from(max).into()]).await?.iter().map(read).collect()
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
        deleted: row.try_get::<Option<i64>>("", "deleted_ms").or_fault()?.is_some(),
    })
}
