//! Reading columns: everybody's tables keep amounts, times, ids and hashes in the same way, so they are read in one place.
//! Amounts are selected as text (`CAST(amount AS TEXT) AS amount`), on both databases.

use super::super::garbled;
use crate::domain::{Balance, Hash, LedgerAccount, Purpose};
use beem_clock::Moment;
use beem_database::OrFault as _;
use beem_fault::Result;
use beem_ids::{AccountId, LedgerAccountId};
use beem_money::{Amount, CurrencyCode};
use sea_orm::{QueryResult, TryGetable};
use uuid::Uuid;

/// What [`read_account`] reads, of `ledger_accounts a`.
pub const ACCOUNT_COLUMNS: &str = "a.id, a.owner, a.purpose, a.currency, a.network, a.name, a.created_ms";

/// What [`read_balance`] reads, of `balances b`.
pub const BALANCE_COLUMNS: &str = "b.ledger_account_id, b.owner, b.currency, CAST(b.total AS TEXT) AS total,
    CAST(b.reserved AS TEXT) AS reserved, CAST(b.floor AS TEXT) AS floor, b.sequence, b.hash, b.time_ms";

/// A ledger account, of [`ACCOUNT_COLUMNS`].
///
/// # Errors
/// `internal` for a garbled row, as of all readers here.
pub fn read_account(row: &QueryResult) -> Result<LedgerAccount> {
    Ok(LedgerAccount {
        id: LedgerAccountId(id(row, "id")?),
        owner: id_or_none(row, "owner")?.map(AccountId),
        purpose: Purpose::parse(&text(row, "purpose")?).ok_or_else(|| garbled("purpose"))?,
        currency: currency(row, "currency")?,
        network: text(row, "network")?,
        name: text(row, "name")?,
        created: moment(row, "created_ms")?,
    })
}

/// A balance, of [`BALANCE_COLUMNS`].
///
/// # Errors
/// `internal` for a garbled row.
pub fn read_balance(row: &QueryResult) -> Result<Balance> {
    Ok(Balance {
        account: LedgerAccountId(id(row, "ledger_account_id")?),
        owner: id_or_none(row, "owner")?.map(AccountId),
        currency: currency(row, "currency")?,
        total: amount(row, "total")?,
        reserved: amount(row, "reserved")?,
        floor: amount_or_none(row, "floor")?,
        sequence: number(row, "sequence")?,
        hash: hash(row, "hash")?,
        time: moment(row, "time_ms")?,
    })
}

/// An amount that was selected as text.
///
/// # Errors
/// `internal` for anything but a whole number of minor units.
pub fn amount(row: &QueryResult, column: &str) -> Result<Amount> {
    amount_or_none(row, column)?.ok_or_else(|| garbled(column))
}

/// An amount or NULL.
///
/// # Errors
/// As [`amount`].
pub fn amount_or_none(row: &QueryResult, column: &str) -> Result<Option<Amount>> {
    let parse = |text: String| text.parse().map_err(|_| garbled(column));
    text_or_none(row, column)?.map(parse).transpose()
}

/// A currency's code.
///
/// # Errors
/// `internal` for what is none.
pub fn currency(row: &QueryResult, column: &str) -> Result<CurrencyCode> {
    currency_or_none(row, column)?.ok_or_else(|| garbled(column))
}

/// A currency's code or NULL.
///
/// # Errors
/// `internal` for what is none.
pub fn currency_or_none(row: &QueryResult, column: &str) -> Result<Option<CurrencyCode>> {
    let parse = |text: String| CurrencyCode::parse(&text).map_err(|_| garbled(column));
    text_or_none(row, column)?.map(parse).transpose()
}

/// A hash.
///
/// # Errors
/// `internal` unless it has 32 bytes.
pub fn hash(row: &QueryResult, column: &str) -> Result<Hash> {
    get::<Vec<u8>>(row, column)?.try_into().map_err(|_| garbled(column))
}

/// A text.
///
/// # Errors
/// `internal` for anything else.
pub fn text(row: &QueryResult, column: &str) -> Result<String> {
    get(row, column)
}

/// A text or NULL.
///
/// # Errors
/// `internal` for anything else.
pub fn text_or_none(row: &QueryResult, column: &str) -> Result<Option<String>> {
    get(row, column)
}

/// A number.
///
/// # Errors
/// `internal` for anything else.
pub fn number(row: &QueryResult, column: &str) -> Result<i64> {
    get(row, column)
}

/// A number or NULL.
///
/// # Errors
/// `internal` for anything else.
pub fn number_or_none(row: &QueryResult, column: &str) -> Result<Option<i64>> {
    get(row, column)
}

/// A time.
///
/// # Errors
/// `internal` for anything else.
pub fn moment(row: &QueryResult, column: &str) -> Result<Moment> {
    get(row, column).map(Moment::from_unix_ms)
}

/// A time or NULL.
///
/// # Errors
/// `internal` for anything else.
pub fn moment_or_none(row: &QueryResult, column: &str) -> Result<Option<Moment>> {
    Ok(get::<Option<i64>>(row, column)?.map(Moment::from_unix_ms))
}

/// An id.
///
/// # Errors
/// `internal` for anything else.
pub fn id(row: &QueryResult, column: &str) -> Result<Uuid> {
    get(row, column)
}

/// An id or NULL.
///
/// # Errors
/// `internal` for anything else.
pub fn id_or_none(row: &QueryResult, column: &str) -> Result<Option<Uuid>> {
    get(row, column)
}

fn get<T: TryGetable>(row: &QueryResult, column: &str) -> Result<T> {
    row.try_get("", column).or_fault()
}
