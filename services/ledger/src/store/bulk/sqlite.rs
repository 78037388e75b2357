//! SQLite: a table's rows as one JSON text, so that the text of each statement is always the same and no limit on
//! parameters is near. JSON has no bytes: ids and hashes go as hexadecimal digits; amounts are texts anyhow. Nothing needs
//! a lock: a writing transaction is the only one there is.

use super::super::accounts::{BALANCE_COLUMNS, id_list, read_balance};
use super::holds::{HOLD_COLUMNS, conflicting, read_hold};
use super::{Bulk, Opened};
use crate::domain::{Balance, Changes, Entry, Hash, Hold, Transfer, Updated};
use beem_clock::Moment;
use beem_database::claims::effects::{self, Settled};
use beem_database::{Sql as _, Tx};
use beem_fault::{Fault, Result};
use beem_ids::{HoldId, LedgerAccountId};
use sea_orm::Value;
use sea_orm::prelude::async_trait::async_trait;
use serde::{Serialize, Serializer};
use std::fmt::{self, Display};
use uuid::Uuid;

const POST: &str = "
    INSERT INTO transfers (id, debit_id, debit_sequence, credit_id, credit_sequence, currency, amount, kind, reference,
        cause_type, cause_id, counter_currency, counter_amount, rate, time_ms, effect_key)
    SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2, unhex(value ->> 3), value ->> 4, value ->> 5, value ->> 6,
        value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14,
        value ->> 15
    FROM json_each($1)";
const ENTER: &str = "
    INSERT INTO entries (ledger_account_id, time_ms, sequence, kind, subject_id, amount, reserved_change, total, reserved,
        hash)
    SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, unhex(value ->> 4), value ->> 5, value ->> 6,
        value ->> 7, value ->> 8, unhex(value ->> 9)
    FROM json_each($1)";
const UPDATE: &str = "
    UPDATE balances SET total = u.value ->> 2, reserved = u.value ->> 3, sequence = u.value ->> 4,
        hash = unhex(u.value ->> 5), time_ms = u.value ->> 6
    FROM json_each($1) AS u
    WHERE balances.ledger_account_id = unhex(u.value ->> 0) AND balances.sequence = u.value ->> 1";
const PLACE: &str = "
    INSERT INTO holds (id, ledger_account_id, owner, currency, amount, reference, cause_type, cause_id, created_ms,
        created_sequence, expires_ms, state, posted, ended_ms, ended_sequence, effect_key)
    SELECT unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), value ->> 3, value ->> 4, value ->> 5, value ->> 6,
        value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14,
        value ->> 15
    FROM json_each($1)";
const END: &str = "
    UPDATE holds SET state = u.value ->> 1, posted = u.value ->> 2, ended_ms = u.value ->> 3,
        ended_sequence = u.value ->> 4
    FROM json_each($1) AS u
    WHERE holds.id = unhex(u.value ->> 0) AND holds.state = 'ACTIVE'";

/// See the module.
pub struct Sqlite;

#[async_trait]
impl Bulk for Sqlite {
    async fn lock_balances(&self, tx: &Tx<'_>, ids: &[LedgerAccountId]) -> Result<Vec<Balance>> {
        let sql = format!(
            "SELECT {BALANCE_COLUMNS} FROM balances b
             WHERE b.ledger_account_id IN (SELECT unhex(value) FROM json_each($1)) ORDER BY b.ledger_account_id"
        );
        let rows = tx.rows(&sql, vec![id_list(ids.iter().map(|id| id.0))?]).await?;
        rows.iter().map(read_balance).collect()
    }

    async fn lock_holds(&self, tx: &Tx<'_>, ids: &[HoldId]) -> Result<Vec<Hold>> {
        let sql = format!(
            "SELECT {HOLD_COLUMNS} FROM holds WHERE id IN (SELECT unhex(value) FROM json_each($1)) ORDER BY id"
        );
        let rows = tx.rows(&sql, vec![id_list(ids.iter().map(|id| id.0))?]).await?;
        rows.iter().map(read_hold).collect()
    }

    async fn open(&self, tx: &Tx<'_>, keys: &[&str], ids: &[LedgerAccountId]) -> Result<Opened> {
        Ok((effects::known(tx, keys).await?, self.lock_balances(tx, ids).await?))
    }

    async fn save(&self, tx: &Tx<'_>, changes: &Changes, settled: &[Settled<'_>]) -> Result<()> {
        effects::remember(tx, settled).await?;
        if !changes.placed.is_empty() {
            tx.run(PLACE, json(changes.placed.iter().map(placed))?).await?;
        }
        if !changes.ended.is_empty() {
            let ended = tx.run(END, json(changes.ended.iter().map(ended))?).await?;
            conflicting("hold", ended, changes.ended.len())?;
        }
        if !changes.transfers.is_empty() {
            tx.run(POST, json(changes.transfers.iter().map(transfer))?).await?;
        }
        if changes.balances.is_empty() {
            return Ok(());
        }
        tx.run(ENTER, json(changes.entries.iter().map(entry))?).await?;
        let updated = tx.run(UPDATE, json(changes.balances.iter().map(balance))?).await?;
        conflicting("balance", updated, changes.balances.len())
    }
}

/// A value in its own words.
struct Shown<T>(T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// Bytes as hexadecimal digits, without a text of their own in between.
struct Hex<const N: usize>([u8; N]);

impl<const N: usize> Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (words, rest) = self.0.as_chunks::<16>();
        words.iter().try_for_each(|word| write!(f, "{:032x}", u128::from_be_bytes(*word)))?;
        rest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn hash(hash: &Hash) -> Shown<Hex<32>> {
    Shown(Hex(*hash))
}

fn id(id: Uuid) -> Shown<Hex<16>> {
    Shown(Hex(id.into_bytes()))
}

fn transfer(row: &Transfer) -> impl Serialize {
    let (new, counter) = (&row.new, row.new.counterpart.as_ref());
    (
        id(new.id.0),
        id(new.debit.0),
        row.debit_sequence,
        id(new.credit.0),
        row.credit_sequence,
        new.currency,
        Shown(new.amount),
        new.kind.as_str(),
        new.reference.as_str(),
        new.cause.kind.as_str(),
        new.cause.id.as_str(),
        counter.map(|c| c.currency),
        counter.map(|c| Shown(c.amount)),
        counter.map(|c| Shown(c.rate)),
        row.time.unix_ms(),
        row.effect.as_str(),
    )
}

fn entry(row: &Entry) -> impl Serialize {
    (
        id(row.account.0),
        row.time.unix_ms(),
        row.sequence,
        row.kind.as_str(),
        id(row.subject.id()),
        Shown(row.amount),
        Shown(row.reserved_change),
        Shown(row.total),
        Shown(row.reserved),
        hash(&row.hash),
    )
}

fn balance(row: &Updated) -> impl Serialize {
    let (new, was) = (&row.balance, row.was);
    let (total, reserved) = (Shown(new.total), Shown(new.reserved));
    (id(new.account.0), was, total, reserved, new.sequence, hash(&new.hash), new.time.unix_ms())
}

fn placed(row: &Hold) -> impl Serialize {
    let new = &row.new;
    (
        id(new.id.0),
        id(new.account.0),
        id(row.owner.0),
        row.currency,
        Shown(new.amount),
        new.reference.as_str(),
        new.cause.kind.as_str(),
        new.cause.id.as_str(),
        row.created.unix_ms(),
        row.created_sequence,
        new.expires.map(Moment::unix_ms),
        row.state.as_str(),
        Shown(row.posted),
        row.ended.map(|(at, _)| at.unix_ms()),
        row.ended.map(|(_, sequence)| sequence),
        row.effect.as_str(),
    )
}

fn ended(row: &Hold) -> impl Serialize {
    let (at, sequence) = row.ended.unzip();
    (id(row.new.id.0), row.state.as_str(), Shown(row.posted), at.map(Moment::unix_ms), sequence)
}

/// The only parameter: all rows.
fn json<R: Serialize>(rows: impl Iterator<Item = R>) -> Result<Vec<Value>> {
    let rows: Vec<R> = rows.collect();
    Ok(vec![serde_json::to_string(&rows).map_err(Fault::internal)?.into()])
}
