//! Many users, clients and sessions, written into the databases of a running installation as copies of one that was made
//! through the public API: what they hold and may is the model's, ids and addresses are their own. Nobody could sign in
//! as a copied user past the first step, as a second factor is sealed for its own row.

use beem_clock::{Clock, Entropy};
use beem_tests::Rig;
use beem_tests::rig::Shape;
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use std::fmt::Write as _;

/// Rows of one statement, where each is written out.
const CHUNK: usize = 500;

/// Recovery codes of a user, as an activation makes them.
const RECOVERY_CODES: u32 = 10;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// A session's longest life.
const SESSION_MS: i64 = 12 * 60 * 60 * 1000;

/// Both databases of an installation.
pub struct Tables {
    identity: Database,
    authz: Database,
    /// Creation of copy 0; copy n was made n milliseconds later.
    first_ms: i64,
}

enum Database {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Copies of one model. `kind` tells their ids from those of other lots, and is below 4096.
pub struct Lot<'a> {
    pub kind: u16,
    pub model: &'a str,
    pub count: usize,
}

impl Tables {
    pub async fn open(rig: &Rig) -> Result<Self, String> {
        let at = |service: &str| match &rig.shape {
            Shape::Embedded(embedded) => {
                Ok(format!("sqlite:{}", embedded.data_dir().join(format!("{service}.sqlite")).display()))
            }
            Shape::Clustered(cluster) => {
                cluster.database(service).map(str::to_owned).ok_or_else(|| format!("no database {service}"))
            }
        };
        let (identity, authz) =
            (Database::open(&at("identity")?).await?, Database::open(&at("authz")?).await?);
        Ok(Self { identity, authz, first_ms: Clock::System.now().unix_ms() - DAY_MS })
    }

    /// The id of copy `n` of a lot, which counts from 1: a UUID v7 of its creation.
    pub fn id(&self, kind: u16, n: usize) -> String {
        let ms = self.first_ms + i64::try_from(n).unwrap_or(i64::MAX);
        let ms = format!("{ms:012x}");
        let (high, low) = ms.split_at(8);
        format!("{high}-{low}-7{kind:03x}-8000-{n:012x}")
    }

    /// Users like the model, each with a session of a token that nobody has, and recovery codes where the model has them.
    pub async fn copy_users(&mut self, lot: &Lot<'_>) -> Result<(), String> {
        let Lot { kind, model, count } = lot;
        let ids = self.identity.id(self.first_ms, *kind);
        let (model, first) = (self.identity.uuid(model), self.first_ms);
        let users = format!(
            "{} INSERT INTO users (id, account_id, email, email_folded, first_name, last_name, network_whitelist, made,
                password_hash, totp, totp_step, credential_version, changing, created_by, created_ms, activated_ms,
                deleted_ms, signed_in_ms, signed_in_address)
             SELECT {ids}, u.account_id, 'copy' || n || '@lot{kind}.example', 'copy' || n || '@lot{kind}.example',
                u.first_name, u.last_name, u.network_whitelist, u.made, u.password_hash, u.totp, u.totp_step,
                u.credential_version, NULL, u.created_by, {first} + n, u.activated_ms, NULL, u.signed_in_ms,
                u.signed_in_address
             FROM s, users u WHERE u.id = {model}",
            series(*count)
        );
        self.identity.run(users).await?;
        let hash = self.identity.random_hash();
        let codes = format!(
            "{}, c(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM c WHERE k < {RECOVERY_CODES})
             INSERT INTO recovery_codes (user_id, code_hash) SELECT {ids}, {hash} FROM s, c
             WHERE EXISTS (SELECT 1 FROM recovery_codes r WHERE r.user_id = {model})",
            series(*count)
        );
        self.identity.run(codes).await?;
        let expires = Clock::System.now().unix_ms() + SESSION_MS;
        let sessions = format!(
            "{} INSERT INTO sessions (id, token_hash, user_id, account_id, created_ms, expires_ms, used_ms, address,
                user_agent, ended_ms)
             SELECT {ids}, {hash}, {ids}, u.account_id, {first} + n, {expires}, {first} + n, '10.0.0.1', '', NULL
             FROM s, users u WHERE u.id = {model} AND u.activated_ms IS NOT NULL",
            series(*count)
        );
        self.identity.run(sessions).await?;
        self.copy_standings(lot).await
    }

    /// Clients like the model, with its key: [`Tables::id`] of the kind after theirs is a copy's keyid.
    pub async fn copy_clients(&mut self, lot: &Lot<'_>) -> Result<(), String> {
        let Lot { kind, model, count } = lot;
        let ids = self.identity.id(self.first_ms, *kind);
        let keyids = self.identity.id(self.first_ms, kind + 1);
        let (model, first) = (self.identity.uuid(model), self.first_ms);
        let clients = format!(
            "{} INSERT INTO clients (id, client_id, account_id, name, network_whitelist, public_key, key_algorithm,
                key_fingerprint, credential_version, created_by, created_ms)
             SELECT {ids}, {keyids}, c.account_id, 'copy ' || n, c.network_whitelist, c.public_key, c.key_algorithm,
                c.key_fingerprint, c.credential_version, c.created_by, {first} + n
             FROM s, clients c WHERE c.id = {model}",
            series(*count)
        );
        self.identity.run(clients).await?;
        let uses = format!(
            "{} INSERT INTO client_uses (principal_id, first_ms, first_address, last_ms, last_address)
             SELECT {ids}, {first}, '10.0.0.1', {first}, '10.0.0.1' FROM s",
            series(*count)
        );
        self.identity.run(uses).await?;
        self.copy_standings(lot).await
    }

    async fn copy_standings(&mut self, lot: &Lot<'_>) -> Result<(), String> {
        let (ids, model) = (self.authz.id(self.first_ms, lot.kind), self.authz.uuid(lot.model));
        let standings = format!(
            "{} INSERT INTO standings (principal_id, account_id, kind, enabled, deleted, roles, version,
                credential_version, published_version, created_by, rekeyed_by, granted_by, created_ms, changed_ms, active)
             SELECT {ids}, t.account_id, t.kind, t.enabled, t.deleted, t.roles, t.version, t.credential_version, t.version,
                t.created_by, t.rekeyed_by, t.granted_by, {} + n, {} + n, t.active
             FROM s, standings t WHERE t.principal_id = {model}",
            series(lot.count),
            self.first_ms,
            self.first_ms
        );
        self.authz.run(standings).await
    }

    /// Sessions of copies of users, in turn; their tokens, good for twelve hours.
    pub async fn sessions(&mut self, users: &Lot<'_>, count: usize) -> Result<Vec<String>, String> {
        let tokens: Vec<String> = (0..count).map(|_| token()).collect();
        let now = Clock::System.now().unix_ms();
        let (account, model) = (self.identity.account_of(users.model), users.count.max(1));
        for (at, chunk) in tokens.chunks(CHUNK).enumerate() {
            let mut rows = String::new();
            for (n, token) in chunk.iter().enumerate() {
                let n = at * CHUNK + n;
                let user = self.identity.uuid(&self.id(users.kind, n % model + 1));
                let id = self.identity.uuid(&self.id(SESSIONS, n + 1));
                let hash = self.identity.bytes(&Sha256::digest(token.as_bytes()));
                let comma = if rows.is_empty() { "" } else { "," };
                let (expires, agent) = (now + SESSION_MS, "bench");
                let _ = write!(
                    rows,
                    "{comma} ({id}, {hash}, {user}, {account}, {now}, {expires}, {now}, '10.0.0.1', '{agent}')"
                );
            }
            let insert =
                "INSERT INTO sessions (id, token_hash, user_id, account_id, created_ms, expires_ms, used_ms,
                address, user_agent) VALUES";
            self.identity.run(format!("{insert} {rows}")).await?;
        }
        Ok(tokens)
    }

    /// What a database does by itself some time after so many rows came.
    pub async fn settle(&mut self) -> Result<(), String> {
        for database in [&mut self.identity, &mut self.authz] {
            if matches!(database, Database::Postgres(_)) {
                database.run("VACUUM ANALYZE".to_owned()).await?;
            }
        }
        Ok(())
    }
}

/// The kind of ids of sessions whose tokens are known.
const SESSIONS: u16 = 4095;

/// The address of copy `n` of a lot of users.
pub fn email(kind: u16, n: usize) -> String {
    format!("copy{n}@lot{kind}.example")
}

/// A token as the service draws them: 256 bits in base64url without padding.
pub fn token() -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(Entropy::System.bytes::<32>())
}

/// `s(n)`: 1 to `count`, or nothing.
fn series(count: usize) -> String {
    format!(
        "WITH RECURSIVE s(n) AS (SELECT 1 WHERE {count} > 0 UNION ALL SELECT n + 1 FROM s WHERE n < {count})"
    )
}

impl Database {
    async fn open(url: &str) -> Result<Self, String> {
        let opened = if url.starts_with("sqlite:") {
            SqliteConnection::connect(url).await.map(Self::Sqlite)
        } else {
            PgConnection::connect(url).await.map(Self::Postgres)
        };
        opened.map_err(|e| e.to_string())
    }

    async fn run(&mut self, sql: String) -> Result<(), String> {
        let query = AssertSqlSafe(sql);
        let done = match self {
            Self::Sqlite(connection) => connection.execute(query).await.map(drop),
            Self::Postgres(connection) => connection.execute(query).await.map(drop),
        };
        done.map_err(|e| e.to_string())
    }

    /// The id of copy `n`, as an expression: what [`Tables::id`] says.
    fn id(&self, first_ms: i64, kind: u16) -> String {
        match self {
            Self::Sqlite(_) => {
                format!("unhex(printf('%012x', {first_ms} + n) || '7{kind:03x}8000' || printf('%012x', n))")
            }
            Self::Postgres(_) => format!(
                "(lpad(to_hex({first_ms} + n), 12, '0') || '7{kind:03x}8000' || lpad(to_hex(n), 12, '0'))::uuid"
            ),
        }
    }

    fn uuid(&self, id: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("X'{}'", id.replace('-', "")),
            Self::Postgres(_) => format!("'{id}'::uuid"),
        }
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        match self {
            Self::Sqlite(_) => format!("X'{}'", hex::encode(bytes)),
            Self::Postgres(_) => format!("'\\x{}'::bytea", hex::encode(bytes)),
        }
    }

    fn random_hash(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "randomblob(32)",
            Self::Postgres(_) => "sha256((n::text || random()::text)::bytea)",
        }
    }

    fn account_of(&self, user: &str) -> String {
        format!("(SELECT account_id FROM users WHERE id = {})", self.uuid(user))
    }
}
