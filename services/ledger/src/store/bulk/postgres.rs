//! PostgreSQL: whole columns as arrays, so that a group of a thousand transfers is as many round trips as one, and the text
//! of a statement, and with it its plan, is always the same.

use super::super::accounts::read_balance;
use super::Bulk;
use super::holds::{conflicting, read_hold};
use crate::domain::{Balance, Changes, Entry, Hold, Transfer, Updated};
use beem_database::{Sql as _, Tx, array};
use beem_fault::Result;
use beem_ids::{HoldId, LedgerAccountId};
use beem_money::Amount;
use sea_orm::Value;
use sea_orm::prelude::async_trait::async_trait;
use std::fmt::Write as _;

// Rows are locked as they leave the sort, so in the order of their ids (an id never changes: nothing can move meanwhile).
const LOCK_BALANCES: &str = "
    SELECT ledger_account_id, owner, currency, total::text, reserved::text, floor::text, sequence, hash, time_ms
    FROM balances WHERE ledger_account_id = ANY($1::uuid[]) ORDER BY ledger_account_id FOR UPDATE";
const LOCK_HOLDS: &str = "
    SELECT id, ledger_account_id, owner, currency, amount::text, reference, cause_type, cause_id, created_ms,
        created_sequence, expires_ms, state, posted::text, ended_ms, ended_sequence, effect_key
    FROM holds WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE";

// One round trip for what every group writes. Its count is that of the balances, the last part.
const POST: &str = "
    WITH posted AS (
        INSERT INTO transfers (id, debit_id, debit_sequence, credit_id, credit_sequence, currency, amount, kind,
            reference, cause_type, cause_id, counter_currency, counter_amount, rate, time_ms, effect_key)
        SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[], $6::text[], $7::numeric[],
            $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::numeric[], $14::text[], $15::bigint[],
            $33::text[])),
    entered AS (
        INSERT INTO entries (ledger_account_id, time_ms, sequence, kind, subject_id, amount, reserved_change, total,
            reserved, hash)
        SELECT * FROM UNNEST($16::uuid[], $17::bigint[], $18::bigint[], $19::text[], $20::uuid[], $21::numeric[],
            $22::numeric[], $23::numeric[], $24::numeric[], $25::bytea[]))
    UPDATE balances b SET total = u.total, reserved = u.reserved, sequence = u.sequence, hash = u.hash, time_ms = u.time_ms
    FROM UNNEST($26::uuid[], $27::bigint[], $28::numeric[], $29::numeric[], $30::bigint[], $31::bytea[], $32::bigint[])
        AS u (id, was, total, reserved, sequence, hash, time_ms)
    WHERE b.ledger_account_id = u.id AND b.sequence = u.was";

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

    async fn save(&self, tx: &Tx<'_>, changes: &Changes) -> Result<()> {
        if !changes.placed.is_empty() {
            tx.run(PLACE, placed(&changes.placed)).await?;
        }
        if !changes.ended.is_empty() {
            conflicting("hold", tx.run(END, ended(&changes.ended)).await?, changes.ended.len())?;
        }
        let mut values = Vec::with_capacity(33);
        transfers(&mut values, &changes.transfers);
        entries(&mut values, &changes.entries);
        balances(&mut values, &changes.balances);
        values.push(array::texts(changes.transfers.iter().map(|row| row.effect.as_str())));
        conflicting("balance", tx.run(POST, values).await?, changes.balances.len())
    }
}

fn transfers(values: &mut Vec<Value>, rows: &[Transfer]) {
    let counters = || rows.iter().map(|row| row.new.counterpart.as_ref());
    values.extend([
        array::uuids(rows.iter().map(|row| row.new.id.0)),
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
