//! The secret side of users: password, second factor, recovery codes, and what of a row decides whether they count. Changing
//! any of them ends what the earlier ones had begun.

use super::challenges;
use crate::domain::{RECOVERY_CODES, RecoveryHash, TotpKey, draw_recovery_code};
use crate::passwords::{Salt, digest};
use beem_database::{Backend, OrFault as _, Sql as _, Tx};
use beem_fault::{Fault, Result};
use beem_ids::PrincipalId;
use beem_sealing::Sealing;
use sea_orm::{ConnectionTrait, QueryResult};
use std::net::IpAddr;
use uuid::Uuid;

/// What an activated user proves itself with.
#[derive(Clone)]
pub struct Secrets {
    pub user: PrincipalId,
    /// PHC string.
    pub password_hash: String,
    sealed_totp: Vec<u8>,
    /// The last step a code was used of.
    pub totp_step: i64,
    /// Rises whenever anything of the user changes that a session stands on.
    pub credential_version: i64,
}

const COLUMNS: &str = "SELECT id, password_hash, totp, totp_step, credential_version FROM users
    WHERE made AND deleted_ms IS NULL AND password_hash IS NOT NULL AND totp IS NOT NULL";

impl Secrets {
    /// The second factor's key.
    ///
    /// # Errors
    /// `internal` when it does not open.
    pub fn totp(&self, sealing: &Sealing) -> Result<TotpKey> {
        let opened = sealing.open(&users_totp(self.user), &self.sealed_totp)?;
        TotpKey::from_bytes(&opened).ok_or_else(|| super::garbled("second factor"))
    }

    fn read(row: &QueryResult) -> Result<Self> {
        Ok(Self {
            user: PrincipalId(row.try_get("", "id").or_fault()?),
            password_hash: row.try_get("", "password_hash").or_fault()?,
            sealed_totp: row.try_get("", "totp").or_fault()?,
            totp_step: row.try_get("", "totp_step").or_fault()?,
            credential_version: row.try_get("", "credential_version").or_fault()?,
        })
    }
}

/// What a second factor in `users` is sealed for.
#[must_use]
pub fn users_totp(user: PrincipalId) -> String {
    format!("identity.users.totp:{user}")
}

/// What one in `links` is sealed for, until it is confirmed.
#[must_use]
pub fn links_totp(user: PrincipalId) -> String {
    format!("identity.links.totp:{user}")
}

/// Of one user; None when it is not activated, or deleted.
///
/// # Errors
/// As the database says.
pub async fn of(on: &impl ConnectionTrait, user: PrincipalId) -> Result<Option<Secrets>> {
    let row = on.row(&format!("{COLUMNS} AND id = $1"), vec![user.0.into()]).await?;
    row.as_ref().map(Secrets::read).transpose()
}

/// The same, locked until the transaction ends.
///
/// # Errors
/// As the database says.
pub async fn locked(tx: &Tx<'_>, user: PrincipalId) -> Result<Option<Secrets>> {
    let lock = match tx.backend() {
        Backend::Postgres => " FOR UPDATE",
        Backend::Sqlite => "",
    };
    let row = tx.row(&format!("{COLUMNS} AND id = $1{lock}"), vec![user.0.into()]).await?;
    row.as_ref().map(Secrets::read).transpose()
}

/// Of all users of an address (folded), whatever their accounts: only a sign-in asks so.
///
/// # Errors
/// As the database says.
pub async fn of_address(on: &impl ConnectionTrait, folded: &str) -> Result<Vec<Secrets>> {
    let rows = on.rows(&format!("{COLUMNS} AND email_folded = $1 ORDER BY id"), vec![folded.into()]).await?;
    rows.iter().map(Secrets::read).collect()
}

/// The salt that another user of the address (folded) has; None when there is none.
///
/// # Errors
/// As the database says.
pub async fn salt_of_another(
    on: &impl ConnectionTrait,
    folded: &str,
    user: PrincipalId,
) -> Result<Option<Salt>> {
    let others = of_address(on, folded).await?;
    Ok(others.iter().filter(|other| other.user != user).find_map(|other| Salt::of(&other.password_hash)))
}

/// What makes a second factor count.
pub struct NewFactor<'a> {
    pub key: &'a TotpKey,
    /// The step of the code that proved it: used.
    pub step: i64,
}

/// The user is active from now on, with this password and second factor; false when it is deleted.
///
/// # Errors
/// As the database says.
pub async fn activate(
    tx: &Tx<'_>,
    sealing: &Sealing,
    user: PrincipalId,
    password_hash: &str,
    factor: &NewFactor<'_>,
) -> Result<bool> {
    let sql = "UPDATE users SET password_hash = $2, totp = $3, totp_step = $4, activated_ms = $5
               WHERE id = $1 AND made AND deleted_ms IS NULL";
    let sealed = sealing.seal(&users_totp(user), factor.key.bytes(), tx.entropy());
    let values = vec![
        user.0.into(),
        password_hash.into(),
        sealed.into(),
        factor.step.into(),
        tx.now().unix_ms().into(),
    ];
    Ok(tx.run(sql, values).await? == 1)
}

/// An active user's second factor is another from now on; false when it is not active any more.
///
/// # Errors
/// As the database says.
pub async fn renew(
    tx: &Tx<'_>,
    sealing: &Sealing,
    user: PrincipalId,
    factor: &NewFactor<'_>,
) -> Result<bool> {
    let sql = "UPDATE users SET totp = $2, totp_step = $3
               WHERE id = $1 AND made AND deleted_ms IS NULL AND totp IS NOT NULL";
    let sealed = sealing.seal(&users_totp(user), factor.key.bytes(), tx.entropy());
    let renewed = tx.run(sql, vec![user.0.into(), sealed.into(), factor.step.into()]).await? == 1;
    challenges::revoke_all(tx, user).await?;
    Ok(renewed)
}

/// An active user's password is another from now on, in place of the one that `proven` is the digest of (None: whichever it
/// is); false when it is not that any more, or the user is not active any more.
///
/// # Errors
/// As the database says.
pub async fn set_password(
    tx: &Tx<'_>,
    user: PrincipalId,
    proven: Option<&str>,
    password_hash: &str,
) -> Result<bool> {
    let Some(secrets) = locked(tx, user).await? else { return Ok(false) };
    if proven.is_some_and(|proven| digest(&secrets.password_hash) != proven) {
        return Ok(false);
    }
    tx.run("UPDATE users SET password_hash = $2 WHERE id = $1", vec![user.0.into(), password_hash.into()])
        .await?;
    challenges::revoke_all(tx, user).await.map(|()| true)
}

/// Takes password, second factor, recovery codes and what was begun with them away. Whether it is to activate anew is the
/// caller's to say: a deleted user is not (see `users::deactivate`).
///
/// # Errors
/// As the database says.
pub async fn clear(tx: &Tx<'_>, user: PrincipalId) -> Result<()> {
    let sql = "UPDATE users SET password_hash = NULL, totp = NULL WHERE id = $1";
    tx.run(sql, vec![user.0.into()]).await?;
    challenges::revoke_all(tx, user).await?;
    tx.run("DELETE FROM recovery_codes WHERE user_id = $1", vec![user.0.into()]).await.map(drop)
}

/// Uses a step up; false when it, or a later one, was used meanwhile.
///
/// # Errors
/// As the database says.
pub async fn use_step(tx: &Tx<'_>, user: PrincipalId, step: i64) -> Result<bool> {
    let sql = "UPDATE users SET totp_step = $2 WHERE id = $1 AND totp_step < $2 AND totp IS NOT NULL";
    Ok(tx.run(sql, vec![user.0.into(), step.into()]).await? == 1)
}

/// Whether the user has this recovery code.
///
/// # Errors
/// As the database says.
pub async fn has_recovery_code(
    on: &impl ConnectionTrait,
    user: PrincipalId,
    code: &RecoveryHash,
) -> Result<bool> {
    let sql = "SELECT 1 AS found FROM recovery_codes WHERE user_id = $1 AND code_hash = $2";
    Ok(on.row(sql, vec![user.0.into(), code.to_vec().into()]).await?.is_some())
}

/// Uses a recovery code up; false when it was used meanwhile.
///
/// # Errors
/// As the database says.
pub async fn use_recovery_code(tx: &Tx<'_>, user: PrincipalId, code: &RecoveryHash) -> Result<bool> {
    let sql = "DELETE FROM recovery_codes WHERE user_id = $1 AND code_hash = $2";
    Ok(tx.run(sql, vec![user.0.into(), code.to_vec().into()]).await? == 1)
}

/// New recovery codes in place of the earlier ones, as they are shown once.
///
/// # Errors
/// As the database says.
pub async fn replace_recovery_codes(tx: &Tx<'_>, user: PrincipalId) -> Result<Vec<String>> {
    tx.run("DELETE FROM recovery_codes WHERE user_id = $1", vec![user.0.into()]).await?;
    let mut shown = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let (code, hash) = draw_recovery_code(tx.entropy());
        let sql = "INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, $2)";
        tx.run(sql, vec![user.0.into(), hash.to_vec().into()]).await?;
        shown.push(code);
    }
    Ok(shown)
}

/// Notes that the user signed in, from where.
///
/// # Errors
/// As the database says.
pub async fn signed_in(tx: &Tx<'_>, user: PrincipalId, address: IpAddr) -> Result<()> {
    let sql = "UPDATE users SET signed_in_ms = $2, signed_in_address = $3 WHERE id = $1";
    tx.run(sql, vec![user.0.into(), tx.now().unix_ms().into(), address.to_string().into()]).await.map(drop)
}

/// Notes the standing's credential version of a change that took nothing, in the transaction that carries it out, and locks
/// the user's row. False when a later version is noted already: then gateways may keep what they read under that, so this
/// change needs a version of its own. While a saga changes the user, gateways keep nothing of it; the version counts from
/// the saga's end on (see `changing::give_back`).
///
/// # Errors
/// `not-found`; as the database says.
pub async fn note_version(tx: &Tx<'_>, user: PrincipalId, version: u64) -> Result<bool> {
    let lock = match tx.backend() {
        Backend::Postgres => " FOR UPDATE",
        Backend::Sqlite => "",
    };
    let sql = format!("SELECT credential_version, changing FROM users WHERE id = $1{lock}");
    let row = tx.row(&sql, vec![user.0.into()]).await?.ok_or_else(|| Fault::not_found("user"))?;
    let version = i64::try_from(version).map_err(Fault::internal)?;
    if row.try_get::<i64>("", "credential_version").or_fault()? >= version {
        return Ok(false);
    }
    let sql = match row.try_get::<Option<Uuid>>("", "changing").or_fault()? {
        None => "UPDATE users SET credential_version = $2 WHERE id = $1",
        Some(_) => "UPDATE users SET noted_version = $2 WHERE id = $1 AND noted_version < $2",
    };
    tx.run(sql, vec![user.0.into(), version.into()]).await.map(|_| true)
}
