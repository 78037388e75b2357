//! Where users have signed in from lately: tries from there are counted apart, so that nobody elsewhere can keep a user out.

use crate::domain::Place;
use beem_clock::Moment;
use beem_database::{Database, Sql as _, Tx};
use beem_fault::Result;
use beem_ids::PrincipalId;
use sea_orm::ConnectionTrait;

/// A place stays known so long after it was last signed in from.
pub const KNOWN_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Whether anybody with the address (folded) has signed in from there lately.
///
/// # Errors
/// As the database says.
pub async fn is_known_to_address(
    on: &impl ConnectionTrait,
    folded: &str,
    place: Place,
    now: Moment,
) -> Result<bool> {
    let sql = "SELECT 1 AS known FROM known_places p JOIN users u ON u.id = p.user_id
               WHERE u.email_folded = $1 AND u.deleted_ms IS NULL AND p.place = $2 AND p.used_ms > $3 LIMIT 1";
    let values = vec![folded.into(), place.to_string().into(), now.plus_ms(-KNOWN_MS).unix_ms().into()];
    Ok(on.row(sql, values).await?.is_some())
}

/// Whether this user has.
///
/// # Errors
/// As the database says.
pub async fn is_known(
    on: &impl ConnectionTrait,
    user: PrincipalId,
    place: Place,
    now: Moment,
) -> Result<bool> {
    let sql = "SELECT 1 AS known FROM known_places WHERE user_id = $1 AND place = $2 AND used_ms > $3";
    let values = vec![user.0.into(), place.to_string().into(), now.plus_ms(-KNOWN_MS).unix_ms().into()];
    Ok(on.row(sql, values).await?.is_some())
}

/// The user has shown there who it is.
///
/// # Errors
/// As the database says.
pub async fn remember(tx: &Tx<'_>, user: PrincipalId, place: Place) -> Result<()> {
    let sql = "INSERT INTO known_places (user_id, place, used_ms) VALUES ($1, $2, $3)
               ON CONFLICT (user_id, place) DO UPDATE SET used_ms = excluded.used_ms";
    let values = vec![user.0.into(), place.to_string().into(), tx.now().unix_ms().into()];
    tx.run(sql, values).await.map(drop)
}

/// Forgets at most `max` places that were long not signed in from; how many it was.
///
/// # Errors
/// As the database says.
pub async fn purge(db: &Database, max: u32) -> Result<u64> {
    let sql = "DELETE FROM known_places WHERE (user_id, place) IN
               (SELECT user_id, place FROM known_places WHERE used_ms <= $1 LIMIT $2)";
    super::purge(db, sql, KNOWN_MS, max).await
}
