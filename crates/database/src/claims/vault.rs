//! What of a claim is stored sealed, and for which place. A *secret* claim keeps its request's fingerprint (which could be
//! guessed back into a password), its answer, and while it is a saga its ids, its request and the answers of its steps
//! under the keys of [`Database::sealed_by`]; nothing of another claim is sealed.
//!
//! The row says in `sealed_by` under which key: null for none, and no bytes once two keys have had a part in it, as
//! happens when the keys are changed in the middle of a saga. Resealing finds rows by it, and notes there what it could
//! not open.

use crate::{Database, Sql as _, Tx};
use beem_clock::Entropy;
use beem_fault::{Fault, Result};
use beem_sealing::{KeyId, Sealing, Unopened, Zeroizing};
use sea_orm::Value;
use uuid::Uuid;

/// `sealed_by` of a row with parts under two keys: never a key's id, which has 8 bytes.
pub(crate) const MIXED: &[u8] = &[];

/// The keys, if there are any, and randomness for sealing.
#[derive(Clone, Copy)]
pub(crate) struct Vault<'a> {
    pub(crate) sealing: Option<&'a Sealing>,
    pub(crate) entropy: &'a Entropy,
}

impl Vault<'_> {
    pub(crate) fn sealing(&self) -> Result<&Sealing> {
        self.sealing.ok_or_else(|| {
            Fault::internal("this database was given no keys, and a secret is to be stored or read")
        })
    }

    pub(crate) fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>> {
        Ok(self.sealing()?.seal(context, plain, self.entropy))
    }

    pub(crate) fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.sealing()?.open(context, sealed)
    }

    pub(crate) fn reseal(&self, context: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>> {
        self.sealing()?.reseal(context, sealed, self.entropy)
    }
}

impl Tx<'_> {
    pub(crate) fn vault(&self) -> Vault<'_> {
        Vault { sealing: self.sealing.as_ref(), entropy: self.entropy() }
    }
}

impl Database {
    pub(crate) fn vault(&self) -> Vault<'_> {
        Vault { sealing: self.sealing.as_ref(), entropy: self.entropy() }
    }
}

/// A claim among all of its table, from which the contexts of its sealed columns are made.
#[derive(Clone, Debug)]
pub(crate) struct ClaimName(String);

impl ClaimName {
    pub(crate) fn of(principal: &str, rpc: &str, key: &str) -> Self {
        Self(format!("{principal}\0{rpc}\0{key}"))
    }

    /// The context of a column.
    pub(crate) fn column(&self, column: &str) -> String {
        format!("claims.{column}\0{}", self.0)
    }
}

/// The context of a step's answer.
pub(crate) fn step_context(saga_id: Uuid, step: &str) -> String {
    format!("saga_steps.outcome\0{saga_id}\0{step}")
}

/// `sealed_by` of a row whose sealed parts are under these keys.
pub(crate) fn sealed_by(keys: impl IntoIterator<Item = Option<KeyId>>) -> Vec<u8> {
    let mut keys = keys.into_iter();
    let first = keys.next().flatten();
    match first {
        Some(id) if keys.all(|key| key == first) => id.as_bytes().to_vec(),
        _ => MIXED.to_vec(),
    }
}

/// `sealed_by` of a row that resealing could not open: with the key it wants it is looked at again, and without a key to
/// wait for never. No key's id has such a length.
pub(crate) fn set_aside(why: Unopened) -> Vec<u8> {
    match why {
        Unopened::UnknownKey(id) => [[0].as_slice(), id.as_bytes()].concat(),
        Unopened::Refused(_) | Unopened::Garbled => vec![0],
    }
}

/// Says in the claim's row, which this transaction has locked, that the outcome it stores is sealed under a key that may
/// not be that of the rest. `whose` names the claim by `$1` and on.
pub(crate) async fn note_key(tx: &Tx<'_>, outcome: &[u8], whose: &str, mut values: Vec<Value>) -> Result<()> {
    let Some(id) = super::outcome::key_of(outcome) else { return Ok(()) };
    let (mixed, key) = (values.len() + 1, values.len() + 2);
    values.extend([MIXED.to_vec().into(), id.as_bytes().to_vec().into()]);
    let sql = format!("UPDATE claims SET sealed_by = ${mixed} WHERE {whose} AND sealed_by <> ${key}");
    tx.run(&sql, values).await.map(drop)
}
