//! The effect keys of a group commit: hundreds of writes in one transaction look their keys up with one statement and
//! remember their outcomes with another, on the table and in the encoding of [`super::once_for_ever`].
//!
//! On PostgreSQL each is also to be had as a [`part`] of a larger statement, which saves the round trip.
//!
//! Here the outcome comes last, so another transaction may take a key in between. The insert finds that out (it waits for
//! whoever holds the key, for two seconds at most), and the whole transaction is run again by [`crate::Database::write`]:
//! the lookup finds it then.

use super::{Outcome, decode, encode, reused};
use crate::failure::unique_as_conflict;
use crate::{Backend, OrFault as _, Sql, Tx, array};
use beem_clock::Entropy;
use beem_fault::{Code, Fault, Result};
use sea_orm::{QueryResult, Value};
use std::collections::HashMap;

/// Keys in one call.
pub const LARGEST_BATCH: usize = 1000;

const KNOWN_POSTGRES: &str =
    "SELECT effect_key, fingerprint, outcome FROM effects WHERE effect_key = ANY($1::text[])";
const KNOWN_SQLITE: &str = "
    SELECT effect_key, fingerprint, outcome FROM effects WHERE effect_key IN (SELECT value FROM json_each($1))";

// In the order of the keys' bytes, so that two of these wait for one another in one direction only. The setting holds for
// the rest of the transaction and costs no round trip of its own here: all rows are sorted, and it is read, before the first
// is inserted. Without a row it is left as it is.
const REMEMBER_POSTGRES: &str = r#"
    INSERT INTO effects (effect_key, fingerprint, outcome, created_ms)
    SELECT effect_key, fingerprint, outcome, $4
    FROM (SELECT set_config('lock_timeout', '2s', true) WHERE cardinality($1::text[]) > 0) AS patience,
        UNNEST($1::text[], $2::bytea[], $3::bytea[]) AS settled (effect_key, fingerprint, outcome)
    ORDER BY effect_key COLLATE "C""#;
// One text whatever their number; JSON has no bytes, so they go as hexadecimal digits.
const REMEMBER_SQLITE: &str = "
    INSERT INTO effects (effect_key, fingerprint, outcome, created_ms)
    SELECT value ->> 0, unhex(value ->> 1), unhex(value ->> 2), $2 FROM json_each($1)";

/// What is remembered under an effect key.
#[derive(Clone, Debug)]
pub struct Known {
    fingerprint: Vec<u8>,
    /// The outer error: what is stored cannot be read.
    outcome: Result<Result<Vec<u8>>>,
}

impl Known {
    /// The first answer, or `idempotency-key-reused` when that was another request's: as [`super::once_within`] decides.
    /// `internal` when what is stored is not ours.
    #[must_use]
    pub fn answer(&self, fingerprint: [u8; 32]) -> Outcome {
        if self.fingerprint != fingerprint {
            return Outcome::first(Err(reused()));
        }
        match &self.outcome {
            Ok(result) => Outcome::again(result.clone()),
            Err(fault) => Outcome::first(Err(fault.clone())),
        }
    }

    fn read(tx: &Tx<'_>, row: &QueryResult) -> Result<Self> {
        let stored: Option<Vec<u8>> = row.try_get("", "outcome").or_fault()?;
        let stored = stored.ok_or_else(|| Fault::internal("an effect's claim without its answer"))?;
        Ok(Self {
            fingerprint: row.try_get("", "fingerprint").or_fault()?,
            // The outcome of an effect is never sealed, so no place is named.
            outcome: decode(&stored, tx.vault(), ""),
        })
    }
}

/// What a write under an effect key ended with.
#[derive(Clone, Copy, Debug)]
pub struct Settled<'a> {
    pub key: &'a str,
    /// [`super::fingerprint`] of the request.
    pub fingerprint: [u8; 32],
    /// An answer or a refusal.
    pub result: &'a Result<Vec<u8>>,
}

/// What is remembered under these effect keys, [`LARGEST_BATCH`] at most; one statement. A key that is missing from the
/// map is free, as far as this transaction sees.
///
/// # Errors
/// `unavailable` when the database is away; `internal` for too many keys.
pub async fn known(tx: &Tx<'_>, keys: &[&str]) -> Result<HashMap<String, Known>> {
    check_size(keys.len())?;
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = match tx.backend() {
        Backend::Postgres => tx.rows(KNOWN_POSTGRES, vec![part::keys(keys)?]).await?,
        Backend::Sqlite => tx.rows(KNOWN_SQLITE, vec![json(keys)?]).await?,
    };
    rows.iter().map(|row| part::known(tx, row)).filter_map(Result::transpose).collect()
}

/// The answers remembered under these effect keys, [`LARGEST_BATCH`] at most; not refusals, nor what cannot be read. For
/// whoever proves that what was answered is there.
///
/// # Errors
/// As [`known`].
pub async fn answers(on: &impl Sql, keys: &[&str]) -> Result<HashMap<String, Vec<u8>>> {
    check_size(keys.len())?;
    let rows = match on.dialect() {
        Backend::Postgres => on.rows(KNOWN_POSTGRES, vec![array::texts(keys.iter().copied())]).await?,
        Backend::Sqlite => on.rows(KNOWN_SQLITE, vec![json(keys)?]).await?,
    };
    let mut answers = HashMap::with_capacity(rows.len());
    for row in &rows {
        let stored: Option<Vec<u8>> = row.try_get("", "outcome").or_fault()?;
        // The outcome of an effect is never sealed: nothing is opened here.
        if let Some(Ok(Ok(answer))) = stored
            .map(|stored| decode(&stored, super::Vault { sealing: None, entropy: &Entropy::System }, ""))
        {
            answers.insert(row.try_get("", "effect_key").or_fault()?, answer);
        }
    }
    Ok(answers)
}

/// Remembers for ever what these ended with, [`LARGEST_BATCH`] at most; one statement. Every key must have been missing
/// from what [`known`] answered in this transaction. Effects of a refused write must not be in the transaction: that is
/// the caller's care, as there is no savepoint here.
///
/// # Errors
/// One that makes [`crate::Database::write`] run the whole transaction again, when another transaction has taken one of
/// the keys meanwhile; `unavailable` as [`crate::ErrorKind::LockTimeout`] when another holds one and does not end. `internal`, a bug of the caller: a key twice, too many, a fault that is no refusal, and
/// `idempotency-key-reused`, which is the outcome of a key that has another.
pub async fn remember(tx: &Tx<'_>, settled: &[Settled<'_>]) -> Result<()> {
    if settled.is_empty() {
        return Ok(());
    }
    let rows = match tx.backend() {
        Backend::Postgres => tx.run(REMEMBER_POSTGRES, part::remembered(tx, settled)?).await,
        Backend::Sqlite => {
            let rows = encoded(settled)?;
            let rows = rows
                .iter()
                .map(|(one, outcome)| (one.key, hex::encode(one.fingerprint), hex::encode(outcome)));
            let rows = json(&rows.collect::<Vec<_>>())?;
            tx.run(REMEMBER_SQLITE, vec![rows, Value::from(tx.now().unix_ms())]).await
        }
    };
    rows.map(drop).map_err(part::failed)
}

/// The two statements of PostgreSQL as parts of a larger one, a `WITH` of it, for who counts round trips. Their parameters
/// come first.
pub mod part {
    use super::*;

    /// What is known under the keys of [`keys`], `$1`; [`known`] reads it.
    pub const KNOWN: &str = KNOWN_POSTGRES;
    /// Remembers what [`remembered`] gives, `$1` to `$4`.
    pub const REMEMBER: &str = REMEMBER_POSTGRES;

    /// # Errors
    /// `internal` for too many keys.
    pub fn keys(keys: &[&str]) -> Result<Value> {
        check_size(keys.len())?;
        Ok(array::texts(keys.iter().copied()))
    }

    /// The key and what is known under it, of a row with the columns of [`KNOWN`]; None where they are null.
    ///
    /// # Errors
    /// `internal` for a garbled row.
    pub fn known(tx: &Tx<'_>, row: &QueryResult) -> Result<Option<(String, Known)>> {
        let key: Option<String> = row.try_get("", "effect_key").or_fault()?;
        key.map(|key| Ok((key, Known::read(tx, row)?))).transpose()
    }

    /// # Errors
    /// `internal` as [`remember`](super::remember).
    pub fn remembered(tx: &Tx<'_>, settled: &[Settled<'_>]) -> Result<Vec<Value>> {
        let (settled, outcomes): (Vec<&Settled<'_>>, Vec<_>) = encoded(settled)?.into_iter().unzip();
        Ok(vec![
            array::texts(settled.iter().map(|one| one.key)),
            array::bytes(settled.iter().map(|one| one.fingerprint)),
            array::bytes(outcomes),
            Value::from(tx.now().unix_ms()),
        ])
    }

    /// What a statement with [`REMEMBER`] in it failed with: a key that was taken meanwhile runs the transaction again.
    #[must_use]
    pub fn failed(fault: Fault) -> Fault {
        unique_as_conflict(fault, "effects")
    }
}

/// In the order of their keys, each with what is stored of its outcome.
fn encoded<'s, 'a>(settled: &'s [Settled<'a>]) -> Result<Vec<(&'s Settled<'a>, Vec<u8>)>> {
    check_size(settled.len())?;
    let mut sorted: Vec<_> = settled.iter().collect();
    sorted.sort_unstable_by_key(|one| one.key);
    if sorted.iter().zip(sorted.iter().skip(1)).any(|(one, next)| one.key == next.key) {
        return Err(Fault::internal("an effect key twice in what is to be remembered"));
    }
    sorted.into_iter().map(|one| Ok((one, one.encoded()?))).collect()
}

impl Settled<'_> {
    fn encoded(&self) -> Result<Vec<u8>> {
        match self.result {
            Err(fault) if !fault.is_refusal() || fault.code == Code::IdempotencyKeyReused => {
                Err(Fault::internal(format!("{} is not to be remembered", fault.code)))
            }
            result => encode(result),
        }
    }
}

fn check_size(keys: usize) -> Result<()> {
    if keys > LARGEST_BATCH {
        return Err(Fault::internal(format!("{keys} effect keys at once")));
    }
    Ok(())
}

fn json(rows: &(impl serde::Serialize + ?Sized)) -> Result<Value> {
    serde_json::to_string(rows).map(Value::from).map_err(Fault::internal)
}
