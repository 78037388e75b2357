//! The tables `claims` and `effects` and the statements on them.

use super::{Outcome, RETENTION_MS, RequestKey, decode, reused};
use crate::{Backend, Migration, OrFault as _, Sql as _, Tx};
use beem_fault::{Fault, Result};
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

/// `claims` (request keys, sagas too) and `effects`.
pub const MIGRATION: Migration = Migration {
    name: "claims-1",
    postgres: "
        CREATE TABLE claims (
            principal TEXT NOT NULL, rpc TEXT NOT NULL, key TEXT NOT NULL,
            fingerprint BYTEA NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('RUNNING', 'DONE')),
            outcome BYTEA,
            created_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL,
            saga_id UUID UNIQUE, ids TEXT, payload BYTEA, actor BYTEA,
            owner UUID, attempts BIGINT NOT NULL, lease_until_ms BIGINT NOT NULL,
            PRIMARY KEY (principal, rpc, key));
        CREATE INDEX claims_running ON claims (lease_until_ms) WHERE state = 'RUNNING';
        CREATE INDEX claims_done ON claims (expires_ms) WHERE state = 'DONE';
        CREATE TABLE effects (
            effect_key TEXT PRIMARY KEY, fingerprint BYTEA NOT NULL, outcome BYTEA, created_ms BIGINT NOT NULL);",
    sqlite: "
        CREATE TABLE claims (
            principal TEXT NOT NULL, rpc TEXT NOT NULL, key TEXT NOT NULL,
            fingerprint BLOB NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('RUNNING', 'DONE')),
            outcome BLOB,
            created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
            saga_id BLOB UNIQUE, ids TEXT, payload BLOB, actor BLOB,
            owner BLOB, attempts INTEGER NOT NULL, lease_until_ms INTEGER NOT NULL,
            PRIMARY KEY (principal, rpc, key)) STRICT;
        CREATE INDEX claims_running ON claims (lease_until_ms) WHERE state = 'RUNNING';
        CREATE INDEX claims_done ON claims (expires_ms) WHERE state = 'DONE';
        CREATE TABLE effects (
            effect_key TEXT PRIMARY KEY, fingerprint BLOB NOT NULL, outcome BLOB, created_ms INTEGER NOT NULL) STRICT;",
};

/// A key past its time is as good as none, so the insert takes its row over.
const INSERT_CLAIM: &str = "
    INSERT INTO claims (principal, rpc, key, fingerprint, created_ms, expires_ms,
        state, saga_id, ids, payload, actor, owner, attempts, lease_until_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, $13)
    ON CONFLICT (principal, rpc, key) DO UPDATE SET
        fingerprint = excluded.fingerprint, created_ms = excluded.created_ms, expires_ms = excluded.expires_ms,
        state = excluded.state, outcome = NULL, saga_id = excluded.saga_id, ids = excluded.ids,
        payload = excluded.payload, actor = excluded.actor, owner = excluded.owner, attempts = 1,
        lease_until_ms = excluded.lease_until_ms
    WHERE claims.state = 'DONE' AND claims.expires_ms <= excluded.created_ms";

const INSERT_EFFECT: &str = "
    INSERT INTO effects (effect_key, fingerprint, created_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

const SELECT_CLAIM: &str = "
    SELECT fingerprint, state, outcome, saga_id, ids, payload, actor, owner, attempts, lease_until_ms, rpc
    FROM claims WHERE principal = $1 AND rpc = $2 AND key = $3";

const PURGE: &str = "
    DELETE FROM claims WHERE (principal, rpc, key) IN (
        SELECT principal, rpc, key FROM claims WHERE state = 'DONE' AND expires_ms <= $1 LIMIT $2)";

/// Where the answer is kept.
pub(crate) enum Slot<'a> {
    Request(&'a RequestKey),
    Effect { key: &'a str, fingerprint: [u8; 32] },
}

/// How a claim begins.
pub(crate) enum Draft<'a> {
    /// Effect and answer follow in the same transaction.
    AtOnce,
    /// They follow in steps.
    Saga(NewSaga<'a>),
}

pub(crate) struct NewSaga<'a> {
    pub(crate) id: Uuid,
    pub(crate) ids: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) actor: &'a [u8],
    pub(crate) owner: Uuid,
    pub(crate) lease_until_ms: i64,
}

/// What is already there under a key.
pub(crate) struct Stored {
    fingerprint: Vec<u8>,
    pub(crate) state: State,
}

pub(crate) enum State {
    Done(Vec<u8>),
    Running(QueryResult),
}

impl Slot<'_> {
    /// Names it among all keys of this database.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Request(k) => format!("request\0{}\0{}\0{}", k.principal, k.rpc, k.key),
            Self::Effect { key, .. } => format!("effect\0{key}"),
        }
    }

    fn fingerprint(&self) -> &[u8; 32] {
        match self {
            Self::Request(key) => &key.fingerprint,
            Self::Effect { fingerprint, .. } => fingerprint,
        }
    }

    /// Whether the key was free and is ours now. Waits while another transaction holds it.
    pub(crate) async fn insert(&self, tx: &Tx<'_>, draft: &Draft<'_>) -> Result<bool> {
        let now_ms = tx.now().unix_ms();
        let rows = match self {
            Self::Request(key) => {
                let mut values: Vec<Value> = key_values(key);
                values.push(key.fingerprint.to_vec().into());
                values.extend([now_ms.into(), now_ms.saturating_add(RETENTION_MS).into()]);
                values.extend(draft.values());
                tx.run(INSERT_CLAIM, values).await?
            }
            Self::Effect { key, fingerprint } => {
                let values = vec![(*key).into(), fingerprint.to_vec().into(), now_ms.into()];
                tx.run(INSERT_EFFECT, values).await?
            }
        };
        Ok(rows == 1)
    }

    /// What is there; none when it has just been forgotten. Locked, so that it stays as it is.
    pub(crate) async fn stored(&self, tx: &Tx<'_>) -> Result<Option<Stored>> {
        let lock = match tx.backend() {
            Backend::Postgres => " FOR UPDATE",
            Backend::Sqlite => "",
        };
        let row = match self {
            Self::Request(key) => tx.row(&format!("{SELECT_CLAIM}{lock}"), key_values(key)).await?,
            Self::Effect { key, .. } => {
                let sql = "SELECT fingerprint, outcome, 'DONE' AS state FROM effects WHERE effect_key = $1";
                tx.row(sql, vec![(*key).into()]).await?
            }
        };
        row.map(Stored::read).transpose()
    }

    /// The answer, as [`super::encode`] makes it.
    pub(crate) async fn store(&self, tx: &Tx<'_>, outcome: &[u8]) -> Result<()> {
        let rows = match self {
            Self::Request(key) => {
                let mut values = key_values(key);
                values.push(outcome.to_vec().into());
                let sql = "UPDATE claims SET outcome = $4 WHERE principal = $1 AND rpc = $2 AND key = $3";
                tx.run(sql, values).await?
            }
            Self::Effect { key, .. } => {
                let sql = "UPDATE effects SET outcome = $2 WHERE effect_key = $1";
                tx.run(sql, vec![(*key).into(), outcome.to_vec().into()]).await?
            }
        };
        if rows == 1 { Ok(()) } else { Err(Fault::internal("a claim of this transaction is gone")) }
    }
}

impl Draft<'_> {
    /// `$7` to `$13` of the insert.
    fn values(&self) -> [Value; 7] {
        match self {
            Self::AtOnce => [
                "DONE".into(),
                Value::Uuid(None),
                Value::String(None),
                Value::Bytes(None),
                Value::Bytes(None),
                Value::Uuid(None),
                0_i64.into(),
            ],
            Self::Saga(saga) => [
                "RUNNING".into(),
                saga.id.into(),
                saga.ids.into(),
                saga.payload.to_vec().into(),
                saga.actor.to_vec().into(),
                saga.owner.into(),
                saga.lease_until_ms.into(),
            ],
        }
    }
}

impl Stored {
    fn read(row: QueryResult) -> Result<Self> {
        let fingerprint = row.try_get("", "fingerprint").or_fault()?;
        let state: String = row.try_get("", "state").or_fault()?;
        let state = match state.as_str() {
            "DONE" => State::Done(row.try_get("", "outcome").or_fault()?),
            _ => State::Running(row),
        };
        Ok(Self { fingerprint, state })
    }

    /// Whether it is of the same request.
    pub(crate) fn check(&self, slot: &Slot<'_>) -> Result<()> {
        if self.fingerprint == slot.fingerprint() { Ok(()) } else { Err(reused()) }
    }

    /// The answer given before; none while it runs.
    pub(crate) fn answer(self, slot: &Slot<'_>) -> Result<Option<Outcome>> {
        self.check(slot)?;
        match self.state {
            State::Done(outcome) => Ok(Some(Outcome::again(decode(&outcome)?))),
            State::Running(_) => Ok(None),
        }
    }
}

pub(crate) async fn purge(tx: &Tx<'_>, max: u32) -> Result<u64> {
    tx.run(PURGE, vec![tx.now().unix_ms().into(), i64::from(max).into()]).await
}

fn key_values(key: &RequestKey) -> Vec<Value> {
    vec![key.principal.as_str().into(), key.rpc.as_str().into(), key.key.as_str().into()]
}
