//! The table of payouts' money: what each hold of a payout was placed for.

use super::accounts::{amount, amount_or_none, currency, hash, id, moment, moment_or_none, text};
use super::garbled;
use crate::domain::{FeePayer, Hash, Outbound, Plan, PostedOutbound};
use beem_database::{Backend, Sql as _, Tx};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, HoldId, LedgerAccountId};
use sea_orm::QueryResult;

/// What [`read`] reads.
pub const COLUMNS: &str = "hold_id, owner, wallet_id, network, wallet_currency,
    CAST(wallet_amount AS TEXT) AS wallet_amount, pay_currency, CAST(pay_amount AS TEXT) AS pay_amount, fee_currency,
    CAST(fee_cap AS TEXT) AS fee_cap, fee_payer, plan, base_currency, CAST(base_amount AS TEXT) AS base_amount,
    created_ms, digest, CAST(fee AS TEXT) AS fee, CAST(debited AS TEXT) AS debited, posted_ms";

const INSERT: [&str; 2] = [
    "INSERT INTO outbounds (hold_id, owner, wallet_id, network, wallet_currency, wallet_amount, pay_currency,
        pay_amount, fee_currency, fee_cap, fee_payer, plan, base_currency, base_amount, created_ms, digest)
     VALUES ($1, $2, $3, $4, $5, $6::numeric, $7, $8::numeric, $9, $10::numeric, $11, $12, $13, $14::numeric, $15, $16)",
    "INSERT INTO outbounds (hold_id, owner, wallet_id, network, wallet_currency, wallet_amount, pay_currency,
        pay_amount, fee_currency, fee_cap, fee_payer, plan, base_currency, base_amount, created_ms, digest)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
];

const POST: [&str; 2] = [
    "UPDATE outbounds SET fee = $2::numeric, debited = $3::numeric, posted_ms = $4
     WHERE hold_id = $1 AND posted_ms IS NULL",
    "UPDATE outbounds SET fee = $2, debited = $3, posted_ms = $4 WHERE hold_id = $1 AND posted_ms IS NULL",
];

/// A new one, beside its hold.
///
/// # Errors
/// As the database says.
pub async fn insert(tx: &Tx<'_>, outbound: &Outbound) -> Result<()> {
    let values = vec![
        outbound.hold.0.into(),
        outbound.owner.0.into(),
        outbound.wallet.0.into(),
        outbound.network.as_str().into(),
        outbound.wallet_currency.as_str().into(),
        outbound.held.to_string().into(),
        outbound.pay_currency.as_str().into(),
        outbound.pay.to_string().into(),
        outbound.fee_currency.as_str().into(),
        outbound.fee_cap.to_string().into(),
        outbound.fee_payer.as_str().into(),
        outbound.plan.to_text().into(),
        outbound.base_currency.as_str().into(),
        outbound.base.to_string().into(),
        outbound.created.unix_ms().into(),
        outbound.digest().to_vec().into(),
    ];
    tx.run(of(tx, INSERT), values).await.map(drop)
}

/// A payout's, locked until the transaction ends.
///
/// # Errors
/// `not-found` when the hold is no payout's or another account's; `internal` when the row is not as it was written.
pub async fn lock(tx: &Tx<'_>, owner: AccountId, hold: HoldId) -> Result<Outbound> {
    let lock = match tx.backend() {
        Backend::Postgres => "FOR UPDATE",
        Backend::Sqlite => "",
    };
    let sql = format!("SELECT {COLUMNS} FROM outbounds WHERE hold_id = $1 AND owner = $2 {lock}");
    let row = tx.row(&sql, vec![hold.0.into(), owner.0.into()]).await?;
    let (outbound, digest) = read(&row.ok_or_else(|| Fault::not_found("hold"))?)?;
    if outbound.digest() == digest {
        return Ok(outbound);
    }
    Err(Fault::internal(format!("outbound {hold} was changed in the database")))
}

/// It was paid.
///
/// # Errors
/// `internal` when it had been.
pub async fn post(tx: &Tx<'_>, hold: HoldId, posted: &PostedOutbound) -> Result<()> {
    let (fee, debited) = (posted.fee.to_string(), posted.debited.to_string());
    let values = vec![hold.0.into(), fee.into(), debited.into(), posted.at.unix_ms().into()];
    match tx.run(of(tx, POST), values).await? {
        1 => Ok(()),
        _ => Err(Fault::internal(format!("outbound {hold} was posted while its hold was active"))),
    }
}

/// A payout's money, and the digest that was written with it.
///
/// # Errors
/// `internal` for a garbled row.
pub fn read(row: &QueryResult) -> Result<(Outbound, Hash)> {
    let posted =
        (amount_or_none(row, "fee")?, amount_or_none(row, "debited")?, moment_or_none(row, "posted_ms")?);
    let posted = match posted {
        (None, None, None) => None,
        (Some(fee), Some(debited), Some(at)) => Some(PostedOutbound { fee, debited, at }),
        _ => return Err(garbled("posted outbound")),
    };
    let outbound = Outbound {
        hold: HoldId(id(row, "hold_id")?),
        owner: AccountId(id(row, "owner")?),
        wallet: LedgerAccountId(id(row, "wallet_id")?),
        network: text(row, "network")?,
        wallet_currency: currency(row, "wallet_currency")?,
        held: amount(row, "wallet_amount")?,
        pay_currency: currency(row, "pay_currency")?,
        pay: amount(row, "pay_amount")?,
        fee_currency: currency(row, "fee_currency")?,
        fee_cap: amount(row, "fee_cap")?,
        fee_payer: FeePayer::parse(&text(row, "fee_payer")?).ok_or_else(|| garbled("fee payer"))?,
        plan: Plan::parse(&text(row, "plan")?).ok_or_else(|| garbled("plan"))?,
        base_currency: currency(row, "base_currency")?,
        base: amount(row, "base_amount")?,
        created: moment(row, "created_ms")?,
        posted,
    };
    Ok((outbound, hash(row, "digest")?))
}

fn of<'s>(tx: &Tx<'_>, [postgres, sqlite]: [&'s str; 2]) -> &'s str {
    match tx.backend() {
        Backend::Postgres => postgres,
        Backend::Sqlite => sqlite,
    }
}
