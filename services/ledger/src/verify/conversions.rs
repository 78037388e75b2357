//! Quotes, promised rates, deposits and payouts: each as it was written, by its digest; and what was noted of it later is
//! what its transfers and its hold say. A transfer that was changed itself is told of only as such.

use super::diagnose::{is_as_entered, stands_otherwise};
use super::{LedgerVerifier, Place, Stretch};
use crate::domain::{
    Credited, Hold, HoldState, NewTransfer, Outbound, Purpose, Quote, Settlement, SettlementState, Transfer,
};
use crate::store::{locks, outbounds, proof, quotes, settlements};
use beem_database::Sql;
use beem_fault::{Fault, Result};
use beem_ids::TransferId;
use beem_money::Rate;
use std::collections::HashMap;
use uuid::Uuid;

const CHANGED: &str = "changed: it is not as it was written";
const UNREADABLE: &str = "changed: it cannot be read";

/// Rows of one table as they are read, with the digest that stands beside each.
type Read<T> = Vec<(Uuid, T)>;

impl LedgerVerifier {
    pub(super) async fn quotes(&self, after: Option<Uuid>, max: i64) -> Result<Stretch> {
        let stretch = self.database.read_consistently(|at| {
            Box::pin(async move {
                let rows = proof::rows_after(at, ("quotes", "id", quotes::COLUMNS), after, max).await?;
                let (mut stretch, read) = written("quotes", rows, Place::Quotes, |row| {
                    quotes::read(row).map(|(quote, digest)| (quote.digest() == digest, quote))
                })?;
                let executed = read.iter().filter_map(|(_, quote)| quote.executed);
                let ids: Vec<_> = executed.flat_map(|done| [done.debit.0, done.credit.0]).collect();
                let transfers = proof::transfers(at, &ids).await?;
                for (id, quote) in &read {
                    if let Some(wrong) = executed_otherwise(at, quote, &transfers).await? {
                        stretch.found("quotes", id, wrong);
                    }
                }
                Ok(stretch)
            })
        });
        stretch.await
    }

    pub(super) async fn rate_locks(&self, after: Option<Uuid>, max: i64) -> Result<Stretch> {
        let rows =
            proof::rows_after(self.database.read(), ("rate_locks", "id", locks::COLUMNS), after, max).await?;
        let (stretch, _) = written("rate_locks", rows, Place::RateLocks, |row| {
            locks::read(row).map(|(lock, digest)| (lock.digest() == digest, lock))
        })?;
        Ok(stretch)
    }

    pub(super) async fn settlements(&self, after: Option<Uuid>, max: i64) -> Result<Stretch> {
        let stretch = self.database.read_consistently(|at| {
            Box::pin(async move {
                let rows =
                    proof::rows_after(at, ("settlements", "id", settlements::COLUMNS), after, max).await?;
                let (mut stretch, read) = written("settlements", rows, Place::Settlements, |row| {
                    settlements::read(row).map(|(one, digest)| (one.digest() == digest, one))
                })?;
                let ids: Vec<_> = read.iter().flat_map(|(_, one)| transfers_of(one)).collect();
                let transfers = proof::transfers(at, &ids).await?;
                for (id, settlement) in &read {
                    if let Some(wrong) = settled_otherwise(at, settlement, &transfers).await? {
                        stretch.found("settlements", id, wrong);
                    }
                }
                Ok(stretch)
            })
        });
        stretch.await
    }

    pub(super) async fn outbounds(&self, after: Option<Uuid>, max: i64) -> Result<Stretch> {
        let stretch = self.database.read_consistently(|at| {
            Box::pin(async move {
                let rows =
                    proof::rows_after(at, ("outbounds", "hold_id", outbounds::COLUMNS), after, max).await?;
                let (mut stretch, read) = written("outbounds", rows, Place::Outbounds, |row| {
                    outbounds::read(row).map(|(one, digest)| (one.digest() == digest, one))
                })?;
                let holds = proof::holds(at, &read.iter().map(|(id, _)| *id).collect::<Vec<_>>()).await?;
                for (id, outbound) in &read {
                    if let Some(wrong) = posted_otherwise(at, outbound, holds.get(id)).await? {
                        stretch.found("outbounds", id, wrong);
                    }
                }
                Ok(stretch)
            })
        });
        stretch.await
    }
}

/// Those that are as they were written; the others are found.
fn written<T>(
    table: &str,
    rows: Vec<(Uuid, sea_orm::QueryResult)>,
    place: impl Fn(Option<Uuid>) -> Place,
    read: impl Fn(&sea_orm::QueryResult) -> Result<(bool, T)>,
) -> Result<(Stretch, Read<T>)> {
    let rows_read = u64::try_from(rows.len()).map_err(Fault::internal)?;
    let on = rows.last().map(|(last, _)| place(Some(*last)));
    let mut stretch = Stretch { rows: rows_read, on, ..Stretch::default() };
    let mut good = Vec::with_capacity(rows.len());
    for (id, row) in &rows {
        match read(row) {
            Ok((true, one)) => good.push((*id, one)),
            Ok((false, _)) => stretch.found(table, id, CHANGED),
            Err(_) => stretch.found(table, id, UNREADABLE),
        }
    }
    Ok((stretch, good))
}

/// Why a transfer is not what somebody says of it; None as well when the transfer itself was changed.
async fn otherwise(
    on: &impl Sql,
    transfers: &HashMap<Uuid, Transfer>,
    id: TransferId,
    is: impl Fn(&Transfer) -> bool,
) -> Result<Option<String>> {
    let Some(transfer) = transfers.get(&id.0) else {
        return Ok(Some(format!("changed, or transfer {id} was removed: it cannot be found")));
    };
    if is(transfer) || !stands_otherwise(on, transfer, (Uuid::nil(), 0, 0)).await? {
        return Ok(None);
    }
    Ok(Some(format!("changed: transfer {id} says otherwise")))
}

async fn executed_otherwise(
    on: &impl Sql,
    quote: &Quote,
    transfers: &HashMap<Uuid, Transfer>,
) -> Result<Option<String>> {
    let Some(done) = quote.executed else { return Ok(None) };
    let (offer, priced) = (&quote.offer, &quote.offer.conversion);
    let is_of = |new: &NewTransfer| new.cause.kind == "quote" && new.cause.id == quote.id.to_string();
    let debit = otherwise(on, transfers, done.debit, |Transfer { new, time, .. }| {
        is_of(new)
            && *time == done.time
            && (new.debit, new.currency, new.amount) == (offer.from, offer.currency_in, priced.amount_in)
    });
    if let Some(wrong) = debit.await? {
        return Ok(Some(wrong));
    }
    let credit = otherwise(on, transfers, done.credit, |Transfer { new, time, .. }| {
        is_of(new)
            && *time == done.time
            && (new.credit, new.currency, new.amount) == (offer.to, offer.currency_out, priced.amount_out)
    });
    credit.await
}

fn transfers_of(settlement: &Settlement) -> impl Iterator<Item = Uuid> {
    let credited = match settlement.state {
        SettlementState::Suspended(_) => None,
        SettlementState::Settled(credited) => Some(credited.transfer.0),
    };
    std::iter::once(settlement.suspense.0).chain(credited)
}

async fn settled_otherwise(
    on: &impl Sql,
    settlement: &Settlement,
    transfers: &HashMap<Uuid, Transfer>,
) -> Result<Option<String>> {
    let booked =
        otherwise(on, transfers, settlement.suspense, |transfer| transfer.new == settlement.booking());
    if let Some(wrong) = booked.await? {
        return Ok(Some(wrong));
    }
    let Credited { amount, rate, transfer, at } = match settlement.state {
        SettlementState::Suspended(_) => return Ok(None),
        SettlementState::Settled(credited) => credited,
    };
    let credited = otherwise(on, transfers, transfer, |Transfer { new, time, .. }| {
        *time == at
            && (new.credit, new.currency, new.amount)
                == (settlement.wallet, settlement.wallet_currency, amount)
            && new.cause == settlement.cause
            && new.counterpart.as_ref().map_or(Rate::ONE, |counterpart| counterpart.rate) == rate
    });
    credited.await
}

/// A payout beside its hold: what it was placed for, and what it took when it was posted.
async fn posted_otherwise(on: &impl Sql, outbound: &Outbound, hold: Option<&Hold>) -> Result<Option<String>> {
    let wrong = |detail: &str| Ok(Some(format!("changed: {detail}")));
    let Some(hold) = hold else { return wrong("it has no hold that can be read") };
    if !is_as_entered(on, hold).await? {
        return Ok(None);
    }
    let placed = (hold.new.account, hold.owner, hold.currency, hold.new.amount);
    if placed != (outbound.wallet, outbound.owner, outbound.wallet_currency, outbound.held) {
        return wrong("its hold is another one's");
    }
    let posted = match (outbound.posted, hold.state) {
        (None, HoldState::Active | HoldState::Voided | HoldState::Expired) => return Ok(None),
        (Some(posted), HoldState::Posted) => posted,
        (Some(_), HoldState::Active | HoldState::Voided | HoldState::Expired) | (None, HoldState::Posted) => {
            return wrong("its hold is in another state");
        }
    };
    if (posted.debited, Some(posted.at)) != (hold.posted, hold.ended.map(|(at, _)| at)) {
        return wrong("its hold was posted otherwise");
    }
    let gas = Purpose::Gas.id(outbound.fee_currency, "");
    let at = posted.at.unix_ms();
    let mut fees = proof::came_at(on, gas.0, at, &hold.new).await?;
    let paid = if posted.fee.is_zero() { fees.is_empty() } else { fees.contains(&posted.fee) };
    // Others with the same cause may have been posted in the same millisecond: then all of them together.
    let paid = paid || {
        let mut noted = proof::fees_at(on, at, outbound.fee_currency.as_str(), &hold.new).await?;
        fees.sort();
        noted.sort();
        fees == noted
    };
    if paid { Ok(None) } else { wrong("another network fee was paid") }
}
