//! The one row that says which key secrets are sealed under, and the row that events are counted in.

use super::{bytes, garbled};
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::{Fault, Result};
use beem_sealing::{KeyId, Sealing};

/// Writes both at the first start, with the key that seals; later sees that the key noted is still held. A lost key is not
/// replaced in silence: the keys of every hook would be lost with it.
///
/// # Errors
/// `internal` when the key noted is not among those held; as the database says.
pub async fn open(db: &Database, sealing: &Sealing) -> Result<()> {
    let noted = db.write(|tx| Box::pin(read_or_write(tx, sealing.current_id()))).await?;
    if sealing.key_ids().iter().any(|held| held.to_string() == noted) {
        return Ok(());
    }
    Err(Fault::internal(format!(
        "secrets are sealed under key {noted}, which is not among sealing.keys: put it back, or restore the key file that \
         belongs to this data"
    )))
}

async fn read_or_write(tx: &Tx<'_>, current: KeyId) -> Result<String> {
    let write = "INSERT INTO installation (one_row, created_ms, sealing_key) VALUES (1, $1, $2)
        ON CONFLICT (one_row) DO NOTHING";
    tx.run(write, vec![tx.now().unix_ms().into(), current.to_string().into()]).await?;
    tx.run("INSERT INTO intake (one_row, head) VALUES (1, 0) ON CONFLICT (one_row) DO NOTHING", vec![])
        .await?;
    let row = tx.row("SELECT sealing_key FROM installation", vec![]).await?;
    row.ok_or_else(|| garbled("installation"))?.try_get("", "sealing_key").or_fault()
}

/// The key of the tokens that pulls go on with, drawn at the first start. It is not sealed: all that it hides is in this
/// database, and a token outlasts the key that would seal it.
///
/// # Errors
/// As the database says.
pub async fn pull_key(db: &Database) -> Result<[u8; 32]> {
    db.write(|tx| Box::pin(read_or_draw(tx))).await
}

async fn read_or_draw(tx: &Tx<'_>) -> Result<[u8; 32]> {
    let write = "UPDATE installation SET pull_key = $1 WHERE pull_key IS NULL";
    tx.run(write, vec![tx.entropy().bytes::<32>().to_vec().into()]).await?;
    let row = tx.row("SELECT pull_key FROM installation", vec![]).await?;
    let key = bytes(&row.ok_or_else(|| garbled("installation"))?, "pull_key")?;
    key.try_into().map_err(|_| garbled("key of pulls"))
}

/// Notes the key that everything is sealed under now.
///
/// # Errors
/// As the database says.
pub async fn note_key(db: &Database, key: KeyId) -> Result<()> {
    let sql = "UPDATE installation SET sealing_key = $1 WHERE sealing_key <> $1";
    db.write(|tx| Box::pin(async move { tx.run(sql, vec![key.to_string().into()]).await.map(drop) })).await
}
