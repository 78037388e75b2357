//! The one row that says which installation this is.

use super::garbled;
use crate::domain::{Environment, Installation};
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::{Fault, Result};
use beem_ids::InstallationId;

/// Reads the installation, and writes it at the first start: in the environment wanted, a sandbox by default. Processes
/// that start at the same time agree on the first one's.
///
/// # Errors
/// `internal` when another environment is wanted than the stored one: an installation is never moved.
pub async fn open(db: &Database, wanted: Option<Environment>) -> Result<Installation> {
    let stored = db.write(|tx| Box::pin(read_or_write(tx, wanted.unwrap_or(Environment::Sandbox)))).await?;
    match wanted {
        Some(wanted) if wanted != stored.environment => Err(Fault::internal(format!(
            "this installation was made as {} and cannot be started as {wanted}: use another data directory or database",
            stored.environment
        ))),
        Some(_) | None => Ok(stored),
    }
}

async fn read_or_write(tx: &Tx<'_>, environment: Environment) -> Result<Installation> {
    let id = InstallationId::draw(tx.now(), tx.entropy());
    let insert = "INSERT INTO installation (singleton, id, environment, created_ms) VALUES ($1, $2, $3, $4)
        ON CONFLICT (singleton) DO NOTHING";
    let values = vec![true.into(), id.0.into(), environment.as_str().into(), tx.now().unix_ms().into()];
    tx.run(insert, values).await?;
    let row = tx.row("SELECT id, environment FROM installation", vec![]).await?;
    let row = row.ok_or_else(|| garbled("installation"))?;
    let environment: String = row.try_get("", "environment").or_fault()?;
    Ok(Installation {
        id: InstallationId(row.try_get("", "id").or_fault()?),
        environment: environment.parse().map_err(|_| garbled("environment"))?,
    })
}
