//! What a right password is answered with: good for five minutes and five codes, for nothing but the second step.

use crate::domain::{Token, TokenHash};
use beem_clock::Moment;
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::Result;
use beem_ids::PrincipalId;
use sea_orm::{ConnectionTrait, QueryResult};
use std::net::IpAddr;

const LIFE_MS: i64 = 5 * 60 * 1000;

/// Codes judged under one challenge at most.
const CODES: i64 = 5;

/// A right password, waiting for the second step.
#[derive(Clone, Copy, Debug)]
pub struct Challenge {
    pub user: PrincipalId,
    /// From where the password came.
    pub address: IpAddr,
    /// Whether that counted as a try from a place the mail address is known at.
    pub known: bool,
}

const COLUMNS: &str = "user_id, address, known";

/// A new one.
///
/// # Errors
/// As the database says.
pub async fn issue(tx: &Tx<'_>, challenge: &Challenge) -> Result<Token> {
    let (token, now) = (Token::draw(tx.entropy()), tx.now());
    let sql = "INSERT INTO challenges (token_hash, user_id, address, known, created_ms, expires_ms, failures)
               VALUES ($1, $2, $3, $4, $5, $6, 0)";
    let values = vec![
        token.hash().to_vec().into(),
        challenge.user.0.into(),
        challenge.address.to_string().into(),
        challenge.known.into(),
        now.unix_ms().into(),
        now.plus_ms(LIFE_MS).unix_ms().into(),
    ];
    tx.run(sql, values).await.map(|_| token)
}

/// One that a code may be judged under; None when it is unknown, over, or has had enough.
///
/// # Errors
/// As the database says.
pub async fn find(on: &impl ConnectionTrait, hash: &TokenHash, now: Moment) -> Result<Option<Challenge>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM challenges WHERE token_hash = $1 AND expires_ms > $2 AND failures < $3"
    );
    let row = on.row(&sql, vec![hash.to_vec().into(), now.unix_ms().into(), CODES.into()]).await?;
    row.as_ref().map(read).transpose()
}

/// Counts a code against it before that is judged; None as for [`find`].
///
/// # Errors
/// As the database says.
pub async fn try_once(tx: &Tx<'_>, hash: &TokenHash) -> Result<Option<Challenge>> {
    let sql = format!(
        "UPDATE challenges SET failures = failures + 1
        WHERE token_hash = $1 AND expires_ms > $2 AND failures < $3 RETURNING {COLUMNS}"
    );
    let values = vec![hash.to_vec().into(), tx.now().unix_ms().into(), CODES.into()];
    tx.row(&sql, values).await?.as_ref().map(read).transpose()
}

fn read(row: &QueryResult) -> Result<Challenge> {
    let address: String = row.try_get("", "address").or_fault()?;
    Ok(Challenge {
        user: PrincipalId(row.try_get("", "user_id").or_fault()?),
        address: address.parse().map_err(|_| super::garbled("challenge's address"))?,
        known: row.try_get("", "known").or_fault()?,
    })
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
