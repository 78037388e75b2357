//! Connecting: waits for a database that is not there yet, opens SQLite with the settings that make a commit durable.

use crate::claims::Registry;
use crate::{DatabaseSettings, OrFault as _};
use beem_clock::{Clock, Entropy};
use beem_fault::{Fault, Result};
use beem_sealing::Sealing;
use sea_orm::{DatabaseBackend, DatabaseConnection, SqlxPostgresConnector, SqlxSqliteConnector};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use uuid::Uuid;

/// How long anyone waits for a free connection before the answer is `unavailable`.
pub(crate) const ACQUIRE_PATIENCE: Duration = Duration::from_secs(5);
/// SQLite's own wait for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// One attempt to connect.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Back-off between attempts, doubling from the first to the second.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is tried before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Which of the two databases it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    Postgres,
    Sqlite,
}

impl Backend {
    /// sea-orm's enum has a third, which is not compiled in.
    pub(crate) const fn of(backend: DatabaseBackend) -> Self {
        match backend {
            DatabaseBackend::Sqlite => Self::Sqlite,
            _ => Self::Postgres,
        }
    }
}

/// An open database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    pub(crate) inner: Arc<Inner>,
    pub(crate) sealing: Option<Sealing>,
}

pub(crate) struct Inner {
    pub(crate) backend: Backend,
    pub(crate) readers: DatabaseConnection,
    pub(crate) writer: DatabaseConnection,
    /// One permit per transaction under way: one on SQLite, which has one writer.
    pub(crate) writers: Arc<Semaphore>,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) announced: Notify,
    /// This process's claims and sagas under way.
    pub(crate) registry: Registry,
    /// Names this process among the owners of leases.
    pub(crate) process: Uuid,
}

impl Database {
    /// Opens the database, waiting for it as long as the settings say. Drop the future to stop waiting.
    ///
    /// # Errors
    /// `validation-failed` for settings that cannot work; `unavailable` when patience ran out, or at once when an SQLite
    /// file cannot be opened.
    pub async fn connect(settings: &DatabaseSettings, clock: Clock, entropy: Entropy) -> Result<Self> {
        settings.validate()?;
        let connections = settings.max_connections;
        let (backend, readers, writer, permits) = if let Some(path) = settings.url.strip_prefix("sqlite:") {
            let (readers, writer) = open_sqlite(path.strip_prefix("//").unwrap_or(path), connections).await?;
            (Backend::Sqlite, readers, writer, 1)
        } else {
            let pool = open_postgres(settings).await?;
            (Backend::Postgres, pool.clone(), pool, usize::try_from(connections).unwrap_or(1))
        };
        let process = beem_ids::draw(clock.now(), &entropy);
        let writers = Arc::new(Semaphore::new(permits));
        let registry = Registry::default();
        let announced = Notify::new();
        Ok(Self {
            inner: Arc::new(Inner {
                backend,
                readers,
                writer,
                writers,
                clock,
                entropy,
                announced,
                registry,
                process,
            }),
            sealing: None,
        })
    }

    /// The same database with keys for what is stored sealed: [`crate::claims::once_secret`] and the sagas that say
    /// [`crate::sagas::Saga::secret`].
    #[must_use]
    pub fn sealed_by(self, sealing: Sealing) -> Self {
        Self { sealing: Some(sealing), ..self }
    }

    #[must_use]
    pub fn backend(&self) -> Backend {
        self.inner.backend
    }

    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    #[must_use]
    pub fn entropy(&self) -> &Entropy {
        &self.inner.entropy
    }

    /// A connection to read with; on SQLite it cannot write. Not inside [`Database::write`]: the transaction would wait
    /// for a second connection while it holds one.
    #[must_use]
    pub fn read(&self) -> &DatabaseConnection {
        &self.inner.readers
    }

    /// Closes every connection, waiting for those in use.
    pub async fn close(&self) {
        for pool in [&self.inner.readers, &self.inner.writer] {
            if let Err(error) = pool.close_by_ref().await {
                tracing::warn!(%error, "a database pool did not close");
            }
        }
    }

    /// Whether the database answers: for readiness probes.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn ping(&self) -> Result<()> {
        self.inner.readers.ping().await.or_fault()
    }
}

async fn open_sqlite(path: &str, connections: u32) -> Result<(DatabaseConnection, DatabaseConnection)> {
    make_private(Path::new(path)).map_err(|e| Fault::unavailable(format!("{path}: {e}")))?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .disable_statement_logging();
    // The writer opens first: it makes the file a WAL database, which a reader may not.
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_PATIENCE)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.clone())
        .await
        .map_err(Fault::unavailable)?;
    let readers = SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_PATIENCE)
        .test_before_acquire(false)
        .connect_lazy_with(options.pragma("query_only", "ON"));
    Ok((
        SqlxSqliteConnector::from_sqlx_sqlite_pool(readers),
        SqlxSqliteConnector::from_sqlx_sqlite_pool(writer),
    ))
}

/// The file exists and only its owner may read it; SQLite gives its `-wal` and `-shm` the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

async fn open_postgres(settings: &DatabaseSettings) -> Result<DatabaseConnection> {
    let options: PgConnectOptions =
        settings.url.parse().map_err(|_| Fault::field("url", "not a connection string of PostgreSQL"))?;
    let options = options
        .application_name("beem")
        // A process that hangs inside a transaction must not hold its locks for ever.
        .options([
            ("default_transaction_isolation", "read committed"),
            ("idle_in_transaction_session_timeout", "30s"),
        ])
        .disable_statement_logging();
    wait_until_it_answers(&options, settings.connect_patience_s).await?;
    let pool = PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .acquire_timeout(ACQUIRE_PATIENCE)
        // Trying a connection before each use is a round trip; only one that idled may have gone stale.
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move { Ok(about.idle_for < TRUSTED_IDLE || connection.ping().await.is_ok()) })
        })
        .connect_lazy_with(options);
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

/// Tries until it answers; says so once when it is away and once when it is back.
async fn wait_until_it_answers(options: &PgConnectOptions, patience_s: u32) -> Result<()> {
    let give_up = (patience_s > 0).then(|| Instant::now() + Duration::from_secs(patience_s.into()));
    let mut wait = FIRST_WAIT;
    let mut away = false;
    loop {
        let error = match tokio::time::timeout(ATTEMPT, options.connect()).await {
            Ok(Ok(connection)) => {
                // The probe is done with; whether it says goodbye in time does not matter.
                drop(connection.close().await);
                if away {
                    tracing::info!("the database answers");
                }
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::PoolTimedOut,
        };
        if !std::mem::replace(&mut away, true) {
            tracing::warn!(%error, host = options.get_host(), "waiting for the database");
        }
        if give_up.is_some_and(|at| Instant::now() + wait > at) {
            return Err(Fault::unavailable(error));
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
