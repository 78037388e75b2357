//! The one row that says what this ledger is for. The ledger keeps it itself, so that its books can never be those of a
//! sandbox one day and live the next, whatever the services around it are told.

use super::garbled;
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::{Fault, Result};
use beem_settings::Environment;

/// Reads the environment, and writes it at the first start: the one wanted, a sandbox by default. Processes that start at
/// the same time agree on the first one's.
///
/// # Errors
/// `internal` when another environment is wanted than the stored one: an installation is never moved. `internal` when the
/// row is gone and ledger accounts are there: books that were live must not become those of a sandbox.
pub async fn open(db: &Database, wanted: Option<Environment>) -> Result<Environment> {
    let stored = db.write(|tx| Box::pin(read_or_write(tx, wanted.unwrap_or(Environment::Sandbox)))).await?;
    match wanted {
        Some(wanted) if wanted != stored => Err(Fault::internal(format!(
            "this installation was made as {stored} and cannot be started as {wanted}: use another data directory or database"
        ))),
        Some(_) | None => Ok(stored),
    }
}

async fn read_or_write(tx: &Tx<'_>, environment: Environment) -> Result<Environment> {
    // One statement: another process that starts at the same time writes its row before it opens accounts, so whoever sees
    // these sees that as well.
    let insert = "INSERT INTO installation (one_row, environment, created_ms) SELECT $1, $2, $3
        WHERE NOT EXISTS (SELECT 1 FROM ledger_accounts) ON CONFLICT (one_row) DO NOTHING";
    tx.run(insert, vec![1_i64.into(), environment.as_str().into(), tx.now().unix_ms().into()]).await?;
    let row = tx.row("SELECT environment FROM installation", vec![]).await?;
    let row = row.ok_or_else(|| {
        Fault::internal("there are ledger accounts and nothing says of which environment: the row of `installation` was taken out")
    })?;
    let stored: String = row.try_get("", "environment").or_fault()?;
    stored.parse().map_err(|_| garbled("environment"))
}
