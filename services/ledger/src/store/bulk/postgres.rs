//! PostgreSQL: whole columns as arrays, so that a group of a thousand transfers is as many round trips as one, and the text
//! of a statement, and with it its plan, is always the same.

use super::super::accounts::read_balance;
use super::holds::{conflicting, read_hold};
use super::{Bulk, Opened};
use crate::domain::{Balance, Changes, Entry, Hold, Transfer, Updated};
use beem_database::claims::effects::{Settled, part};
use beem_database::{Sql as _, Tx, array};
use beem_fault::Result;
use beem_ids::{HoldId, LedgerAccountId};
use beem_money::Amount;
use sea_orm::Value;
use sea_orm::prelude::async_trait::async_trait;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

// Rows are locked as they leave the sort, so in the order of their ids (an id never changes: nothing can move meanwhile).
const LOCK_BALANCES: &str = "
    SELECT ledger_account_id, owner, currency, total::text, reserved::text, floor::text, sequence, hash, time_ms
    FROM balances WHERE ledger_account_id = ANY($1::uuid[]) ORDER BY ledger_account_id FOR UPDATE";
// Both in one round trip: rows of the one with nulls for the other. What is known is of before the locks; what another
// process remembered while this waited for them is found by the insert.
static OPEN: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH known AS ({}), locked AS ({})
        SELECT effect_key, fingerprint, outcome, NULL::uuid AS ledger_account_id, NULL::uuid AS owner,
            NULL::text AS currency, NULL::text AS total, NULL::text AS reserved, NULL::text AS floor,
            NULL::bigint AS sequence, NULL::bytea AS hash, NULL::bigint AS time_ms
        FROM known UNION ALL SELECT NULL, NULL, NULL, locked.* FROM locked",
        part::KNOWN,
        LOCK_BALANCES.replace("$1", "$2")
    )
});
const LOCK_HOLDS: &str = "
    SELECT id, ledger_account_id, owner, currency, amount::text, reference, cause_type, cause_id, created_ms,
        created_sequence, expires_ms, state, posted::text, ended_ms, ended_sequence, effect_key
    FROM holds WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE";

// One round trip for what every group writes: $1 to $4 what is remembered, then transfers, entries and balances. Its count
// is that of the balances, the last part.
static POST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH remembered AS ({}),
    posted AS (
        INSERT INTO transfers (id, effect_key, debit_id, debit_sequence, credit_id, credit_sequence, currency, amount,
            kind, reference, cause_type, cause_id, counter_currency, counter_amount, rate, time_ms)
        SELECT * FROM UNNEST(
            $5::uuid[], $6::text[], $7::uuid[], $8::bigint[], $9::uuid[], $10::bigint[], $11::text[], $12::numeric[],
            $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::numeric[], $19::text[],
            $20::bigint[])),
    entered AS (
        INSERT INTO entries (ledger_account_id, time_ms, sequence, kind, subject_id, amount, reserved_change, total,
            reserved, hash)
        SELECT * FROM UNNEST(
            $21::uuid[], $22::bigint[], $23::bigint[], $24::text[], $25::uuid[], $26::numeric[], $27::numeric[],
            $28::numeric[], $29::numeric[], $30::bytea[]))
    UPDATE balances b SET total = u.total, reserved = u.reserved, sequence = u.sequence, hash = u.hash, time_ms = u.time_ms
    FROM UNNEST(
        $31::uuid[], $32::bigint[], $33::numeric[], $34::numeric[], $35::bigint[], $36::bytea[], $37::bigint[])
        AS u (id, was, total, reserved, sequence, hash, time_ms)
    WHERE b.ledger_account_id = u.id AND b.sequence = u.was",
        part::REMEMBER
    )
});

const PLACE: &str = "
    INSERT INTO holds (id, ledger_account_id, owner, currency, amount, reference, cause_type, cause_id, created_ms,
        created_sequence, expires_ms, state, posted, ended_ms, ended_sequence, effect_key)
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::numeric[], $6::text[], $7::text[], $8::text[],
        $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::numeric[], $14::bigint[], $15::bigint[], $16::text[])";
const END: &str = "
    UPDATE holds h SET state = u.state, posted = u.posted, ended_ms = u.ended_ms, ended_sequence = u.ended_sequence
    FROM UNNEST($1::uuid[], $2::text[], $3::numeric[], $4::bigint[], $5::bigint[])
        AS u (id, state, posted, ended_ms, ended_sequence)
    WHERE h.id = u.id AND h.state = 'ACTIVE'";

/// See the module.
pub struct Postgres;

#[async_trait]
impl Bulk for Postgres {
    async fn lock_balances(&self, tx: &Tx<'_>, ids: &[LedgerAccountId]) -> Result<Vec<Balance>> {
        let rows = tx.rows(LOCK_BALANCES, vec![array::uuids(ids.iter().map(|id| id.0))]).await?;
        rows.iter().map(read_balance).collect()
    }

    async fn lock_holds(&self, tx: &Tx<'_>, ids: &[HoldId]) -> Result<Vec<Hold>> {
        let rows = tx.rows(LOCK_HOLDS, vec![array::uuids(ids.iter().map(|id| id.0))]).await?;
        rows.iter().map(read_hold).collect()
    }

    async fn open(&self, tx: &Tx<'_>, keys: &[&str], ids: &[LedgerAccountId]) -> Result<Opened> {
        let rows = tx.rows(&OPEN, vec![part::keys(keys)?, array::uuids(ids.iter().map(|id| id.0))]).await?;
        let (mut known, mut balances) = (HashMap::new(), Vec::with_capacity(ids.len()));
        for row in &rows {
            match part::known(tx, row)? {
                Some((key, what)) => drop(known.insert(key, what)),
                None => balances.push(read_balance(row)?),
            }
        }
        Ok((known, balances))
    }

    async fn save(&self, tx: &Tx<'_>, changes: &Changes, settled: &[Settled<'_>]) -> Result<()> {
        if !changes.placed.is_empty() {
            tx.run(PLACE, placed(&changes.placed)).await?;
        }
        if !changes.ended.is_empty() {
            conflicting("hold", tx.run(END, ended(&changes.ended)).await?, changes.ended.len())?;
        }
        let mut values = part::remembered(tx, settled)?;
        transfers(&mut values, &changes.transfers);
        entries(&mut values, &changes.entries);
        balances(&mut values, &changes.balances);
        let updated = tx.run(&POST, values).await.map_err(part::failed)?;
        conflicting("balance", updated, changes.balances.len())
    }
}

fn transfers(values: &mut Vec<Value>, rows: &[Transfer]) {
    let counters = || rows.iter().map(|row| row.new.counterpart.as_ref());
    values.extend([
        array::uuids(rows.iter().map(|row| row.new.id.0)),
        array::texts(rows.iter().map(|row| row.effect.as_str())),
        array::uuids(rows.iter().map(|row| row.new.debit.0)),
        array::longs(rows.iter().map(|row| row.debit_sequence)),
        array::uuids(rows.iter().map(|row| row.new.credit.0)),
        array::longs(rows.iter().map(|row| row.credit_sequence)),
        array::texts(rows.iter().map(|row| row.new.currency.as_str())),
        amounts(rows.iter().map(|row| row.new.amount)),
        array::texts(rows.iter().map(|row| row.new.kind.as_str())),
        array::texts(rows.iter().map(|row| row.new.reference.as_str())),
        array::texts(rows.iter().map(|row| row.new.cause.kind.as_str())),
        array::texts(rows.iter().map(|row| row.new.cause.id.as_str())),
        array::optional_texts(counters().map(|counter| Some(counter?.currency))),
        array::optional_texts(counters().map(|counter| Some(counter?.amount))),
        array::optional_texts(counters().map(|counter| Some(counter?.rate))),
        array::longs(rows.iter().map(|row| row.time.unix_ms())),
    ]);
}

fn entries(values: &mut Vec<Value>, rows: &[Entry]) {
    values.extend([
        array::uuids(rows.iter().map(|row| row.account.0)),
        array::longs(rows.iter().map(|row| row.time.unix_ms())),
        array::longs(rows.iter().map(|row| row.sequence)),
        array::texts(rows.iter().map(|row| row.kind.as_str())),
        array::uuids(rows.iter().map(|row| row.subject.id())),
        amounts(rows.iter().map(|row| row.amount)),
        amounts(rows.iter().map(|row| row.reserved_change)),
        amounts(rows.iter().map(|row| row.total)),
        amounts(rows.iter().map(|row| row.reserved)),
        array::bytes(rows.iter().map(|row| row.hash)),
    ]);
}

fn balances(values: &mut Vec<Value>, rows: &[Updated]) {
    values.extend([
        array::uuids(rows.iter().map(|row| row.balance.account.0)),
        array::longs(rows.iter().map(|row| row.was)),
        amounts(rows.iter().map(|row| row.balance.total)),
        amounts(rows.iter().map(|row| row.balance.reserved)),
        array::longs(rows.iter().map(|row| row.balance.sequence)),
        array::bytes(rows.iter().map(|row| row.balance.hash)),
        array::longs(rows.iter().map(|row| row.balance.time.unix_ms())),
    ]);
}

fn placed(rows: &[Hold]) -> Vec<Value> {
    vec![
        array::uuids(rows.iter().map(|row| row.new.id.0)),
        array::uuids(rows.iter().map(|row| row.new.account.0)),
        array::uuids(rows.iter().map(|row| row.owner.0)),
        array::texts(rows.iter().map(|row| row.currency.as_str())),
        amounts(rows.iter().map(|row| row.new.amount)),
        array::texts(rows.iter().map(|row| row.new.reference.as_str())),
        array::texts(rows.iter().map(|row| row.new.cause.kind.as_str())),
        array::texts(rows.iter().map(|row| row.new.cause.id.as_str())),
        array::longs(rows.iter().map(|row| row.created.unix_ms())),
        array::longs(rows.iter().map(|row| row.created_sequence)),
        array::optional_longs(rows.iter().map(|row| row.new.expires.map(|at| at.unix_ms()))),
        array::texts(rows.iter().map(|row| row.state.as_str())),
        amounts(rows.iter().map(|row| row.posted)),
        array::optional_longs(rows.iter().map(|row| row.ended.map(|(at, _)| at.unix_ms()))),
        array::optional_longs(rows.iter().map(|row| row.ended.map(|(_, sequence)| sequence))),
        array::texts(rows.iter().map(|row| row.effect.as_str())),
    ]
}

fn ended(rows: &[Hold]) -> Vec<Value> {
    vec![
        array::uuids(rows.iter().map(|row| row.new.id.0)),
        array::texts(rows.iter().map(|row| row.state.as_str())),
        amounts(rows.iter().map(|row| row.posted)),
        array::optional_longs(rows.iter().map(|row| row.ended.map(|(at, _)| at.unix_ms()))),
        array::optional_longs(rows.iter().map(|row| row.ended.map(|(_, sequence)| sequence))),
    ]
}

/// For `$n::numeric[]`: the text of the array in one piece, many times cheaper than a text for each amount.
fn amounts(rows: impl Iterator<Item = Amount>) -> Value {
    let mut text = String::from("{");
    for amount in rows {
        // Writing into a text cannot fail.
        let _ = write!(text, "{}{amount}", if text.len() > 1 { "," } else { "" });
    }
    text.push('}');
    text.into()
}
