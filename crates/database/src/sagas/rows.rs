//! The saga columns of `claims`, and the table `saga_steps`. Every write compares owner and fence first.

use super::{LEASE_MS, lost};
use crate::claims::{Abandoned, ClaimName, Vault, decode, note_key, step_context};
use crate::{Backend, Migration, OrFault as _, Sql as _, Tx};
use beem_fault::{Fault, Result};
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

/// `saga_steps`: the answers of the steps of sagas that have not ended.
pub const MIGRATION: Migration = Migration {
    name: "sagas-1",
    postgres: "
        CREATE TABLE saga_steps (
            saga_id UUID NOT NULL, step TEXT NOT NULL, outcome BYTEA NOT NULL, PRIMARY KEY (saga_id, step));",
    sqlite: "
        CREATE TABLE saga_steps (
            saga_id BLOB NOT NULL, step TEXT NOT NULL, outcome BLOB NOT NULL, PRIMARY KEY (saga_id, step)) STRICT;",
};

/// The longest wait before a saga that failed is tried again.
const LONGEST_BACKOFF_MS: i64 = 60_000;

/// A claim in our hands. `fence` grows with every runner: a write that names an earlier one is refused.
#[derive(Clone, Debug)]
pub(crate) struct Claimed {
    pub(crate) saga_id: Uuid,
    pub(crate) rpc: String,
    pub(crate) name: ClaimName,
    /// Whether ids, payload and answers are sealed; ids and payload are here as they are stored.
    pub(crate) secret: bool,
    pub(crate) ids: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) actor: Vec<u8>,
    pub(crate) owner: Option<Uuid>,
    pub(crate) fence: i64,
    pub(crate) lease_until_ms: i64,
}

impl Claimed {
    pub(crate) fn read(row: &QueryResult) -> Result<Self> {
        let text = |column| row.try_get::<String>("", column).or_fault();
        let rpc = text("rpc")?;
        Ok(Self {
            saga_id: row.try_get("", "saga_id").or_fault()?,
            name: ClaimName::of(&text("principal")?, &rpc, &text("key")?),
            rpc,
            secret: row.try_get::<Option<Vec<u8>>>("", "sealed_by").or_fault()?.is_some(),
            ids: row.try_get("", "ids").or_fault()?,
            payload: row.try_get("", "payload").or_fault()?,
            actor: row.try_get("", "actor").or_fault()?,
            owner: row.try_get("", "owner").or_fault()?,
            fence: row.try_get("", "attempts").or_fault()?,
            lease_until_ms: row.try_get("", "lease_until_ms").or_fault()?,
        })
    }

    /// `$1`, `$2`, `$3`: which run this is.
    fn run(&self) -> Vec<Value> {
        vec![self.saga_id.into(), self.owner.into(), self.fence.into()]
    }
}

const THIS_RUN: &str = "saga_id = $1 AND owner = $2 AND attempts = $3 AND state = 'RUNNING'";

/// Makes a claim, which this transaction has locked, ours.
pub(crate) async fn take_over(tx: &Tx<'_>, from: Claimed, process: Uuid) -> Result<Claimed> {
    let fence = from.fence.saturating_add(1);
    let lease_until_ms = tx.now().unix_ms().saturating_add(LEASE_MS);
    let sql = "UPDATE claims SET owner = $2, attempts = $3, lease_until_ms = $4 WHERE saga_id = $1";
    tx.run(sql, vec![from.saga_id.into(), process.into(), fence.into(), lease_until_ms.into()]).await?;
    Ok(Claimed { owner: Some(process), fence, lease_until_ms, ..from })
}

/// A claim whose lease has lapsed.
pub(crate) struct Lapsed {
    pub(crate) claimed: Claimed,
    /// Whether a step of it is stored.
    pub(crate) begun: bool,
}

/// At most `max` claims of these RPCs whose lease has lapsed, the oldest first; this transaction has locked them.
pub(crate) async fn lapsed(tx: &Tx<'_>, rpcs: &[&str], max: i64) -> Result<Vec<Lapsed>> {
    // A row that another transaction changes meanwhile is judged again when it is locked: what has just begun has a new
    // lease with it, and is left out.
    let skip_locked = match tx.backend() {
        Backend::Postgres => "FOR UPDATE OF c SKIP LOCKED",
        Backend::Sqlite => "",
    };
    let places: Vec<_> = (3..).take(rpcs.len()).map(|n| format!("${n}")).collect();
    let sql = format!(
        "SELECT principal, rpc, key, sealed_by, saga_id, ids, payload, actor, owner, attempts, lease_until_ms,
            (SELECT count(*) FROM saga_steps s WHERE s.saga_id = c.saga_id) AS steps
        FROM claims c WHERE state = 'RUNNING' AND lease_until_ms <= $1 AND rpc IN ({})
        ORDER BY created_ms, saga_id LIMIT $2 {skip_locked}",
        places.join(", "),
    );
    let mut values: Vec<Value> = vec![tx.now().unix_ms().into(), max.into()];
    values.extend(rpcs.iter().map(|rpc| Value::from(*rpc)));
    let read = |row: &QueryResult| {
        let steps: i64 = row.try_get("", "steps").or_fault()?;
        Ok(Lapsed { claimed: Claimed::read(row)?, begun: steps > 0 })
    };
    tx.rows(&sql, values).await?.iter().map(read).collect()
}

/// Forgets a claim that this transaction has locked: its key is as good as new.
pub(crate) async fn forget(tx: &Tx<'_>, saga_id: Uuid) -> Result<()> {
    tx.run("DELETE FROM claims WHERE saga_id = $1", vec![saga_id.into()]).await.map(drop)
}

/// Forgets the claim of a run that stored no step; whether it was so.
pub(crate) async fn forget_unbegun(tx: &Tx<'_>, claimed: &Claimed) -> Result<bool> {
    let sql = format!(
        "DELETE FROM claims WHERE {THIS_RUN} AND NOT EXISTS (SELECT 1 FROM saga_steps WHERE saga_id = $1)"
    );
    tx.run(&sql, claimed.run()).await.map(|rows| rows == 1)
}

/// Compares owner and fence, locks the claim until the transaction ends, and renews the lease.
pub(crate) async fn renew(tx: &Tx<'_>, claimed: &Claimed) -> Result<()> {
    let mut values = claimed.run();
    values.push(tx.now().unix_ms().saturating_add(LEASE_MS).into());
    let sql = format!("UPDATE claims SET lease_until_ms = $4 WHERE {THIS_RUN}");
    if tx.run(&sql, values).await? == 1 { Ok(()) } else { Err(lost()) }
}

/// The answer of a step that has been taken; a refusal is the inner error.
pub(crate) async fn step(
    db: &impl sea_orm::ConnectionTrait,
    vault: Vault<'_>,
    saga_id: Uuid,
    name: &str,
) -> Result<Option<Result<Vec<u8>>>> {
    let sql = "SELECT outcome FROM saga_steps WHERE saga_id = $1 AND step = $2";
    let Some(row) = db.row(sql, vec![saga_id.into(), name.into()]).await? else { return Ok(None) };
    let outcome: Vec<u8> = row.try_get("", "outcome").or_fault()?;
    decode(&outcome, vault, &step_context(saga_id, name)).map(Some)
}

/// In a transaction that has renewed the lease.
pub(crate) async fn store_step(tx: &Tx<'_>, claimed: &Claimed, name: &str, outcome: &[u8]) -> Result<()> {
    note_key(tx, outcome, "saga_id = $1", vec![claimed.saga_id.into()]).await?;
    let sql = "INSERT INTO saga_steps (saga_id, step, outcome) VALUES ($1, $2, $3)";
    tx.run(sql, vec![claimed.saga_id.into(), name.into(), outcome.to_vec().into()]).await.map(drop)
}

/// The end: the answer is stored, the steps have done their duty.
pub(crate) async fn end(tx: &Tx<'_>, claimed: &Claimed, outcome: &[u8]) -> Result<()> {
    let mut values = claimed.run();
    values.push(outcome.to_vec().into());
    // What only a run needs goes with it: a request may hold more than its answer tells.
    let sql = format!(
        "UPDATE claims SET state = 'DONE', outcome = $4, owner = NULL, ids = NULL, payload = NULL, actor = NULL
        WHERE {THIS_RUN}"
    );
    if tx.run(&sql, values).await? != 1 {
        return Err(lost());
    }
    note_key(tx, outcome, "saga_id = $1", vec![claimed.saga_id.into()]).await?;
    tx.run("DELETE FROM saga_steps WHERE saga_id = $1", vec![claimed.saga_id.into()]).await.map(drop)
}

/// Gives a run that failed back, to be tried again after a wait that doubles with every runner.
pub(crate) async fn release(tx: &Tx<'_>, claimed: &Claimed) -> Result<()> {
    let doublings = u32::try_from(claimed.fence.clamp(1, 7)).map_err(Fault::internal)?;
    let wait_ms = (500_i64 << doublings).min(LONGEST_BACKOFF_MS);
    let mut values = claimed.run();
    values.push(tx.now().unix_ms().saturating_add(wait_ms).into());
    let sql = format!("UPDATE claims SET owner = NULL, lease_until_ms = $4 WHERE {THIS_RUN}");
    tx.run(&sql, values).await.map(drop)
}

/// Gives a run whose caller went away back, to be taken up at once.
pub(crate) async fn give_back(tx: &Tx<'_>, saga: Abandoned, process: Uuid) -> Result<()> {
    let values = vec![saga.saga_id.into(), process.into(), saga.fence.into(), tx.now().unix_ms().into()];
    let sql = format!("UPDATE claims SET owner = NULL, lease_until_ms = $4 WHERE {THIS_RUN}");
    tx.run(&sql, values).await.map(drop)
}
