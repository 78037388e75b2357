//! After a rotation of keys: what claims hold under another key is sealed again under the one that seals now.

use super::vault::{MIXED, sealed_by, set_aside, step_context};
use super::{ClaimName, Vault, outcome};
use crate::{Backend, Database, OrFault as _, Sql as _, Tx};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_fault::{Fault, Result};
use beem_sealing::{KeyId, Unopened};
use sea_orm::{QueryResult, Value};
use std::error::Error as _;
use uuid::Uuid;

/// What one call did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Claims that are wholly under the current key now.
    pub resealed: u64,
    /// Claims that are not yet. At none, the old key is not needed here any more.
    pub left: u64,
}

/// Seals at most `max` secret claims again, with what their running sagas hold; to be called until nothing is left. A
/// claim under a key that is not held stays and is counted as left, until its time is over.
///
/// # Errors
/// `internal` when the database was given no keys; `unavailable` when it is away.
pub async fn reseal(db: &Database, max: u32) -> Result<Resealed> {
    let resealed = db.write(|tx| Box::pin(reseal_some(tx, max))).await?;
    // Two ranges of the index, which is small: only secret claims are in it.
    let sql = "SELECT count(*) AS n FROM claims WHERE sealed_by < $1 OR sealed_by > $1";
    let current = db.vault().sealing()?.current_id().as_bytes().to_vec();
    let row = db.read().row(sql, vec![current.into()]).await?;
    let left: i64 =
        row.ok_or_else(|| Fault::internal("a count without a row"))?.try_get("", "n").or_fault()?;
    Ok(Resealed { resealed, left: u64::try_from(left).map_err(Fault::internal)? })
}

async fn reseal_some(tx: &Tx<'_>, max: u32) -> Result<u64> {
    // A claim in somebody's hands comes next time.
    let skip_locked = match tx.backend() {
        Backend::Postgres => "FOR UPDATE SKIP LOCKED",
        Backend::Sqlite => "",
    };
    let held = tx.vault().sealing()?.key_ids();
    // What the other key sealed, what several had a part in, and what waited for a key that is held now. A row that waits
    // for another is not even looked at: it must not stand in the way of the others.
    let other = held.iter().skip(1).map(|id| id.as_bytes().to_vec());
    let waited = held.iter().map(|id| set_aside(Unopened::UnknownKey(*id)));
    let old: Vec<Value> =
        std::iter::once(MIXED.to_vec()).chain(other).chain(waited).map(Value::from).collect();
    let places: Vec<_> = (2..).take(old.len()).map(|n| format!("${n}")).collect();
    let sql = format!(
        "SELECT principal, rpc, key, fingerprint, outcome, saga_id, ids, payload, sealed_by
        FROM claims WHERE sealed_by IN ({}) LIMIT $1 {skip_locked}",
        places.join(", "),
    );
    let values = std::iter::once(i64::from(max).into()).chain(old).collect();
    let mut resealed = 0;
    for row in tx.rows(&sql, values).await? {
        let row = Row::read(&row)?;
        match row.reseal(tx).await {
            Ok(()) => resealed += 1,
            Err(fault) => {
                let why = unopened(&fault).ok_or_else(|| fault.clone())?;
                tracing::error!(rpc = row.rpc, ?fault, "a claim could not be sealed again");
                row.set_aside(tx, why).await?;
            }
        }
    }
    Ok(resealed)
}

fn unopened(fault: &Fault) -> Option<Unopened> {
    fault.source().and_then(|source| source.downcast_ref()).copied()
}

/// The sealed parts of a claim.
struct Row {
    key: Vec<Value>,
    rpc: String,
    name: ClaimName,
    saga_id: Option<Uuid>,
    fingerprint: Vec<u8>,
    outcome: Option<Vec<u8>>,
    ids: Option<String>,
    payload: Option<Vec<u8>>,
}

impl Row {
    fn read(row: &QueryResult) -> Result<Self> {
        let text = |column| row.try_get::<String>("", column).or_fault();
        let (principal, rpc, key) = (text("principal")?, text("rpc")?, text("key")?);
        Ok(Self {
            name: ClaimName::of(&principal, &rpc, &key),
            key: vec![principal.into(), rpc.clone().into(), key.into()],
            rpc,
            saga_id: row.try_get("", "saga_id").or_fault()?,
            fingerprint: row.try_get("", "fingerprint").or_fault()?,
            outcome: row.try_get("", "outcome").or_fault()?,
            ids: row.try_get("", "ids").or_fault()?,
            payload: row.try_get("", "payload").or_fault()?,
        })
    }

    async fn reseal(&self, tx: &Tx<'_>) -> Result<()> {
        let vault = tx.vault();
        let again = |column: &str, sealed: &[u8]| {
            Ok::<_, Fault>(
                vault.reseal(&self.name.column(column), sealed)?.unwrap_or_else(|| sealed.to_vec()),
            )
        };
        let fingerprint = again("fingerprint", &self.fingerprint)?;
        let payload = self.payload.as_deref().map(|sealed| again("payload", sealed)).transpose()?;
        let ids =
            self.ids.as_ref().map(|text| STANDARD.decode(text).map_err(|_| Unopened::Garbled)).transpose()?;
        let ids = ids.map(|sealed| again("ids", &sealed)).transpose()?;
        let outcome = self.outcome.as_deref();
        let outcome =
            outcome.map(|stored| outcome_again(stored, vault, &self.name.column("outcome"))).transpose()?;
        let parts = [Some(&fingerprint), payload.as_ref(), ids.as_ref()];
        let mut keys: Vec<_> = parts.into_iter().flatten().map(|part| beem_sealing::key_of(part)).collect();
        keys.extend(outcome.as_deref().and_then(outcome::key_of).map(Some));
        keys.extend(self.reseal_steps(tx).await?.into_iter().map(Some));
        let mut values = self.key.clone();
        values.extend([
            fingerprint.into(),
            outcome.into(),
            ids.map(|sealed| STANDARD.encode(sealed)).into(),
            payload.into(),
            sealed_by(keys).into(),
        ]);
        let sql = "UPDATE claims SET fingerprint = $4, outcome = $5, ids = $6, payload = $7, sealed_by = $8
            WHERE principal = $1 AND rpc = $2 AND key = $3";
        tx.run(sql, values).await.map(drop)
    }

    /// The keys under which the answers of the steps are afterwards.
    async fn reseal_steps(&self, tx: &Tx<'_>) -> Result<Vec<KeyId>> {
        let Some(saga_id) = self.saga_id else { return Ok(Vec::new()) };
        let sql = "SELECT step, outcome FROM saga_steps WHERE saga_id = $1";
        let mut keys = Vec::new();
        for row in tx.rows(sql, vec![saga_id.into()]).await? {
            let (step, stored): (String, Vec<u8>) =
                (row.try_get("", "step").or_fault()?, row.try_get("", "outcome").or_fault()?);
            let again = outcome_again(&stored, tx.vault(), &step_context(saga_id, &step))?;
            keys.extend(outcome::key_of(&again));
            let sql = "UPDATE saga_steps SET outcome = $3 WHERE saga_id = $1 AND step = $2";
            tx.run(sql, vec![saga_id.into(), step.into(), again.into()]).await?;
        }
        Ok(keys)
    }

    async fn set_aside(&self, tx: &Tx<'_>, why: Unopened) -> Result<()> {
        let mut values = self.key.clone();
        values.push(set_aside(why).into());
        let sql = "UPDATE claims SET sealed_by = $4 WHERE principal = $1 AND rpc = $2 AND key = $3";
        tx.run(sql, values).await.map(drop)
    }
}

fn outcome_again(stored: &[u8], vault: Vault<'_>, context: &str) -> Result<Vec<u8>> {
    Ok(outcome::reseal(stored, vault, context)?.unwrap_or_else(|| stored.to_vec()))
}
