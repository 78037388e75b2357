//! The table of deposits on their way to their wallets.

use super::accounts::{
    amount, amount_or_none, currency, hash, id, id_or_none, moment, moment_or_none, number, number_or_none,
    text, text_or_none,
};
use super::{for_update, garbled, numeric};
use crate::domain::{Cause, Credited, Hash, Kind, Promised, Reason, Settlement, SettlementState};
use beem_clock::Moment;
use beem_database::page::{Order, Page};
use beem_database::{Sql, Tx};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, LedgerAccountId, RateLockId, SettlementId, TransferId};
use beem_money::{CurrencyCode, Rate};
use sea_orm::{QueryResult, Value};
use std::collections::BTreeSet;
use uuid::Uuid;

/// What [`read`] reads.
pub const COLUMNS: &str = "id, effect_key, owner, wallet_id, wallet_currency, network, currency,
    CAST(amount AS TEXT) AS amount, kind, reference, cause_type, cause_id, rate_lock_id, lock_mid,
    lock_spread_millionths, suspense_transfer, created_ms, digest, state, reason, CAST(credited AS TEXT) AS credited,
    rate, credit_transfer, settled_ms";

/// A new one, in suspense.
///
/// # Errors
/// As the database says.
pub async fn insert(tx: &Tx<'_>, settlement: &Settlement) -> Result<()> {
    let SettlementState::Suspended(reason) = settlement.state else {
        return Err(Fault::internal("a settlement begins in suspense"));
    };
    let sql = format!(
        "INSERT INTO settlements (id, effect_key, owner, wallet_id, wallet_currency, network, currency, amount, kind,
            reference, cause_type, cause_id, rate_lock_id, lock_mid, lock_spread_millionths, suspense_transfer,
            created_ms, digest, state, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7, {}, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 'SUSPENDED', $19)",
        numeric(tx, 8)
    );
    let promised = settlement.promised.as_ref();
    let values = vec![
        settlement.id.0.into(),
        settlement.effect_key.as_str().into(),
        settlement.owner.0.into(),
        settlement.wallet.0.into(),
        settlement.wallet_currency.as_str().into(),
        settlement.network.as_str().into(),
        settlement.currency.as_str().into(),
        settlement.amount.to_string().into(),
        settlement.kind.as_str().into(),
        settlement.reference.as_str().into(),
        settlement.cause.kind.as_str().into(),
        settlement.cause.id.as_str().into(),
        Value::from(promised.map(|p| p.lock.0)),
        Value::from(promised.map(|p| p.mid.exact())),
        Value::from(promised.map(|p| i64::from(p.spread_millionths))),
        settlement.suspense.0.into(),
        settlement.created.unix_ms().into(),
        settlement.digest().to_vec().into(),
        reason.as_str().into(),
    ];
    tx.run(&sql, values).await.map(drop)
}

/// The one that was booked under this effect key, if any.
///
/// # Errors
/// `internal` when the row is not as it was written.
pub async fn by_key(on: &impl Sql, effect_key: &str) -> Result<Option<Settlement>> {
    let sql = format!("SELECT {COLUMNS} FROM settlements WHERE effect_key = $1");
    on.row(&sql, vec![effect_key.into()]).await?.as_ref().map(checked).transpose()
}

/// One, locked until the transaction ends.
///
/// # Errors
/// `internal` when it is not there or not as it was written.
pub async fn lock(tx: &Tx<'_>, id: SettlementId) -> Result<Settlement> {
    let sql = format!("SELECT {COLUMNS} FROM settlements WHERE id = $1 {}", for_update(tx));
    let row = tx.row(&sql, vec![id.0.into()]).await?;
    checked(&row.ok_or_else(|| Fault::internal(format!("settlement {id} is gone")))?)
}

/// It has come to its wallet.
///
/// # Errors
/// `internal` when it had already, or is kept.
pub async fn settle(tx: &Tx<'_>, id: SettlementId, credited: &Credited) -> Result<()> {
    let sql = format!(
        "UPDATE settlements SET state = 'SETTLED', reason = '', credited = {}, rate = $3, credit_transfer = $4,
            settled_ms = $5
         WHERE id = $1 AND state = 'SUSPENDED' AND reason <> 'kept'",
        numeric(tx, 2)
    );
    let values = vec![
        id.0.into(),
        credited.amount.to_string().into(),
        credited.rate.to_string().into(),
        credited.transfer.0.into(),
        credited.at.unix_ms().into(),
    ];
    match tx.run(&sql, values).await? {
        1 => Ok(()),
        _ => Err(Fault::internal(format!("settlement {id} was to be settled and may not be"))),
    }
}

/// Says why it stays in suspense; whether that is news. Nothing when it has come to its wallet or is kept.
///
/// # Errors
/// As the database says.
pub async fn suspend(tx: &Tx<'_>, id: SettlementId, reason: Reason) -> Result<bool> {
    let sql = "UPDATE settlements SET reason = $2
               WHERE id = $1 AND state = 'SUSPENDED' AND reason <> 'kept' AND reason <> $2";
    Ok(tx.run(sql, vec![id.0.into(), reason.as_str().into()]).await? == 1)
}

/// It is no longer kept. Nothing when it was not.
///
/// # Errors
/// As the database says.
pub async fn release(tx: &Tx<'_>, id: SettlementId) -> Result<()> {
    let sql = "UPDATE settlements SET reason = '' WHERE id = $1 AND state = 'SUSPENDED' AND reason = 'kept'";
    tx.run(sql, vec![id.0.into()]).await.map(drop)
}

/// Those in suspense, the oldest first, and the token of the next page; rows as they are, checked by nobody.
///
/// # Errors
/// `internal` for a garbled row.
pub async fn suspended(on: &impl Sql, page: &Page) -> Result<(Vec<Settlement>, String)> {
    let (limit, skipped) = (page.limit(), page.skipped());
    let (order, beyond) = match page.order {
        Order::Asc => ("ASC", ">"),
        Order::Desc => ("DESC", "<"),
    };
    let mut values = Vec::new();
    let after = page.after().map_or_else(String::new, |(created_ms, id)| {
        values.extend([created_ms.into(), id.into()]);
        format!("AND created_ms {beyond}= $1 AND (created_ms {beyond} $1 OR id {beyond} $2)")
    });
    let sql = format!(
        "SELECT {COLUMNS} FROM settlements WHERE state = 'SUSPENDED' {after}
         ORDER BY created_ms {order}, id {order} LIMIT {limit} OFFSET {skipped}"
    );
    let rows = on.rows(&sql, values).await?;
    let rows = rows.iter().map(|row| read(row).map(|(settlement, _)| settlement));
    Ok(page.finish(rows.collect::<Result<_>>()?, |s: &Settlement| (s.created.unix_ms(), s.id.0)))
}

/// At most `max` of those that are stuck so and may go on, beyond a place, the oldest first, but those to be left. One that
/// is not as it was written is an error of its own.
///
/// # Errors
/// As the database says.
pub async fn waiting(
    on: &impl Sql,
    stuck: Stuck,
    after: Place,
    left: &Left,
    max: usize,
) -> Result<Vec<(Place, Result<Settlement>)>> {
    let reasons = match stuck {
        Stuck::UnderWay => "''",
        Stuck::Whyever => "'', 'no-rate', 'no-liquidity'",
    };
    let mut values = vec![after.created_ms.into(), after.id.into()];
    let mut but = String::new();
    let mut parameter = |code: &CurrencyCode| {
        values.push(code.as_str().into());
        values.len()
    };
    for to in &left.without_liquidity {
        but += &format!(" AND (wallet_currency <> ${} OR currency = wallet_currency)", parameter(to));
    }
    for (from, to) in &left.without_rate {
        let (from, to) = (parameter(from), parameter(to));
        but += &format!(" AND (currency <> ${from} OR wallet_currency <> ${to} OR rate_lock_id IS NOT NULL)");
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM settlements
         WHERE state = 'SUSPENDED' AND reason IN ({reasons})
            AND created_ms >= $1 AND (created_ms > $1 OR id > $2){but}
         ORDER BY created_ms, id LIMIT {max}"
    );
    let rows = on.rows(&sql, values).await?;
    let place = |row| Ok::<_, Fault>(Place { created_ms: number(row, "created_ms")?, id: id(row, "id")? });
    rows.iter().map(|row| Ok((place(row)?, checked(row)))).collect()
}

/// Why deposits have not gone on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// They were left between their two steps, or released.
    UnderWay,
    /// That, or for want of a rate or of liquidity.
    Whyever,
}

/// What need not be tried again just now.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// What would have to be converted to these.
    pub without_liquidity: BTreeSet<CurrencyCode>,
    /// What would have to be converted from the one to the other, and was promised no rate.
    pub without_rate: BTreeSet<(CurrencyCode, CurrencyCode)>,
}

/// Where a deposit stands among others: when it was booked, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    created_ms: i64,
    id: Uuid,
}

impl Place {
    /// Before all of them.
    pub const FIRST: Self = Self { created_ms: i64::MIN, id: Uuid::nil() };
}

/// A settlement, and the digest that was written with it.
///
/// # Errors
/// `internal` for a garbled row.
pub fn read(row: &QueryResult) -> Result<(Settlement, Hash)> {
    let lock = id_or_none(row, "rate_lock_id")?;
    let promised =
        match (lock, text_or_none(row, "lock_mid")?, number_or_none(row, "lock_spread_millionths")?) {
            (None, None, None) => None,
            (Some(lock), Some(mid), Some(spread)) => Some(Promised {
                lock: RateLockId(lock),
                mid: Rate::parse_exact(&mid).map_err(|_| garbled("promised rate"))?,
                spread_millionths: u32::try_from(spread).map_err(|_| garbled("promised rate"))?,
            }),
            _ => return Err(garbled("promised rate")),
        };
    let settlement = Settlement {
        id: SettlementId(id(row, "id")?),
        effect_key: text(row, "effect_key")?,
        owner: AccountId(id(row, "owner")?),
        wallet: LedgerAccountId(id(row, "wallet_id")?),
        wallet_currency: currency(row, "wallet_currency")?,
        network: text(row, "network")?,
        currency: currency(row, "currency")?,
        amount: amount(row, "amount")?,
        kind: Kind::parse(&text(row, "kind")?).ok_or_else(|| garbled("kind"))?,
        reference: text(row, "reference")?,
        cause: Cause { kind: text(row, "cause_type")?, id: text(row, "cause_id")? },
        promised,
        suspense: TransferId(id(row, "suspense_transfer")?),
        created: moment(row, "created_ms")?,
        state: state(row)?,
    };
    Ok((settlement, hash(row, "digest")?))
}

fn state(row: &QueryResult) -> Result<SettlementState> {
    let reason = Reason::parse(&text(row, "reason")?).ok_or_else(|| garbled("reason"))?;
    let at: Option<Moment> = moment_or_none(row, "settled_ms")?;
    let credited =
        (amount_or_none(row, "credited")?, text_or_none(row, "rate")?, id_or_none(row, "credit_transfer")?);
    match (text(row, "state")?.as_str(), credited, at) {
        ("SUSPENDED", (None, None, None), None) => Ok(SettlementState::Suspended(reason)),
        ("SETTLED", (Some(amount), Some(text), Some(transfer)), Some(at)) => {
            let transfer = TransferId(transfer);
            Ok(SettlementState::Settled(Credited { amount, rate: rate(&text)?, transfer, at }))
        }
        _ => Err(garbled("state of a settlement")),
    }
}

fn checked(row: &QueryResult) -> Result<Settlement> {
    let (settlement, digest) = read(row)?;
    if settlement.digest() == digest {
        return Ok(settlement);
    }
    Err(Fault::internal(format!("settlement {} was changed in the database", settlement.id)))
}

fn rate(text: &str) -> Result<Rate> {
    Rate::parse(text).map_err(|_| garbled("rate"))
}
