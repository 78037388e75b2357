//! Links that were mailed, or handed out to be confirmed: one live of each purpose for a user. Issuing kills the earlier
//! one, using takes the row away.

use crate::domain::{Token, TokenHash};
use beem_clock::Moment;
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::Result;
use beem_ids::{PrincipalId, SessionId};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

/// What a link is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Sets password and second factor: invitations, and resets of the second factor.
    Activation,
    /// Sets a new password.
    Reset,
    /// Confirms a renewed second factor; not mailed.
    Renewal,
}

impl Purpose {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Activation => "ACTIVATION",
            Self::Reset => "RESET",
            Self::Renewal => "RENEWAL",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Activation, Self::Reset, Self::Renewal].into_iter().find(|purpose| purpose.as_str() == text)
    }

    /// For how long a link is good: 72 hours (3.1), an hour, ten minutes.
    #[must_use]
    pub const fn life_ms(self) -> i64 {
        match self {
            Self::Activation => 72 * 60 * 60 * 1000,
            Self::Reset => 60 * 60 * 1000,
            Self::Renewal => 10 * 60 * 1000,
        }
    }
}

/// A new link for the user, in place of an earlier one of this purpose. `session` is the one that asked, for a renewal. To be
/// the first write of a transaction that changes the user too: whoever uses a link up takes the two in this order.
///
/// # Errors
/// As the database says.
pub async fn issue(
    tx: &Tx<'_>,
    user: PrincipalId,
    purpose: Purpose,
    session: Option<SessionId>,
) -> Result<Token> {
    let token = Token::draw(tx.entropy());
    let now = tx.now().unix_ms();
    // One statement, so that two at once come one after the other.
    let sql = "INSERT INTO links (token_hash, user_id, purpose, created_ms, expires_ms, session_id)
               VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (user_id, purpose) DO UPDATE SET token_hash = excluded.token_hash,
                   created_ms = excluded.created_ms, expires_ms = excluded.expires_ms,
                   session_id = excluded.session_id, password_hash = NULL, totp = NULL";
    let values = vec![
        token.hash().to_vec().into(),
        user.0.into(),
        purpose.as_str().into(),
        now.into(),
        now.saturating_add(purpose.life_ms()).into(),
        session.map(|s| s.0).into(),
    ];
    tx.run(sql, values).await.map(|_| token)
}

/// The user's link of this purpose ends, if there is one.
///
/// # Errors
/// As the database says.
pub async fn revoke(tx: &Tx<'_>, user: PrincipalId, purpose: Purpose) -> Result<()> {
    let sql = "DELETE FROM links WHERE user_id = $1 AND purpose = $2";
    tx.run(sql, vec![user.0.into(), purpose.as_str().into()]).await.map(drop)
}

/// All of the user's links end.
///
/// # Errors
/// As the database says.
pub async fn revoke_all(tx: &Tx<'_>, user: PrincipalId) -> Result<()> {
    tx.run("DELETE FROM links WHERE user_id = $1", vec![user.0.into()]).await.map(drop)
}

/// A link as its holder finds it.
#[derive(Clone)]
pub struct Link {
    pub user: PrincipalId,
    pub purpose: Purpose,
    /// What [`propose`] put in: PHC string of the password to be.
    pub password_hash: Option<String>,
    /// The second factor to be, sealed.
    pub totp: Option<Vec<u8>>,
    /// The session that asked for it.
    pub session: Option<SessionId>,
}

/// The link of a token; None when it is unknown, used, replaced or past its time.
///
/// # Errors
/// As the database says.
pub async fn find(on: &impl ConnectionTrait, hash: &TokenHash, now: Moment) -> Result<Option<Link>> {
    let sql = "SELECT user_id, purpose, password_hash, totp, session_id FROM links
               WHERE token_hash = $1 AND expires_ms > $2";
    let row = on.row(sql, vec![hash.to_vec().into(), now.unix_ms().into()]).await?;
    let Some(row) = row else { return Ok(None) };
    let purpose: String = row.try_get("", "purpose").or_fault()?;
    Ok(Some(Link {
        user: PrincipalId(row.try_get("", "user_id").or_fault()?),
        purpose: Purpose::parse(&purpose).ok_or_else(|| super::garbled("link's purpose"))?,
        password_hash: row.try_get("", "password_hash").or_fault()?,
        totp: row.try_get("", "totp").or_fault()?,
        session: row.try_get::<Option<Uuid>>("", "session_id").or_fault()?.map(SessionId),
    }))
}

/// What is to count once it is confirmed, in place of what was proposed before; false when the link has ended.
///
/// # Errors
/// As the database says.
pub async fn propose(
    tx: &Tx<'_>,
    hash: &TokenHash,
    password_hash: Option<&str>,
    sealed_totp: Vec<u8>,
) -> Result<bool> {
    let sql = "UPDATE links SET password_hash = $2, totp = $3 WHERE token_hash = $1 AND expires_ms > $4";
    let values = vec![
        hash.to_vec().into(),
        password_hash.map(str::to_owned).into(),
        sealed_totp.into(),
        tx.now().unix_ms().into(),
    ];
    Ok(tx.run(sql, values).await? == 1)
}

/// Uses the link up, just as it was found; false when it has ended, or something else was proposed, meanwhile.
///
/// # Errors
/// As the database says.
pub async fn consume(tx: &Tx<'_>, hash: &TokenHash, found: &Link) -> Result<bool> {
    let now = tx.now().unix_ms();
    let deleted = match &found.totp {
        None => {
            let sql = "DELETE FROM links WHERE token_hash = $1 AND expires_ms > $2 AND totp IS NULL";
            tx.run(sql, vec![hash.to_vec().into(), now.into()]).await?
        }
        Some(totp) => {
            let sql = "DELETE FROM links WHERE token_hash = $1 AND expires_ms > $2 AND totp = $3";
            tx.run(sql, vec![hash.to_vec().into(), now.into(), totp.clone().into()]).await?
        }
    };
    Ok(deleted == 1)
}

/// Forgets at most `max` that are past their time; how many it was.
///
/// # Errors
/// As the database says.
pub async fn purge(db: &Database, max: u32) -> Result<u64> {
    let sql = "DELETE FROM links WHERE token_hash IN (SELECT token_hash FROM links WHERE expires_ms <= $1 LIMIT $2)";
    super::purge(db, sql, 0, max).await
}
