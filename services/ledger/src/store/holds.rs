//! Holds, read without a lock: what they are about never changes, and whether they have ended is decided under lock by
//! whoever ends them.

use super::accounts;
use super::bulk::{HOLD_COLUMNS, read_hold};
use crate::domain::Hold;
use beem_clock::Moment;
use beem_database::Sql;
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, HoldId};

/// A hold.
///
/// # Errors
/// `not-found` when there is none, or it is another account's.
pub async fn hold(on: &impl Sql, owner: AccountId, id: HoldId) -> Result<Hold> {
    let sql = format!("SELECT {HOLD_COLUMNS} FROM holds h WHERE h.id = $1 AND h.owner = $2");
    let row = on.row(&sql, vec![id.0.into(), owner.0.into()]).await?;
    read_hold(&row.ok_or_else(|| Fault::not_found("hold"))?)
}

/// Whether a hold was placed for a payout, which says how it is posted.
///
/// # Errors
/// As the database says.
pub async fn is_of_payout(on: &impl Sql, id: HoldId) -> Result<bool> {
    let row = on.row("SELECT hold_id FROM outbounds WHERE hold_id = $1", vec![id.0.into()]).await?;
    Ok(row.is_some())
}

/// Active holds whose time is over, the longest over first, at most `max`.
///
/// # Errors
/// As the database says.
pub async fn due(on: &impl Sql, now: Moment, max: u32) -> Result<Vec<(AccountId, HoldId)>> {
    let sql = format!(
        "SELECT owner, id FROM holds WHERE state = 'ACTIVE' AND expires_ms IS NOT NULL AND expires_ms <= $1
         ORDER BY expires_ms LIMIT {max}"
    );
    let rows = on.rows(&sql, vec![now.unix_ms().into()]).await?;
    let read = |row| Ok((AccountId(accounts::id(row, "owner")?), HoldId(accounts::id(row, "id")?)));
    rows.iter().map(read).collect()
}
