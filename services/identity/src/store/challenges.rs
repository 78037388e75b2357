//! What a right password is answered with: good for five minutes and five codes, for nothing but the second step.

use crate::domain::{Token, TokenHash};
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::Result;
use beem_ids::PrincipalId;

const LIFE_MS: i64 = 5 * 60 * 1000;

/// Codes judged under one challenge at most.
const CODES: i64 = 5;

/// A new one for the user.
///
/// # Errors
/// As the database says.
pub async fn issue(tx: &Tx<'_>, user: PrincipalId) -> Result<Token> {
    let (token, now) = (Token::draw(tx.entropy()), tx.now());
    let sql = "INSERT INTO challenges (token_hash, user_id, created_ms, expires_ms, failures)
               VALUES ($1, $2, $3, $4, 0)";
    let values = vec![
        token.hash().to_vec().into(),
        user.0.into(),
        now.unix_ms().into(),
        now.plus_ms(LIFE_MS).unix_ms().into(),
    ];
    tx.run(sql, values).await.map(|_| token)
}

/// Counts a code against it before that is judged, and says whose it is; None when it is unknown, over, or has had enough.
///
/// # Errors
/// As the database says.
pub async fn try_once(tx: &Tx<'_>, hash: &TokenHash) -> Result<Option<PrincipalId>> {
    let sql = "UPDATE challenges SET failures = failures + 1
               WHERE token_hash = $1 AND expires_ms > $2 AND failures < $3 RETURNING user_id";
    let values = vec![hash.to_vec().into(), tx.now().unix_ms().into(), CODES.into()];
    let row = tx.row(sql, values).await?;
    row.map(|row| row.try_get("", "user_id").or_fault().map(PrincipalId)).transpose()
}

/// It is used up; whether it was still there.
///
/// # Errors
/// As the database says.
pub async fn consume(tx: &Tx<'_>, hash: &TokenHash) -> Result<bool> {
    let sql = "DELETE FROM challenges WHERE token_hash = $1 AND expires_ms > $2";
    Ok(tx.run(sql, vec![hash.to_vec().into(), tx.now().unix_ms().into()]).await? == 1)
}

/// None of the user's counts any more: the password they were given for does not either.
///
/// # Errors
/// As the database says.
pub async fn revoke_all(tx: &Tx<'_>, user: PrincipalId) -> Result<()> {
    tx.run("DELETE FROM challenges WHERE user_id = $1", vec![user.0.into()]).await.map(drop)
}

/// Forgets at most `max` that are over; how many it was.
///
/// # Errors
/// As the database says.
pub async fn purge(db: &Database, max: u32) -> Result<u64> {
    let sql = "DELETE FROM challenges WHERE token_hash IN
               (SELECT token_hash FROM challenges WHERE expires_ms <= $1 LIMIT $2)";
    super::purge(db, sql, 0, max).await
}
