//! Migrations: hand-written SQL per back end, in order, each in one transaction under a lock. Our own, not
//! sea-orm-migration's: that has no lock against a second process and brings in sea-schema.

use crate::{Backend, Database, OrFault as _, Sql as _, Tx};
use beem_fault::{Fault, Result};
use sea_orm::ConnectionTrait as _;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// One step of a schema. Its text never changes once released: write the next one.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Unique in the service, as in `claims-1`.
    pub name: &'static str,
    /// Statements for PostgreSQL, separated by semicolons.
    pub postgres: &'static str,
    /// The same for SQLite.
    pub sqlite: &'static str,
}

/// `pg_advisory_xact_lock` of whoever migrates: "beemmigr" in ASCII.
const LOCK: i64 = 0x6265_656d_6d69_6772;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (
    name TEXT PRIMARY KEY, digest TEXT NOT NULL, applied_ms BIGINT NOT NULL)";

impl Database {
    /// Brings the schema up to date. Several processes may do so at the same time.
    ///
    /// # Errors
    /// `internal` when the database has a migration that is not in the list (a newer release was here), when one that
    /// was applied has another text now, or when one fails: it and those after it are not applied.
    pub async fn migrate(&self, migrations: &[Migration]) -> Result<()> {
        for (place, migration) in migrations.iter().enumerate() {
            if migrations.iter().skip(place + 1).any(|later| later.name == migration.name) {
                return Err(Fault::internal(format!("two migrations are called {}", migration.name)));
            }
        }
        self.write(|tx| Box::pin(async move { check(tx, migrations).await.map(drop) })).await?;
        for migration in migrations {
            let fresh = self.write(|tx| Box::pin(apply(tx, migrations, migration))).await?;
            if fresh {
                tracing::info!(migration = migration.name, "applied a migration");
            }
        }
        Ok(())
    }
}

impl Database {
    /// The names of the migrations that were applied, in the order of their names; none before the first start.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn migrations(&self) -> Result<Vec<String>> {
        let exists = match self.backend() {
            Backend::Postgres => "SELECT 1 FROM pg_tables WHERE tablename = 'migrations'",
            Backend::Sqlite => "SELECT 1 FROM sqlite_master WHERE name = 'migrations'",
        };
        if self.read().rows(exists, vec![]).await?.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.read().rows("SELECT name FROM migrations ORDER BY name", vec![]).await?;
        rows.iter().map(|row| row.try_get("", "name").or_fault()).collect()
    }
}

/// Whether it was not there before.
async fn apply(tx: &Tx<'_>, all: &[Migration], migration: &Migration) -> Result<bool> {
    // Looked up again under the lock: another process may have just done it.
    if check(tx, all).await?.contains_key(migration.name) {
        return Ok(false);
    }
    tx.execute_unprepared(text(tx.backend(), migration)).await.or_fault()?;
    let values =
        vec![migration.name.into(), digest(tx.backend(), migration).into(), tx.now().unix_ms().into()];
    tx.run("INSERT INTO migrations (name, digest, applied_ms) VALUES ($1, $2, $3)", values).await?;
    Ok(true)
}

/// Takes the lock, makes the table, and answers what was applied if all of it is known.
async fn check(tx: &Tx<'_>, all: &[Migration]) -> Result<HashMap<String, String>> {
    match tx.backend() {
        Backend::Postgres => {
            tx.run("SELECT pg_advisory_xact_lock($1)", vec![LOCK.into()]).await?;
            tx.execute_unprepared(TABLE).await.or_fault()?;
        }
        // IMMEDIATE: the writer's lock is ours already.
        Backend::Sqlite => {
            let strict = format!("{} STRICT", TABLE.replace("BIGINT", "INTEGER"));
            tx.execute_unprepared(&strict).await.or_fault()?;
        }
    }
    let mut applied = HashMap::new();
    for row in tx.rows("SELECT name, digest FROM migrations ORDER BY name", vec![]).await? {
        let (name, stored): (String, String) =
            (row.try_get("", "name").or_fault()?, row.try_get("", "digest").or_fault()?);
        let Some(known) = all.iter().find(|m| m.name == name) else {
            return Err(Fault::internal(format!(
                "the database has migration {name}, which this release does not know: a newer release was here"
            )));
        };
        if digest(tx.backend(), known) != stored {
            return Err(Fault::internal(format!("migration {name} was applied with another text")));
        }
        applied.insert(name, stored);
    }
    Ok(applied)
}

const fn text(backend: Backend, migration: &Migration) -> &'static str {
    match backend {
        Backend::Postgres => migration.postgres,
        Backend::Sqlite => migration.sqlite,
    }
}

fn digest(backend: Backend, migration: &Migration) -> String {
    let sum = Sha256::digest(text(backend, migration).as_bytes());
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}
