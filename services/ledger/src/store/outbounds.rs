//! The table of payouts' money: what each hold of a payout was placed for.

use super::accounts::{amount, amount_or_none, currency, hash, id, moment, moment_or_none, text};
use super::{for_update, garbled, numeric};
use crate::domain::{FeePayer, Hash, Outbound, Plan, PostedOutbound};
use beem_database::{Sql, Tx};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, HoldId, LedgerAccountId};
use sea_orm::QueryResult;

/// What [`read`] reads.
pub const COLUMNS: &str = "hold_id, owner, wallet_id, network, wallet_currency,
    CAST(wallet_amount AS TEXT) AS wallet_amount, pay_currency, CAST(pay_amount AS TEXT) AS pay_amount, fee_currency,
    CAST(fee_cap AS TEXT) AS fee_cap, fee_payer, plan, base_currency, CAST(base_amount AS TEXT) AS base_amount,
    created_ms, digest, CAST(fee AS TEXT) AS fee, CAST(debited AS TEXT) AS debited, posted_ms";

/// A new one, beside its hold.
///
/// # Errors
/// As the database says.
pub async fn insert(tx: &Tx<'_>, outbound: &Outbound) -> Result<()> {
    let [held, pay, fee_cap, base] = [6, 8, 10, 14].map(|place| numeric(tx, place));
    let sql = format!(
        "INSERT INTO outbounds (hold_id, owner, wallet_id, network, wallet_currency, wallet_amount, pay_currency,
            pay_amount, fee_currency, fee_cap, fee_payer, plan, base_currency, base_amount, created_ms, digest)
         VALUES ($1, $2, $3, $4, $5, {held}, $7, {pay}, $9, {fee_cap}, $11, $12, $13, {base}, $15, $16)"
    );
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
    tx.run(&sql, values).await.map(drop)
}

/// A payout's, locked until the transaction ends.
///
/// # Errors
/// `not-found` when the hold is no payout's or another account's; `internal` when the row is not as it was written.
pub async fn lock(tx: &Tx<'_>, owner: AccountId, hold: HoldId) -> Result<Outbound> {
    find(tx, owner, hold, for_update(tx)).await
}

/// The same as it is now, for what never changes of it.
///
/// # Errors
/// As [`lock`].
pub async fn get(on: &impl Sql, owner: AccountId, hold: HoldId) -> Result<Outbound> {
    find(on, owner, hold, "").await
}

async fn find(on: &impl Sql, owner: AccountId, hold: HoldId, lock: &str) -> Result<Outbound> {
    let sql = format!("SELECT {COLUMNS} FROM outbounds WHERE hold_id = $1 AND owner = $2 {lock}");
    let row = on.row(&sql, vec![hold.0.into(), owner.0.into()]).await?;
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
    let sql = format!(
        "UPDATE outbounds SET fee = {}, debited = {}, posted_ms = $4 WHERE hold_id = $1 AND posted_ms IS NULL",
        numeric(tx, 2),
        numeric(tx, 3)
    );
    let (fee, debited) = (posted.fee.to_string(), posted.debited.to_string());
    let values = vec![hold.0.into(), fee.into(), debited.into(), posted.at.unix_ms().into()];
    match tx.run(&sql, values).await? {
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
