//! What of the people's tables is sealed, to be sealed anew after a rotation of keys.

use super::credentials::{links_totp, users_totp};
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::Result;
use beem_ids::PrincipalId;
use beem_sealing::Sealing;
use sea_orm::{ConnectionTrait, QueryResult};
use uuid::Uuid;

/// A column of sealed second factors. In both tables `user_id` and the value find the row.
#[derive(Clone, Copy, Debug)]
pub enum Column {
    Users,
    Links,
}

impl Column {
    pub const ALL: [Self; 2] = [Self::Users, Self::Links];

    const fn table(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Links => "links",
        }
    }

    const fn user(self) -> &'static str {
        match self {
            Self::Users => "id",
            Self::Links => "user_id",
        }
    }

    fn context(self, user: PrincipalId) -> String {
        match self {
            Self::Users => users_totp(user),
            Self::Links => links_totp(user),
        }
    }
}

/// Bytes 2 to 9 of a sealed value name its key (see `beem_sealing`).
const KEY_OF: &str = "substr(totp, 2, 8)";

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
    let (table, user) = (column.table(), column.user());
    let sql = format!("SELECT {user} AS user_id, totp FROM {table} WHERE {KEY_OF} = $1 ORDER BY 1 LIMIT $2");
    let mut resealed = 0_u64;
    for row in tx.rows(&sql, vec![previous.to_vec().into(), i64::from(max).into()]).await? {
        let (id, old) = read(&row)?;
        let Some(new) = sealing.reseal(&column.context(PrincipalId(id)), &old, tx.entropy())? else {
            continue;
        };
        // A value that was replaced meanwhile is under the current key already.
        let sql = format!("UPDATE {table} SET totp = $3 WHERE {user} = $1 AND totp = $2");
        let changed = tx.run(&sql, vec![id.into(), old.into(), new.into()]).await?;
        resealed = resealed.saturating_add(changed);
    }
    Ok(resealed)
}

/// How many values of the column are under another key than the current one.
///
/// # Errors
/// As the database says.
pub async fn left(on: &impl ConnectionTrait, sealing: &Sealing, column: Column) -> Result<u64> {
    let sql = format!("SELECT count(*) AS n FROM {} WHERE {KEY_OF} <> $1", column.table());
    let row = on.row(&sql, vec![sealing.current_id().as_bytes().to_vec().into()]).await?;
    let n = row.map(|row| row.try_get::<i64>("", "n").or_fault()).transpose()?.unwrap_or_default();
    Ok(u64::try_from(n).unwrap_or_default())
}

fn read(row: &QueryResult) -> Result<(Uuid, Vec<u8>)> {
    Ok((row.try_get("", "user_id").or_fault()?, row.try_get("", "totp").or_fault()?))
}
