//! The one row that says which installation this is, and which key its secrets are sealed under.

use super::garbled;
use crate::domain::{Environment, Installation};
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::{Fault, Result};
use beem_ids::InstallationId;
use beem_sealing::{KeyId, Sealing};

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

/// Notes the key that seals at the first start; later, that the key noted is still held. A lost key is not replaced in
/// silence: what is sealed under it would be lost with it, second factors first.
///
/// # Errors
/// `internal` when the key noted is not among those held.
pub async fn hold_key(db: &Database, sealing: &Sealing) -> Result<()> {
    let noted = db.write(|tx| Box::pin(read_or_note(tx, sealing.current_id()))).await?;
    if sealing.key_ids().iter().any(|held| held.to_string() == noted) {
        return Ok(());
    }
    Err(Fault::internal(format!(
        "secrets are sealed under key {noted}, which is not among sealing.keys: put it back, or restore the key file that \
         belongs to this data"
    )))
}

async fn read_or_note(tx: &Tx<'_>, current: KeyId) -> Result<String> {
    let note = "UPDATE installation SET sealing_key = $1 WHERE sealing_key IS NULL";
    tx.run(note, vec![current.to_string().into()]).await?;
    let row = tx.row("SELECT sealing_key FROM installation", vec![]).await?;
    row.ok_or_else(|| garbled("installation"))?.try_get("", "sealing_key").or_fault()
}

/// Notes the key that everything is sealed under now.
///
/// # Errors
/// As the database says.
pub async fn note_key(db: &Database, key: KeyId) -> Result<()> {
    let sql = "UPDATE installation SET sealing_key = $1 WHERE sealing_key <> $1";
    db.write(|tx| Box::pin(async move { tx.run(sql, vec![key.to_string().into()]).await.map(drop) })).await
}
