//! Signed heads of the books, and which entries they reach.

use beem_database::{Backend, OrFault as _, Sql, Tx};
use beem_fault::Result;
use beem_ids::LedgerAccountId;
use sea_orm::{QueryResult, Value};

/// Rows in one insert; their parameters stay far below what either back end takes.
const INSERT: usize = 1_000;

/// What processes that sign at once wait for on PostgreSQL: "ledger" and "head" as numbers, no other lock has it.
const ADVISORY: i64 = 0x6c65_6467_6872_6561;

/// A head as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// From 1, without gaps.
    pub number: i64,
    pub time_ms: i64,
    pub digest: Vec<u8>,
    pub signature: Vec<u8>,
}

/// How far an account went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadEntry {
    pub account: LedgerAccountId,
    pub time_ms: i64,
    pub sequence: i64,
    pub hash: Vec<u8>,
}

const COLUMNS: &str = "number, time_ms, digest, signature";

/// Nobody else signs until this transaction ends. SQLite has one writer anyway.
pub async fn lock(tx: &Tx<'_>) -> Result<()> {
    if tx.backend() == Backend::Postgres {
        tx.run("SELECT pg_advisory_xact_lock($1)", vec![ADVISORY.into()]).await?;
    }
    Ok(())
}

/// The newest head.
pub async fn newest(on: &impl Sql) -> Result<Option<Head>> {
    let sql = format!("SELECT {COLUMNS} FROM heads ORDER BY number DESC LIMIT 1");
    on.row(&sql, vec![]).await?.as_ref().map(read).transpose()
}

/// A head by its number.
pub async fn by_number(on: &impl Sql, number: i64) -> Result<Option<Head>> {
    let sql = format!("SELECT {COLUMNS} FROM heads WHERE number = $1");
    on.row(&sql, vec![number.into()]).await?.as_ref().map(read).transpose()
}

/// Heads below a number, newest first.
pub async fn before(on: &impl Sql, number: i64, max: u32) -> Result<Vec<Head>> {
    let sql = format!("SELECT {COLUMNS} FROM heads WHERE number < $1 ORDER BY number DESC LIMIT $2");
    on.rows(&sql, vec![number.into(), i64::from(max).into()]).await?.iter().map(read).collect()
}

/// Heads beyond a number, in their order.
pub async fn after(on: &impl Sql, number: i64, max: i64) -> Result<Vec<Head>> {
    let sql = format!("SELECT {COLUMNS} FROM heads WHERE number > $1 ORDER BY number LIMIT $2");
    on.rows(&sql, vec![number.into(), max.into()]).await?.iter().map(read).collect()
}

/// The newest entries that no head has, of accounts beyond this one, in the order of the accounts: all of one moment.
pub async fn not_in_a_head(
    on: &impl Sql,
    after: Option<LedgerAccountId>,
    max: i64,
) -> Result<Vec<HeadEntry>> {
    let beyond = if after.is_some() { "AND b.ledger_account_id > $2" } else { "" };
    let sql = format!(
        "SELECT b.ledger_account_id, b.time_ms, b.sequence, b.hash FROM balances b
         WHERE b.sequence > 0 {beyond} AND NOT EXISTS (SELECT 1 FROM head_entries h
             WHERE h.ledger_account_id = b.ledger_account_id AND h.sequence = b.sequence)
         ORDER BY b.ledger_account_id LIMIT $1"
    );
    let values = std::iter::once(max.into()).chain(after.map(|id| id.0.into())).collect();
    on.rows(&sql, values).await?.iter().map(read_entry).collect()
}

/// What a head was signed over, in the order of the accounts.
pub async fn entries(on: &impl Sql, number: i64) -> Result<Vec<HeadEntry>> {
    let sql = "SELECT ledger_account_id, time_ms, sequence, hash FROM head_entries WHERE number = $1
        ORDER BY ledger_account_id";
    on.rows(sql, vec![number.into()]).await?.iter().map(read_entry).collect()
}

/// Writes a head with its entries.
pub async fn insert(tx: &Tx<'_>, head: &Head, entries: &[HeadEntry]) -> Result<()> {
    let sql = format!("INSERT INTO heads ({COLUMNS}) VALUES ($1, $2, $3, $4)");
    let (digest, signature) = (head.digest.clone(), head.signature.clone());
    let values = vec![head.number.into(), head.time_ms.into(), digest.into(), signature.into()];
    tx.run(&sql, values).await?;
    for rows in entries.chunks(INSERT) {
        let mut sql = "INSERT INTO head_entries (number, ledger_account_id, time_ms, sequence, hash) VALUES "
            .to_owned();
        let mut values: Vec<Value> = vec![head.number.into()];
        for (n, row) in rows.iter().enumerate() {
            let first = n.saturating_mul(4).saturating_add(2);
            let [a, b, c, d] = [0, 1, 2, 3].map(|m| first.saturating_add(m));
            let comma = if n == 0 { "" } else { ", " };
            sql.push_str(&format!("{comma}($1, ${a}, ${b}, ${c}, ${d})"));
            let hash = row.hash.clone();
            values.extend([row.account.0.into(), row.time_ms.into(), row.sequence.into(), hash.into()]);
        }
        tx.run(&sql, values).await?;
    }
    Ok(())
}

fn read(row: &QueryResult) -> Result<Head> {
    Ok(Head {
        number: row.try_get("", "number").or_fault()?,
        time_ms: row.try_get("", "time_ms").or_fault()?,
        digest: row.try_get("", "digest").or_fault()?,
        signature: row.try_get("", "signature").or_fault()?,
    })
}

fn read_entry(row: &QueryResult) -> Result<HeadEntry> {
    Ok(HeadEntry {
        account: LedgerAccountId(row.try_get("", "ledger_account_id").or_fault()?),
        time_ms: row.try_get("", "time_ms").or_fault()?,
        sequence: row.try_get("", "sequence").or_fault()?,
        hash: row.try_get("", "hash").or_fault()?,
    })
}
