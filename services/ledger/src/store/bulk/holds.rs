//! What both databases have in common: reading a hold, and noticing that a row was not as it was read.

use super::super::accounts::{amount, currency, id, moment, moment_or_none, number, number_or_none, text};
use super::super::garbled;
use crate::domain::{Cause, Hold, HoldState, NewHold};
use beem_fault::Result;
use beem_ids::{AccountId, HoldId, LedgerAccountId};
use sea_orm::QueryResult;

/// What [`read_hold`] reads, of `holds`.
pub const HOLD_COLUMNS: &str = "id, ledger_account_id, owner, currency, CAST(amount AS TEXT) AS amount, reference,
    cause_type, cause_id, created_ms, created_sequence, expires_ms, state, CAST(posted AS TEXT) AS posted, ended_ms,
    ended_sequence, effect_key";

/// A hold, of [`HOLD_COLUMNS`].
///
/// # Errors
/// `internal` for a garbled row.
pub fn read_hold(row: &QueryResult) -> Result<Hold> {
    let ended = (moment_or_none(row, "ended_ms")?, number_or_none(row, "ended_sequence")?);
    Ok(Hold {
        new: NewHold {
            id: HoldId(id(row, "id")?),
            account: LedgerAccountId(id(row, "ledger_account_id")?),
            amount: amount(row, "amount")?,
            reference: text(row, "reference")?,
            cause: Cause { kind: text(row, "cause_type")?, id: text(row, "cause_id")? },
            expires: moment_or_none(row, "expires_ms")?,
        },
        effect: text(row, "effect_key")?,
        owner: AccountId(id(row, "owner")?),
        currency: currency(row, "currency")?,
        created: moment(row, "created_ms")?,
        created_sequence: number(row, "created_sequence")?,
        state: HoldState::parse(&text(row, "state")?).ok_or_else(|| garbled("state"))?,
        posted: amount(row, "posted")?,
        ended: ended.0.zip(ended.1),
    })
}

/// Runs the transaction again unless every row that was sent was found as it had been read.
///
/// # Errors
/// A conflict when fewer were.
pub fn conflicting(what: &str, updated: u64, sent: usize) -> Result<()> {
    if usize::try_from(updated) == Ok(sent) {
        return Ok(());
    }
    Err(beem_database::conflict(format!("{updated} of {sent} rows were as they had been read: {what}")))
}
