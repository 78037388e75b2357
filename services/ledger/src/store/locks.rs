//! The table of promised rates.

pub use crate::domain::{Lock, LockSide};

use super::accounts::{currency, hash, id, moment, number, text};
use super::garbled;
use crate::domain::Hash;
use beem_database::{Database, Sql, Tx};
use beem_fault::{Fault, Result};
use beem_ids::RateLockId;
use beem_money::Rate;
use sea_orm::QueryResult;

/// How long one stays after it expired: a deposit that was seen in time may be settled late.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// What [`read`] reads.
pub const COLUMNS: &str =
    "id, from_currency, to_currency, side, mid, spread_millionths, created_ms, expires_ms, digest";

/// A new one.
///
/// # Errors
/// As the database says.
pub async fn insert(tx: &Tx<'_>, lock: &Lock) -> Result<()> {
    let sql = format!("INSERT INTO rate_locks ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    let values = vec![
        lock.id.0.into(),
        lock.from.as_str().into(),
        lock.to.as_str().into(),
        lock.side.as_str().into(),
        lock.mid.exact().into(),
        i64::from(lock.spread_millionths).into(),
        lock.created.unix_ms().into(),
        lock.expires.unix_ms().into(),
        lock.digest().to_vec().into(),
    ];
    tx.run(&sql, values).await.map(drop)
}

/// One promised rate, expired or not; none when there is no such one, or it was forgotten.
///
/// # Errors
/// `internal` when the row is not as it was written.
pub async fn get(on: &impl Sql, id: RateLockId) -> Result<Option<Lock>> {
    let sql = format!("SELECT {COLUMNS} FROM rate_locks WHERE id = $1");
    let Some(row) = on.row(&sql, vec![id.0.into()]).await? else { return Ok(None) };
    let (lock, digest) = read(&row)?;
    if lock.digest() == digest {
        return Ok(Some(lock));
    }
    Err(Fault::internal(format!("rate lock {id} was changed in the database")))
}

/// Forgets at most `max` that expired 30 days ago; how many it was.
///
/// # Errors
/// As the database says.
pub async fn purge(db: &Database, max: u32) -> Result<u64> {
    let sql = &format!(
        "DELETE FROM rate_locks WHERE id IN (
            SELECT id FROM rate_locks WHERE expires_ms < $1 ORDER BY expires_ms LIMIT {max})"
    );
    db.write(|tx| {
        Box::pin(async move {
            let before = tx.now().plus_ms(KEPT_MS.saturating_neg()).unix_ms();
            tx.run(sql, vec![before.into()]).await
        })
    })
    .await
}

/// A promised rate, and the digest that was written with it.
///
/// # Errors
/// `internal` for a garbled row.
pub fn read(row: &QueryResult) -> Result<(Lock, Hash)> {
    let spread = number(row, "spread_millionths")?;
    let lock = Lock {
        id: RateLockId(id(row, "id")?),
        from: currency(row, "from_currency")?,
        to: currency(row, "to_currency")?,
        side: LockSide::parse(&text(row, "side")?).ok_or_else(|| garbled("side"))?,
        mid: Rate::parse_exact(&text(row, "mid")?).map_err(|_| garbled("rate"))?,
        spread_millionths: u32::try_from(spread).map_err(|_| garbled("spread"))?,
        created: moment(row, "created_ms")?,
        expires: moment(row, "expires_ms")?,
    };
    Ok((lock, hash(row, "digest")?))
}
