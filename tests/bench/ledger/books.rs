//! The tables of a ledger, from behind: wallets by the thousand, and millions of entries that happened before.

use beem_clock::Clock;
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _, SqliteConnection};
use std::fmt::Write as _;
use std::str::FromStr as _;
use std::time::Duration;
use uuid::Uuid;

/// Whose all wallets are.
pub const ACCOUNT: &str = "01900000-0000-7000-8000-00000000be00";
pub const CURRENCY: &str = "USD";
pub const WALLETS: u32 = 10_000;

/// Rows of one statement.
const CHUNK: usize = 500;
/// In the history each wallet gives to the one so many places after it.
const DISTANCE: u32 = 37;
/// Rounds of history, in each of which every wallet gives once and receives once, in one statement a table.
const ROUNDS: u64 = 25;

/// SQLite has one writer at a time, and the service is one, too.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
pub enum Books {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Books {
    pub async fn open(url: &str) -> Result<Self, String> {
        let opened = if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url).map_err(|e| e.to_string())?;
            SqliteConnection::connect_with(&options.busy_timeout(PATIENCE)).await.map(Self::Sqlite)
        } else {
            PgConnection::connect(url).await.map(Self::Postgres)
        };
        opened.map_err(|e| format!("{url}: {e}"))
    }

    /// Opens the wallets as the service would, each with nothing in it; their ids.
    pub async fn open_wallets(&mut self) -> Result<Vec<String>, String> {
        let created_ms = Clock::System.now().unix_ms();
        let owner: Uuid = ACCOUNT.parse().map_err(|_| "no account")?;
        let ids: Vec<Uuid> = (0..WALLETS).map(|n| wallet(created_ms, n)).collect();
        for chunk in ids.chunks(CHUNK) {
            let (mut accounts, mut balances) = (String::new(), String::new());
            for id in chunk {
                let comma = if accounts.is_empty() { "" } else { "," };
                let genesis = self.bytes(&genesis(id, &owner, created_ms));
                let (id, owner) = (self.bytes(id.as_bytes()), self.bytes(owner.as_bytes()));
                let _ = write!(
                    accounts,
                    "{comma}({id}, {owner}, 'WALLET', '{CURRENCY}', '', 'bench', {created_ms})"
                );
                let _ = write!(
                    balances,
                    "{comma}({id}, {owner}, '{CURRENCY}', '0', '0', '0', 0, {genesis}, {created_ms})"
                );
            }
            self.run(format!(
                "INSERT INTO ledger_accounts (id, owner, purpose, currency, network, name, created_ms) VALUES {accounts}"
            ))
            .await?;
            self.run(format!(
                "INSERT INTO balances (ledger_account_id, owner, currency, total, reserved, floor, sequence, hash, time_ms)
                 VALUES {balances}"
            ))
            .await?;
        }
        Ok(ids.iter().map(Uuid::to_string).collect())
    }

    /// What has happened in funded wallets until now: transfers in their order of time, two entries each, an effect each.
    /// Sequences, times and running values are as the service would have made them; hashes only look so. PostgreSQL only;
    /// the number of transfers.
    pub async fn grow(&mut self, entries: u64) -> Result<u64, String> {
        let there = self.number("SELECT count(*) FROM entries").await?;
        let a_round = 2 * u64::from(WALLETS);
        let rounds = entries.saturating_sub(there).div_ceil(a_round);
        self.run("SET synchronous_commit = off".to_owned()).await?;
        self.run(format!(
            "CREATE TEMPORARY TABLE turn AS
             WITH w AS (
                SELECT b.ledger_account_id AS id, b.total, b.sequence, b.time_ms,
                    row_number() OVER (ORDER BY b.ledger_account_id)::int - 1 AS n
                FROM balances b WHERE b.owner IS NOT NULL)
             SELECT g.n, g.id AS debit_id, t.id AS credit_id, g.sequence AS debit_base, t.sequence AS credit_base,
                g.total AS debit_total, t.total AS credit_total,
                -- Whoever is far enough along has received in this round before it gives.
                CASE WHEN g.n >= {DISTANCE} THEN 2 ELSE 1 END AS debit_step,
                CASE WHEN g.n >= {DISTANCE} THEN 0 ELSE -1 END AS debit_after,
                CASE WHEN t.n >= {DISTANCE} THEN 1 ELSE 2 END AS credit_step,
                CASE WHEN t.n >= {DISTANCE} THEN 1 ELSE 0 END AS credit_after,
                (SELECT max(time_ms) FROM w) AS began_ms
             FROM w g JOIN w t ON t.n = (g.n + {DISTANCE}) % {WALLETS}"
        ))
        .await?;
        for first in (0..rounds).step_by(usize::try_from(ROUNDS).unwrap_or(1)) {
            let last = (first + ROUNDS).min(rounds);
            for sql in history(first, last) {
                self.run(sql).await?;
            }
        }
        // The newest entry of each wallet is what its balance says.
        self.run(
            "UPDATE balances b SET sequence = e.sequence, hash = e.hash, time_ms = e.time_ms, total = e.total
             FROM turn t CROSS JOIN LATERAL (
                SELECT * FROM entries WHERE ledger_account_id = t.debit_id ORDER BY time_ms DESC, sequence DESC LIMIT 1) e
             WHERE b.ledger_account_id = t.debit_id"
                .to_owned(),
        )
        .await?;
        self.run("DROP TABLE turn".to_owned()).await?;
        self.settle().await?;
        Ok(rounds * u64::from(WALLETS))
    }

    /// What a database does by itself some time after so many rows came.
    pub async fn settle(&mut self) -> Result<(), String> {
        if matches!(self, Self::Postgres(_)) {
            self.run("VACUUM ANALYZE".to_owned()).await?;
            self.run("CHECKPOINT".to_owned()).await?;
        }
        Ok(())
    }

    pub async fn entries(&mut self) -> Result<u64, String> {
        self.number("SELECT count(*) FROM entries").await
    }

    pub async fn transfers(&mut self) -> Result<u64, String> {
        self.number("SELECT count(*) FROM transfers").await
    }

    async fn number(&mut self, sql: &'static str) -> Result<u64, String> {
        let number: Result<i64, sqlx::Error> = match self {
            Self::Sqlite(connection) => connection.fetch_one(sql).await.and_then(|row| row.try_get(0)),
            Self::Postgres(connection) => connection.fetch_one(sql).await.and_then(|row| row.try_get(0)),
        };
        u64::try_from(number.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
    }

    async fn run(&mut self, sql: String) -> Result<(), String> {
        let query = AssertSqlSafe(sql);
        let done = match self {
            Self::Sqlite(connection) => connection.execute(query).await.map(drop),
            Self::Postgres(connection) => connection.execute(query).await.map(drop),
        };
        done.map_err(|e| e.to_string())
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        let digits = hex::encode(bytes);
        match self {
            Self::Sqlite(_) => format!("X'{digits}'"),
            Self::Postgres(_) if bytes.len() == 16 => format!("'{digits}'"),
            Self::Postgres(_) => format!("'\\x{digits}'"),
        }
    }
}

/// Rounds `first` to `last`, a thousand transfers a millisecond: statements over `turn`.
fn history(first: u64, last: u64) -> [String; 4] {
    let last = last - 1;
    // Number, time and id of each transfer; `r` is the round.
    let moves = format!(
        "WITH m AS (
            SELECT t.*, r, r * {WALLETS} + t.n AS number, began_ms + (r * {WALLETS} + t.n) / 1000 AS ms
            FROM generate_series({first}, {last}) AS r CROSS JOIN turn t),
         s AS (
            SELECT m.*, (lpad(to_hex(ms), 12, '0') || '7' || substr(md5(number::text), 1, 3) || '8'
                || substr(md5(number::text), 4, 15))::uuid AS id
            FROM m)"
    );
    let entry = |side: &str, sign: &str| {
        format!(
            "{moves} INSERT INTO entries (ledger_account_id, time_ms, sequence, kind, subject_id, amount, reserved_change,
                total, reserved, hash)
             SELECT {side}_id, ms, {side}_base + 2 * r + {side}_step, 'PAYMENT_IN', id, {sign}1, 0,
                {side}_total + {side}_after, 0, sha256(('{side}' || number)::bytea)
             FROM s ORDER BY number"
        )
    };
    [
        format!(
            "{moves} INSERT INTO transfers (id, effect_key, debit_id, debit_sequence, credit_id, credit_sequence, currency, amount, kind,
                reference, cause_type, cause_id, counter_currency, counter_amount, rate, time_ms)
             SELECT id, 'history:' || number, debit_id, debit_base + 2 * r + debit_step, credit_id, credit_base + 2 * r + credit_step, '{CURRENCY}',
                1, 'PAYMENT_IN', 'bench', 'payment', 'history-' || number, NULL, NULL, NULL, ms
             FROM s ORDER BY number"
        ),
        entry("debit", "-"),
        entry("credit", ""),
        format!(
            "{moves} INSERT INTO effects (effect_key, fingerprint, outcome, created_ms)
             SELECT 'PostBatches:history:' || number, sha256(number::text::bytea),
                (SELECT outcome FROM effects ORDER BY created_ms LIMIT 1), ms
             FROM s ORDER BY number"
        ),
    ]
}

/// The id of wallet `n`: a UUID v7 of its creation.
fn wallet(created_ms: i64, n: u32) -> Uuid {
    let ms = u64::try_from(created_ms).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(ms, &{
        let mut rest = [0; 10];
        for (to, from) in rest.iter_mut().skip(6).zip(n.to_be_bytes()) {
            *to = from;
        }
        rest
    })
    .into_uuid()
}

/// Where a wallet's chain begins, as services/ledger has it: fields with their lengths before them.
fn genesis(id: &Uuid, owner: &Uuid, created_ms: i64) -> [u8; 32] {
    let mut digest = Sha256::new();
    let created = created_ms.to_be_bytes();
    let fields: [&[u8]; 9] = [
        b"beem.ledger.v1 account",
        id.as_bytes(),
        b"+",
        owner.as_bytes(),
        b"WALLET",
        CURRENCY.as_bytes(),
        b"",
        b"bench",
        &created,
    ];
    for field in fields {
        digest.update(u64::try_from(field.len()).unwrap_or(0).to_be_bytes());
        digest.update(field);
    }
    digest.finalize().into()
}
