//! The tables as they are found, for verification: whoever wrote to the database may have written anything, so a value that
//! nothing of ours has written so makes its row unreadable, never a failure. Everything is read in the order of keys.

mod read;

use crate::domain::{Entry, Hash, Hold, LedgerAccount, NewHold, Transfer};
use beem_clock::Moment;
use beem_database::{Backend, OrFault as _, Sql};
use beem_fault::Result;
use beem_ids::LedgerAccountId;
use beem_money::Amount;
use read::{ENTRY, HOLD, TRANSFER, account_of, balance_of, entry_of, hold_of, id, long, transfer_of};
use sea_orm::QueryResult;
use std::collections::HashMap;
use uuid::Uuid;

/// Where an entry stands: the key of its table.
pub type Key = (Uuid, i64, i64);

/// What an entry is about, as it is found.
#[derive(Clone, Debug, PartialEq)]
pub enum About {
    Transfer(Box<Transfer>),
    Hold(Box<Hold>),
    /// There is such a row, and it cannot be read.
    Unreadable,
    Missing,
}

/// An entry beside what it is about.
#[derive(Clone, Debug)]
pub struct FoundEntry {
    pub key: Key,
    /// None: unreadable.
    pub entry: Option<Entry>,
    pub about: About,
    /// The head that reaches exactly so far, and the hash it names.
    pub head: Option<(i64, Vec<u8>)>,
}

/// The end of an account's chain as its balance tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundBalance {
    /// None: no limit.
    pub floor: Option<Amount>,
    pub owner: Option<Uuid>,
    pub currency: String,
    pub total: Amount,
    pub reserved: Amount,
    pub sequence: i64,
    pub hash: Hash,
    pub time: Moment,
}

/// An account beside its balance.
#[derive(Clone, Debug)]
pub struct FoundAccount {
    pub id: Uuid,
    /// None: missing. Some(None): unreadable.
    pub account: Option<Option<LedgerAccount>>,
    pub balance: Option<Option<FoundBalance>>,
    /// The furthest that any head reaches.
    pub headed: Option<i64>,
}

/// Accounts beyond one, or from it on, in the order of their ids: whatever has a row in `ledger_accounts` or `balances`.
pub async fn accounts(on: &impl Sql, from: Option<(Uuid, bool)>, max: i64) -> Result<Vec<FoundAccount>> {
    let (bound, values) = bound(from, max);
    let (is_id, is_its_id) = (is_id(on, "id"), is_id(on, "ledger_account_id"));
    let its_bound = bound.replace("id", "ledger_account_id");
    let sql = format!(
        "SELECT x.id AS x_id,
             a.id AS a_id, a.owner AS a_owner, a.purpose AS a_purpose, a.currency AS a_currency,
             a.network AS a_network, a.name AS a_name, a.created_ms AS a_created,
             b.ledger_account_id AS b_id, b.owner AS b_owner, b.currency AS b_currency,
             CAST(b.total AS TEXT) AS b_total, CAST(b.reserved AS TEXT) AS b_reserved, b.sequence AS b_sequence,
             b.hash AS b_hash, b.time_ms AS b_time, CAST(b.floor AS TEXT) AS b_floor,
             (SELECT MAX(sequence) FROM head_entries WHERE ledger_account_id = x.id) AS h_sequence
         FROM (SELECT id FROM (SELECT id FROM ledger_accounts WHERE {is_id} {bound} ORDER BY id LIMIT $1) AS o
             UNION SELECT id FROM (SELECT ledger_account_id AS id FROM balances
                 WHERE {is_its_id} {its_bound} ORDER BY ledger_account_id LIMIT $1) AS p
             ORDER BY id LIMIT $1) AS x
         LEFT JOIN ledger_accounts a ON a.id = x.id LEFT JOIN balances b ON b.ledger_account_id = x.id
         ORDER BY x.id"
    );
    let rows = on.rows(&sql, values).await?;
    let mut accounts = Vec::with_capacity(rows.len());
    for row in &rows {
        let Some(id) = id(row, "x_id") else { continue };
        let headed = long(row, "h_sequence");
        accounts.push(FoundAccount { id, account: account_of(row), balance: balance_of(row), headed });
    }
    Ok(accounts)
}

/// The first head that names this entry of an account.
pub async fn head_at(on: &impl Sql, account: Uuid, sequence: i64) -> Result<Option<i64>> {
    let sql = "SELECT MIN(number) AS number FROM head_entries WHERE ledger_account_id = $1 AND sequence = $2";
    let row = on.row(sql, vec![account.into(), sequence.into()]).await?;
    Ok(row.and_then(|row| long(&row, "number")))
}

/// One account; with neither row nor balance when there is none.
pub async fn account(on: &impl Sql, id: Uuid) -> Result<FoundAccount> {
    let found = accounts(on, Some((id, true)), 1).await?.into_iter().find(|found| found.id == id);
    Ok(found.unwrap_or(FoundAccount { id, account: None, balance: None, headed: None }))
}

/// Entries beyond a key in the order of their keys, each beside what it is about.
pub async fn entries_after(on: &impl Sql, after: Option<Key>, max: i64) -> Result<Vec<FoundEntry>> {
    let is_id = is_id(on, "e.ledger_account_id");
    let beyond =
        if after.is_some() { "AND (e.ledger_account_id, e.time_ms, e.sequence) > ($2, $3, $4)" } else { "" };
    let tail = format!("WHERE {is_id} {beyond} ORDER BY e.ledger_account_id, e.time_ms, e.sequence LIMIT $1");
    let mut values = vec![max.into()];
    if let Some((account, time, sequence)) = after {
        values.extend([account.into(), time.into(), sequence.into()]);
    }
    entries(on, &tail, values).await
}

/// The entry at a key.
pub async fn entry_at(on: &impl Sql, (account, time, sequence): Key) -> Result<Option<FoundEntry>> {
    let tail = "WHERE e.ledger_account_id = $1 AND e.time_ms = $2 AND e.sequence = $3";
    let values = vec![account.into(), time.into(), sequence.into()];
    Ok(entries(on, tail, values).await?.into_iter().next())
}

/// The one before it in its account, by key.
pub async fn entry_before(on: &impl Sql, (account, time, sequence): Key) -> Result<Option<FoundEntry>> {
    let tail = "WHERE e.ledger_account_id = $1 AND (e.time_ms, e.sequence) < ($2, $3)
         ORDER BY e.time_ms DESC, e.sequence DESC LIMIT 1";
    let values = vec![account.into(), time.into(), sequence.into()];
    Ok(entries(on, tail, values).await?.into_iter().next())
}

/// The one behind it in its account, by key.
pub async fn entry_behind(on: &impl Sql, (account, time, sequence): Key) -> Result<Option<FoundEntry>> {
    let tail = "WHERE e.ledger_account_id = $1 AND (e.time_ms, e.sequence) > ($2, $3)
         ORDER BY e.time_ms, e.sequence LIMIT 1";
    let values = vec![account.into(), time.into(), sequence.into()];
    Ok(entries(on, tail, values).await?.into_iter().next())
}

/// Entries of an account that have this number, wherever in time they stand. Reads the whole account: for a broken one.
pub async fn numbered(on: &impl Sql, account: Uuid, sequence: i64) -> Result<Vec<FoundEntry>> {
    let tail = "WHERE e.ledger_account_id = $1 AND e.sequence = $2 ORDER BY e.time_ms LIMIT 10";
    entries(on, tail, vec![account.into(), sequence.into()]).await
}

/// Whether an account has an entry about this at that time.
pub async fn is_told_at(on: &impl Sql, account: Uuid, time_ms: i64, subject: Uuid) -> Result<bool> {
    let sql = "SELECT sequence FROM entries WHERE ledger_account_id = $1 AND time_ms = $2 AND subject_id = $3 LIMIT 1";
    Ok(on.row(sql, vec![account.into(), time_ms.into(), subject.into()]).await?.is_some())
}

async fn entries(on: &impl Sql, tail: &str, values: Vec<sea_orm::Value>) -> Result<Vec<FoundEntry>> {
    let sql = format!(
        "SELECT {ENTRY}, {TRANSFER}, {HOLD}, he.number AS he_number, he.hash AS he_hash
         FROM entries e
         LEFT JOIN transfers t ON t.id = e.subject_id LEFT JOIN holds h ON h.id = e.subject_id
         LEFT JOIN head_entries he ON he.ledger_account_id = e.ledger_account_id AND he.sequence = e.sequence
         {tail}"
    );
    on.rows(&sql, values).await?.iter().filter_map(|row| found_entry(row).transpose()).collect()
}

fn found_entry(row: &QueryResult) -> Result<Option<FoundEntry>> {
    let Some(account) = id(row, "e_account") else { return Ok(None) };
    let key = (account, row.try_get("", "e_time").or_fault()?, row.try_get("", "e_sequence").or_fault()?);
    let about = match (id(row, "t_id"), id(row, "h_id")) {
        (Some(_), _) => transfer_of(row).map_or(About::Unreadable, |t| About::Transfer(Box::new(t))),
        (None, Some(_)) => hold_of(row).map_or(About::Unreadable, |h| About::Hold(Box::new(h))),
        (None, None) => About::Missing,
    };
    let head = long(row, "he_number").map(|number| (number, read::bytes(row, "he_hash").unwrap_or_default()));
    Ok(Some(FoundEntry { key, entry: entry_of(row), about, head }))
}

/// A transfer or hold, and whether the entries it names are there and about it.
#[derive(Clone, Debug)]
pub struct FoundPlaces {
    pub id: Uuid,
    /// The places it names that no entry about it stands at.
    pub missing: Vec<Key>,
}

/// Transfers beyond an id in the order of their ids.
pub async fn transfers_after(on: &impl Sql, after: Option<Uuid>, max: i64) -> Result<Vec<FoundPlaces>> {
    let (bound, values) = bound(after.map(|id| (id, false)), max);
    let bound = bound.replace("id", "t.id");
    let is_id = is_id(on, "t.id");
    let sql = format!(
        "SELECT t.id AS id, t.debit_id AS one_id, t.time_ms AS one_time, t.debit_sequence AS one_sequence,
             t.credit_id AS two_id, t.time_ms AS two_time, t.credit_sequence AS two_sequence,
             d.sequence AS one, c.sequence AS two
         FROM transfers t
         LEFT JOIN entries d ON d.ledger_account_id = t.debit_id AND d.time_ms = t.time_ms
             AND d.sequence = t.debit_sequence AND d.subject_id = t.id
         LEFT JOIN entries c ON c.ledger_account_id = t.credit_id AND c.time_ms = t.time_ms
             AND c.sequence = t.credit_sequence AND c.subject_id = t.id
         WHERE {is_id} {bound} ORDER BY t.id LIMIT $1"
    );
    Ok(on.rows(&sql, values).await?.iter().filter_map(places).collect())
}

/// Holds likewise: where they were placed, and where they ended.
pub async fn holds_after(on: &impl Sql, after: Option<Uuid>, max: i64) -> Result<Vec<FoundPlaces>> {
    let (bound, values) = bound(after.map(|id| (id, false)), max);
    let bound = bound.replace("id", "h.id");
    let is_id = is_id(on, "h.id");
    let sql = format!(
        "SELECT h.id AS id, h.ledger_account_id AS one_id, h.created_ms AS one_time, h.created_sequence AS one_sequence,
             h.ledger_account_id AS two_id, h.ended_ms AS two_time, h.ended_sequence AS two_sequence,
             p.sequence AS one, r.sequence AS two
         FROM holds h
         LEFT JOIN entries p ON p.ledger_account_id = h.ledger_account_id AND p.time_ms = h.created_ms
             AND p.sequence = h.created_sequence AND p.subject_id = h.id
         LEFT JOIN entries r ON r.ledger_account_id = h.ledger_account_id AND r.time_ms = h.ended_ms
             AND r.sequence = h.ended_sequence AND r.subject_id = h.id
         WHERE {is_id} {bound} ORDER BY h.id LIMIT $1"
    );
    Ok(on.rows(&sql, values).await?.iter().filter_map(places).collect())
}

fn places(row: &QueryResult) -> Option<FoundPlaces> {
    let mut missing = Vec::new();
    for (found, at, time, sequence) in
        [("one", "one_id", "one_time", "one_sequence"), ("two", "two_id", "two_time", "two_sequence")]
    {
        let place = || Some((id(row, at)?, long(row, time)?, long(row, sequence)?));
        if let (None, Some(place)) = (long(row, found), place()) {
            missing.push(place);
        }
    }
    Some(FoundPlaces { id: id(row, "id")?, missing })
}

/// A transfer.
pub async fn transfer(on: &impl Sql, id: Uuid) -> Result<Option<Transfer>> {
    Ok(transfers(on, &[id]).await?.remove(&id))
}

/// Those of these transfers that are there and can be read.
pub async fn transfers(on: &impl Sql, ids: &[Uuid]) -> Result<HashMap<Uuid, Transfer>> {
    let sql = format!("SELECT {TRANSFER} FROM transfers t WHERE t.id IN ({})", places_of(ids));
    let rows = on.rows(&sql, ids.iter().map(|id| (*id).into()).collect()).await?;
    Ok(rows.iter().filter_map(transfer_of).map(|transfer| (transfer.new.id.0, transfer)).collect())
}

/// Holds likewise.
pub async fn holds(on: &impl Sql, ids: &[Uuid]) -> Result<HashMap<Uuid, Hold>> {
    let sql = format!("SELECT {HOLD} FROM holds h WHERE h.id IN ({})", places_of(ids));
    let rows = on.rows(&sql, ids.iter().map(|id| (*id).into()).collect()).await?;
    Ok(rows.iter().filter_map(hold_of).map(|hold| (hold.new.id.0, hold)).collect())
}

/// The effect keys of these transfers or holds.
pub async fn effect_keys(on: &impl Sql, table: &str, ids: &[Uuid]) -> Result<Vec<(Uuid, String)>> {
    let sql = format!("SELECT id, effect_key FROM {table} WHERE id IN ({})", places_of(ids));
    let rows = on.rows(&sql, ids.iter().map(|id| (*id).into()).collect()).await?;
    let read = |row: &QueryResult| Some((id(row, "id")?, row.try_get("", "effect_key").ok()?));
    Ok(rows.iter().filter_map(read).collect())
}

/// The rows of a table that have these ids: its name, the column of its id, what is read of it.
pub async fn rows_of(
    on: &impl Sql,
    (table, key, columns): (&str, &str, &str),
    ids: &[Uuid],
) -> Result<HashMap<Uuid, QueryResult>> {
    let sql = format!("SELECT {columns} FROM {table} WHERE {key} IN ({})", places_of(ids));
    let rows = on.rows(&sql, ids.iter().map(|id| (*id).into()).collect()).await?;
    Ok(rows.into_iter().filter_map(|row| Some((id(&row, key)?, row))).collect())
}

/// Deposits by their effect keys.
pub async fn settlements_of(on: &impl Sql, keys: &[&str]) -> Result<HashMap<String, QueryResult>> {
    let places: Vec<_> = (1..).take(keys.len()).map(|n| format!("${n}")).collect();
    let sql = format!(
        "SELECT {} FROM settlements WHERE effect_key IN ({})",
        super::settlements::COLUMNS,
        places.join(", ")
    );
    let rows = on.rows(&sql, keys.iter().map(|key| (*key).into()).collect()).await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.try_get("", "effect_key").ok()?, row))).collect())
}

/// Whether a deposit names this transfer as the one that booked it.
pub async fn is_booked_by(on: &impl Sql, transfer: Uuid) -> Result<bool> {
    let sql = "SELECT id FROM settlements WHERE suspense_transfer = $1";
    Ok(on.row(sql, vec![transfer.into()]).await?.is_some())
}

/// `NULL` for none: an empty list is no SQL.
fn places_of(ids: &[Uuid]) -> String {
    let places: Vec<_> = (1..).take(ids.len()).map(|n| format!("${n}")).collect();
    if places.is_empty() { "NULL".to_owned() } else { places.join(", ") }
}

/// What came to an account at a time, of transfers with this cause and reference.
pub async fn came_at(on: &impl Sql, account: Uuid, time_ms: i64, new: &NewHold) -> Result<Vec<Amount>> {
    let sql = "SELECT CAST(t.amount AS TEXT) AS amount FROM entries e JOIN transfers t ON t.id = e.subject_id
        WHERE e.ledger_account_id = $1 AND e.time_ms = $2 AND t.credit_id = $1 AND t.cause_type = $3
            AND t.cause_id = $4 AND t.reference = $5";
    let (kind, id) = (new.cause.kind.as_str(), new.cause.id.as_str());
    let values = vec![account.into(), time_ms.into(), kind.into(), id.into(), new.reference.as_str().into()];
    Ok(on.rows(sql, values).await?.iter().filter_map(|row| read::amount(row, "amount")).collect())
}

/// The fees, above zero, that payouts with this cause and reference were posted with at a time. Reads all payouts.
pub async fn fees_at(on: &impl Sql, time_ms: i64, currency: &str, new: &NewHold) -> Result<Vec<Amount>> {
    let sql = "SELECT CAST(o.fee AS TEXT) AS fee FROM outbounds o JOIN holds h ON h.id = o.hold_id
        WHERE o.posted_ms = $1 AND o.fee_currency = $2 AND h.cause_type = $3 AND h.cause_id = $4 AND h.reference = $5";
    let (kind, id, reference) = (new.cause.kind.as_str(), new.cause.id.as_str(), new.reference.as_str());
    let values = vec![time_ms.into(), currency.into(), kind.into(), id.into(), reference.into()];
    let rows = on.rows(sql, values).await?;
    Ok(rows.iter().filter_map(|row| read::amount(row, "fee")).filter(|fee| fee.is_positive()).collect())
}

/// Rows of a table beyond an id in the order of their ids; `key` is its primary key.
pub async fn rows_after(
    on: &impl Sql,
    (table, key, columns): (&str, &str, &str),
    after: Option<Uuid>,
    max: i64,
) -> Result<Vec<(Uuid, QueryResult)>> {
    let is_id = is_id(on, key);
    let beyond = if after.is_some() { format!("AND {key} > $2") } else { String::new() };
    let sql = format!("SELECT {columns} FROM {table} WHERE {is_id} {beyond} ORDER BY {key} LIMIT $1");
    let values = std::iter::once(max.into()).chain(after.map(Into::into)).collect();
    let rows = on.rows(&sql, values).await?;
    Ok(rows.into_iter().filter_map(|row| Some((id(&row, key)?, row))).collect())
}

/// What every account has in all, beyond an id: (account, currency, total).
pub async fn totals_after(
    on: &impl Sql,
    after: Option<LedgerAccountId>,
    max: i64,
) -> Result<Vec<(LedgerAccountId, String, Option<Amount>)>> {
    let is_id = is_id(on, "ledger_account_id");
    let beyond = if after.is_some() { "AND ledger_account_id > $2" } else { "" };
    let sql = format!(
        "SELECT ledger_account_id AS id, currency, CAST(total AS TEXT) AS total FROM balances
         WHERE {is_id} {beyond} ORDER BY ledger_account_id LIMIT $1"
    );
    let values = std::iter::once(max.into()).chain(after.map(|id| id.0.into())).collect();
    let rows = on.rows(&sql, values).await?;
    let read = |row: &QueryResult| {
        let currency = read::text(row, "currency").unwrap_or_default();
        Some((LedgerAccountId(id(row, "id")?), currency, read::amount(row, "total")))
    };
    Ok(rows.iter().filter_map(read).collect())
}

/// SQLite takes any bytes for an id: such a row is missing where it was, and belongs to nothing.
fn is_id(on: &impl Sql, column: &str) -> String {
    match on.dialect() {
        Backend::Postgres => "TRUE".to_owned(),
        Backend::Sqlite => format!("length({column}) = 16"),
    }
}

fn bound(from: Option<(Uuid, bool)>, max: i64) -> (String, Vec<sea_orm::Value>) {
    match from {
        None => (String::new(), vec![max.into()]),
        Some((id, true)) => ("AND id >= $2".to_owned(), vec![max.into(), id.into()]),
        Some((id, false)) => ("AND id > $2".to_owned(), vec![max.into(), id.into()]),
    }
}
