//! Transfers and holds from their own side: the entries they name are there. What they say is compared where the entries
//! are walked through.

use super::diagnose::{is_denied, is_sound, stands_otherwise};
use super::{LedgerVerifier, Place, Stretch, effects};
use crate::store::proof::{self, FoundPlaces, Key};
use beem_database::Sql;
use beem_fault::{Fault, Result};
use uuid::Uuid;

impl LedgerVerifier {
    pub(super) async fn transfers(&self, after: Option<Uuid>, max: i64) -> Result<Stretch> {
        let stretch = self.database.read_consistently(|at| {
            Box::pin(async move {
                let rows = proof::transfers_after(at, after, max).await?;
                let mut stretch = judge(at, "transfers", &rows).await?;
                effects::judge(at, "transfers", &ids_of(&rows), &mut stretch).await?;
                stretch.on = rows.last().map(|last| Place::Transfers(Some(last.id)));
                Ok(stretch)
            })
        });
        stretch.await
    }

    pub(super) async fn holds(&self, after: Option<Uuid>, max: i64) -> Result<Stretch> {
        let stretch = self.database.read_consistently(|at| {
            Box::pin(async move {
                let rows = proof::holds_after(at, after, max).await?;
                let mut stretch = judge(at, "holds", &rows).await?;
                effects::judge(at, "holds", &ids_of(&rows), &mut stretch).await?;
                stretch.on = rows.last().map(|last| Place::Holds(Some(last.id)));
                Ok(stretch)
            })
        });
        stretch.await
    }
}

fn ids_of(rows: &[FoundPlaces]) -> Vec<Uuid> {
    rows.iter().map(|row| row.id).collect()
}

async fn judge(on: &impl Sql, table: &'static str, rows: &[FoundPlaces]) -> Result<Stretch> {
    let rows_read = u64::try_from(rows.len()).map_err(Fault::internal)?;
    let mut stretch = Stretch { rows: rows_read, ..Stretch::default() };
    for row in rows {
        for place in &row.missing {
            missing(on, &mut stretch, (table, row.id), *place).await?;
        }
    }
    Ok(stretch)
}

/// No entry about this row stands where it says.
async fn missing(
    on: &impl Sql,
    stretch: &mut Stretch,
    (table, id): (&'static str, Uuid),
    place: Key,
) -> Result<()> {
    let (account, time, sequence) = place;
    let of = proof::account(on, account).await?;
    let transfer = if table == "transfers" { proof::transfer(on, id).await? } else { None };
    // It was changed: that was seen along the entries of its other side.
    if let Some(transfer) = &transfer
        && is_denied(on, transfer, place).await?
    {
        return Ok(());
    }
    if of.account.is_none() {
        match transfer {
            // Its other side vouches for it.
            Some(transfer) if stands_otherwise(on, &transfer, place).await? => {
                stretch.found("ledger_accounts", account, "removed: this account's row is missing");
            }
            Some(_) | None => {
                stretch.found(table, id, format!("changed, or its account {account} was removed"));
            }
        }
        return Ok(());
    }
    // At another number: that was seen along the entries.
    if proof::is_told_at(on, account, time, id).await? {
        return Ok(());
    }
    let Some(balance) = of.balance.flatten() else { return Ok(()) };
    if sequence > balance.sequence {
        let next = balance.sequence.saturating_add(1);
        let detail = format!("cut: {table} {id} names entry {sequence}, and the account ends before");
        stretch.found("entries", format!("{account} {next}"), detail);
        return Ok(());
    }
    // A gap was seen along the entries; a sound one about something else stands against this row.
    for found in proof::numbered(on, account, sequence).await? {
        if found.entry.as_ref().is_some_and(|entry| entry.subject.id() != id) && is_sound(on, &found).await? {
            let detail = format!("changed or inserted: entry {account} {sequence} is not about it");
            stretch.found(table, id, detail);
        }
    }
    Ok(())
}
