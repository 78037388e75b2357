//! The tables `claims` and `effects` and the statements on them.

use super::vault::{note_key, sealed_by};
use super::{ClaimName, Outcome, RETENTION_MS, RequestKey, decode, encode, encode_sealed, reused};
use crate::{Backend, Migration, OrFault as _, Sql, Tx};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_clock::Moment;
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

/// Under which key the sealed parts of a claim are (see [`super::vault`]).
pub const SEALED: Migration = Migration {
    name: "claims-2",
    postgres: "
        ALTER TABLE claims ADD COLUMN sealed_by BYTEA;
        CREATE INDEX claims_sealed ON claims (sealed_by) WHERE sealed_by IS NOT NULL;",
    sqlite: "
        ALTER TABLE claims ADD COLUMN sealed_by BLOB;
        CREATE INDEX claims_sealed ON claims (sealed_by) WHERE sealed_by IS NOT NULL;",
};

/// A key past its time is as good as none, so the insert takes its row over.
const INSERT_CLAIM: &str = "
    INSERT INTO claims (principal, rpc, key, fingerprint, created_ms, expires_ms,
        state, saga_id, ids, payload, actor, owner, attempts, lease_until_ms, sealed_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, $13, $14)
    ON CONFLICT (principal, rpc, key) DO UPDATE SET
        fingerprint = excluded.fingerprint, created_ms = excluded.created_ms, expires_ms = excluded.expires_ms,
        state = excluded.state, outcome = NULL, saga_id = excluded.saga_id, ids = excluded.ids,
        payload = excluded.payload, actor = excluded.actor, owner = excluded.owner, attempts = 1,
        lease_until_ms = excluded.lease_until_ms, sealed_by = excluded.sealed_by
    WHERE claims.state = 'DONE' AND claims.expires_ms <= excluded.created_ms";

const INSERT_EFFECT: &str = "
    INSERT INTO effects (effect_key, fingerprint, created_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

const SELECT_CLAIM: &str = "
    SELECT principal, rpc, key, fingerprint, state, outcome, sealed_by,
        saga_id, ids, payload, actor, owner, attempts, lease_until_ms
    FROM claims WHERE principal = $1 AND rpc = $2 AND key = $3";

const THIS_CLAIM: &str = "principal = $1 AND rpc = $2 AND key = $3";

const KNOWN: &str = "
    SELECT 1 AS one FROM claims WHERE principal = $1 AND rpc = $2 AND key = $3 AND (state <> 'DONE' OR expires_ms > $4)";

const PURGE: &str = "
    DELETE FROM claims WHERE (principal, rpc, key) IN (
        SELECT principal, rpc, key FROM claims WHERE state = 'DONE' AND expires_ms <= $1 LIMIT $2)";

/// Where the answer is kept.
pub(crate) enum Slot<'a> {
    Request { key: &'a RequestKey, secret: bool },
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
            Self::Request { key: k, .. } => format!("request\0{}\0{}\0{}", k.principal, k.rpc, k.key),
            Self::Effect { key, .. } => format!("effect\0{key}"),
        }
    }

    fn fingerprint(&self) -> &[u8; 32] {
        match self {
            Self::Request { key, .. } => &key.fingerprint,
            Self::Effect { fingerprint, .. } => fingerprint,
        }
    }

    /// Whether the key was free and is ours now. Waits while another transaction holds it.
    pub(crate) async fn insert(&self, tx: &Tx<'_>, draft: &Draft<'_>) -> Result<bool> {
        let now_ms = tx.now().unix_ms();
        let rows = match self {
            Self::Request { key, secret } => {
                let at_rest = if *secret { draft.sealed(tx, key)? } else { draft.plain(key) };
                let mut values: Vec<Value> = key_values(key);
                values.push(at_rest.fingerprint.into());
                values.extend([now_ms.into(), now_ms.saturating_add(RETENTION_MS).into()]);
                values.extend(draft.values(at_rest.ids, at_rest.payload));
                values.push(at_rest.sealed_by.into());
                tx.run(INSERT_CLAIM, values).await?
            }
            Self::Effect { key, fingerprint } => {
                let values = vec![(*key).into(), fingerprint.to_vec().into(), now_ms.into()];
                tx.run(INSERT_EFFECT, values).await?
            }
        };
        Ok(rows == 1)
    }

    /// # Errors
    /// As [`decode`].
    pub(crate) fn decode(&self, tx: &Tx<'_>, outcome: &[u8]) -> Result<Result<Vec<u8>>> {
        let context = match self {
            Self::Request { key, .. } => key.name().column("outcome"),
            // Never sealed.
            Self::Effect { .. } => String::new(),
        };
        decode(outcome, tx.vault(), &context)
    }

    /// What is there; none when it has just been forgotten. Locked, so that it stays as it is.
    pub(crate) async fn stored(&self, tx: &Tx<'_>) -> Result<Option<Stored>> {
        let lock = match tx.backend() {
            Backend::Postgres => " FOR UPDATE",
            Backend::Sqlite => "",
        };
        let row = match self {
            Self::Request { key, .. } => tx.row(&format!("{SELECT_CLAIM}{lock}"), key_values(key)).await?,
            Self::Effect { key, .. } => {
                let sql = "SELECT fingerprint, outcome, 'DONE' AS state FROM effects WHERE effect_key = $1";
                tx.row(sql, vec![(*key).into()]).await?
            }
        };
        row.map(|row| self.read(tx, row)).transpose()
    }

    fn read(&self, tx: &Tx<'_>, row: QueryResult) -> Result<Stored> {
        let mut fingerprint: Vec<u8> = row.try_get("", "fingerprint").or_fault()?;
        // What is there may have been stored as another kind than this one asks for, by another release.
        if let Self::Request { key, .. } = self
            && row.try_get::<Option<Vec<u8>>>("", "sealed_by").or_fault()?.is_some()
        {
            let plain = tx.vault().open(&key.name().column("fingerprint"), &fingerprint)?;
            fingerprint = plain.to_vec();
        }
        let state: String = row.try_get("", "state").or_fault()?;
        let state = match state.as_str() {
            "DONE" => State::Done(row.try_get("", "outcome").or_fault()?),
            _ => State::Running(row),
        };
        Ok(Stored { fingerprint, state })
    }

    pub(crate) async fn store(&self, tx: &Tx<'_>, result: &Result<Vec<u8>>) -> Result<()> {
        let rows = match self {
            Self::Request { key, secret } => {
                let outcome = if *secret {
                    encode_sealed(result, tx.vault(), &key.name().column("outcome"))?
                } else {
                    encode(result)?
                };
                note_key(tx, &outcome, THIS_CLAIM, key_values(key)).await?;
                let mut values = key_values(key);
                values.push(outcome.into());
                tx.run(&format!("UPDATE claims SET outcome = $4 WHERE {THIS_CLAIM}"), values).await?
            }
            Self::Effect { key, .. } => {
                let sql = "UPDATE effects SET outcome = $2 WHERE effect_key = $1";
                tx.run(sql, vec![(*key).into(), encode(result)?.into()]).await?
            }
        };
        if rows == 1 { Ok(()) } else { Err(Fault::internal("a claim of this transaction is gone")) }
    }
}

impl RequestKey {
    pub(crate) fn name(&self) -> ClaimName {
        ClaimName::of(&self.principal, &self.rpc, &self.key)
    }
}

/// What a claim may hold of a secret, as it is stored.
struct AtRest {
    fingerprint: Vec<u8>,
    ids: Option<String>,
    payload: Option<Vec<u8>>,
    sealed_by: Option<Vec<u8>>,
}

impl Draft<'_> {
    const fn saga(&self) -> Option<&NewSaga<'_>> {
        match self {
            Self::AtOnce => None,
            Self::Saga(saga) => Some(saga),
        }
    }

    fn plain(&self, key: &RequestKey) -> AtRest {
        AtRest {
            fingerprint: key.fingerprint.to_vec(),
            ids: self.saga().map(|saga| saga.ids.to_owned()),
            payload: self.saga().map(|saga| saga.payload.to_vec()),
            sealed_by: None,
        }
    }

    fn sealed(&self, tx: &Tx<'_>, key: &RequestKey) -> Result<AtRest> {
        let (name, vault) = (key.name(), tx.vault());
        let seal = |column: &str, plain: &[u8]| vault.seal(&name.column(column), plain);
        let fingerprint = seal("fingerprint", &key.fingerprint)?;
        let ids = self.saga().map(|saga| seal("ids", saga.ids.as_bytes())).transpose()?;
        let payload = self.saga().map(|saga| seal("payload", saga.payload)).transpose()?;
        let parts = std::iter::once(&fingerprint).chain(&ids).chain(&payload);
        let sealed_by = sealed_by(parts.map(|part| beem_sealing::key_of(part)));
        // A column of text.
        let ids = ids.map(|sealed| STANDARD.encode(sealed));
        Ok(AtRest { fingerprint, ids, payload, sealed_by: Some(sealed_by) })
    }

    /// `$7` to `$13` of the insert.
    fn values(&self, ids: Option<String>, payload: Option<Vec<u8>>) -> [Value; 7] {
        match self {
            Self::AtOnce => [
                "DONE".into(),
                Value::Uuid(None),
                ids.into(),
                payload.into(),
                Value::Bytes(None),
                Value::Uuid(None),
                0_i64.into(),
            ],
            Self::Saga(saga) => [
                "RUNNING".into(),
                saga.id.into(),
                ids.into(),
                payload.into(),
                saga.actor.to_vec().into(),
                saga.owner.into(),
                saga.lease_until_ms.into(),
            ],
        }
    }
}

impl Stored {
    /// Whether it is of the same request.
    pub(crate) fn check(&self, slot: &Slot<'_>) -> Result<()> {
        if self.fingerprint == slot.fingerprint() { Ok(()) } else { Err(reused()) }
    }

    /// The answer given before; none while it runs.
    pub(crate) fn answer(self, tx: &Tx<'_>, slot: &Slot<'_>) -> Result<Option<Outcome>> {
        self.check(slot)?;
        match self.state {
            State::Done(outcome) => Ok(Some(Outcome::again(slot.decode(tx, &outcome)?))),
            State::Running(_) => Ok(None),
        }
    }
}

pub(crate) async fn purge(tx: &Tx<'_>, max: u32) -> Result<u64> {
    tx.run(PURGE, vec![tx.now().unix_ms().into(), i64::from(max).into()]).await
}

/// A key past its time is as good as none.
pub(crate) async fn is_known(on: &impl Sql, key: &RequestKey, now: Moment) -> Result<bool> {
    let mut values = key_values(key);
    values.push(now.unix_ms().into());
    Ok(on.row(KNOWN, values).await?.is_some())
}

fn key_values(key: &RequestKey) -> Vec<Value> {
    vec![key.principal.as_str().into(), key.rpc.as_str().into(), key.key.as_str().into()]
}
