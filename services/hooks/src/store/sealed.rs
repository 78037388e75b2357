//! What of the hooks' keys is sealed, to be sealed anew after a rotation of sealing keys.

use super::keys::Column;
use super::{bytes, garbled, id};
use beem_database::{Database, OrFault as _, Sql, Tx};
use beem_fault::Result;
use beem_ids::HookId;
use beem_sealing::Sealing;
use sea_orm::QueryResult;

/// Bytes 2 to 9 of a sealed value name its key (see [`beem_sealing`]).
fn key_of(column: Column) -> String {
    format!("substr({}, 2, 8)", column.as_str())
}

/// Seals at most `max` values of the column anew; how many. What is under a key that is not held stays as it is.
///
/// # Errors
/// `internal` when one does not open; as the database says.
pub async fn reseal(db: &Database, sealing: &Sealing, column: Column, max: u32) -> Result<u64> {
    let current = sealing.current_id();
    let Some(previous) = sealing.key_ids().into_iter().find(|id| *id != current) else { return Ok(0) };
    let previous = &previous.as_bytes().to_vec();
    db.write(|tx| Box::pin(reseal_within(tx, sealing, column, previous, max))).await
}

async fn reseal_within(
    tx: &Tx<'_>,
    sealing: &Sealing,
    column: Column,
    previous: &[u8],
    max: u32,
) -> Result<u64> {
    let (name, key_of) = (column.as_str(), key_of(column));
    let sql = format!(
        "SELECT hook, number, {name} AS sealed FROM hook_keys WHERE {key_of} = $1 ORDER BY hook, number LIMIT $2"
    );
    // A value never changes but here: whoever else seals it anew meanwhile has done what is wanted.
    let update = format!("UPDATE hook_keys SET {name} = $4 WHERE hook = $1 AND number = $2 AND {name} = $3");
    let mut resealed = 0_u64;
    for row in tx.rows(&sql, vec![previous.to_vec().into(), i64::from(max).into()]).await? {
        let (hook, number, old) = read(&row)?;
        let context = column.context(hook, u64::try_from(number).map_err(|_| garbled("number of keys"))?);
        let Some(new) = sealing.reseal(&context, &old, tx.entropy())? else { continue };
        let changed = tx.run(&update, vec![hook.0.into(), number.into(), old.into(), new.into()]).await?;
        resealed = resealed.saturating_add(changed);
    }
    Ok(resealed)
}

/// How many values of the column are under another key than the current one.
///
/// # Errors
/// As the database says.
pub async fn left(on: &impl Sql, sealing: &Sealing, column: Column) -> Result<u64> {
    let sql = format!("SELECT count(*) AS n FROM hook_keys WHERE {} <> $1", key_of(column));
    let row = on.row(&sql, vec![sealing.current_id().as_bytes().to_vec().into()]).await?;
    let n = row.map(|row| row.try_get::<i64>("", "n").or_fault()).transpose()?.unwrap_or_default();
    Ok(u64::try_from(n).unwrap_or_default())
}

fn read(row: &QueryResult) -> Result<(HookId, i64, Vec<u8>)> {
    Ok((HookId(id(row, "hook")?), row.try_get("", "number").or_fault()?, bytes(row, "sealed")?))
}
