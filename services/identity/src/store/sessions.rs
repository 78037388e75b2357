//! Sessions of users. A token is looked up by its hash; a session that ended stays a while for the record.

use super::entities::sessions::{Column, Entity, Model};
use crate::domain::{Session, SessionLife, Token};
use beem_clock::Moment;
use beem_database::page::Page;
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::Result;
use beem_ids::{PrincipalId, SessionId};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _, Select,
};
use std::net::IpAddr;

/// For how long a session that ended is kept.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// A use is written when it is so much later than the one written before.
const NOTED_MS: i64 = 60 * 1000;

/// A new one, and its token.
///
/// # Errors
/// As the database says.
pub async fn insert(tx: &Tx<'_>, session: &Session) -> Result<Token> {
    let token = Token::draw(tx.entropy());
    let row = Model {
        id: session.id.0,
        token_hash: token.hash().to_vec(),
        user_id: session.user.0,
        account_id: session.account.0,
        created_ms: session.created.unix_ms(),
        expires_ms: session.expires.unix_ms(),
        used_ms: session.used.unix_ms(),
        address: session.address.to_string(),
        user_agent: session.user_agent.clone(),
        ended_ms: session.ended.map(Moment::unix_ms),
    };
    let row = row.into_active_model().reset_all();
    Entity::insert(row).exec_without_returning(tx).await.or_fault().map(|_| token)
}

/// Those that are good now.
fn live(life: SessionLife, now: Moment) -> Select<Entity> {
    Entity::find()
        .filter(Column::EndedMs.is_null())
        .filter(Column::ExpiresMs.gt(now.unix_ms()))
        .filter(Column::UsedMs.gt(now.plus_ms(-life.idle_ms).unix_ms()))
}

/// The session of a token, if it is good now.
///
/// # Errors
/// As the database says.
pub async fn of_token(
    on: &impl ConnectionTrait,
    hash: &[u8],
    life: SessionLife,
    now: Moment,
) -> Result<Option<Session>> {
    let query = live(life, now).filter(Column::TokenHash.eq(hash.to_vec()));
    query.one(on).await.or_fault()?.map(from_row).transpose()
}

/// One of the user's own, over or not.
///
/// # Errors
/// As the database says.
pub async fn own(on: &impl ConnectionTrait, user: PrincipalId, id: SessionId) -> Result<Option<Session>> {
    let query = Entity::find_by_id(id.0).filter(Column::UserId.eq(user.0));
    query.one(on).await.or_fault()?.map(from_row).transpose()
}

/// A page of the user's sessions that are good now, and the token of the next.
///
/// # Errors
/// As the database says.
pub async fn list(
    on: &impl ConnectionTrait,
    user: PrincipalId,
    page: &Page,
    life: SessionLife,
    now: Moment,
) -> Result<(Vec<Session>, String)> {
    let query = live(life, now).filter(Column::UserId.eq(user.0));
    let rows = page.select(query, Column::CreatedMs, Column::Id).all(on).await.or_fault()?;
    let (rows, next) = page.finish(rows, |row| (row.created_ms, row.id));
    Ok((rows.into_iter().map(from_row).collect::<Result<_>>()?, next))
}

/// The user's sessions that are good now, newest first.
///
/// # Errors
/// As the database says.
pub async fn of_user(
    on: &impl ConnectionTrait,
    user: PrincipalId,
    life: SessionLife,
    now: Moment,
) -> Result<Vec<SessionId>> {
    let query = live(life, now).filter(Column::UserId.eq(user.0));
    let rows = query.order_by_desc(Column::CreatedMs).order_by_desc(Column::Id).all(on).await.or_fault()?;
    Ok(rows.into_iter().map(|row| SessionId(row.id)).collect())
}

/// Whether one of the user's own is good now.
///
/// # Errors
/// As the database says.
pub async fn is_live(
    on: &impl ConnectionTrait,
    user: PrincipalId,
    id: SessionId,
    life: SessionLife,
    now: Moment,
) -> Result<bool> {
    let query = live(life, now).filter(Column::UserId.eq(user.0)).filter(Column::Id.eq(id.0));
    Ok(query.one(on).await.or_fault()?.is_some())
}

/// Ends one of the user's own; ending what has ended changes nothing. The standing's version has to be raised before, as
/// for [`end_all`].
///
/// # Errors
/// As the database says.
pub async fn end(tx: &Tx<'_>, user: PrincipalId, id: SessionId) -> Result<()> {
    let sql = "UPDATE sessions SET ended_ms = $3 WHERE user_id = $1 AND id = $2 AND ended_ms IS NULL";
    tx.run(sql, vec![user.0.into(), id.0.into(), tx.now().unix_ms().into()]).await.map(drop)
}

/// Ends the user's sessions, but for one; how many it was. The standing's version has to be raised before (see
/// `peers`): gateways keep what they know of a session until then.
///
/// # Errors
/// As the database says.
pub async fn end_all(tx: &Tx<'_>, user: PrincipalId, except: Option<SessionId>) -> Result<u64> {
    let now = tx.now().unix_ms();
    match except {
        None => {
            let sql = "UPDATE sessions SET ended_ms = $2 WHERE user_id = $1 AND ended_ms IS NULL";
            tx.run(sql, vec![user.0.into(), now.into()]).await
        }
        Some(kept) => {
            let sql =
                "UPDATE sessions SET ended_ms = $2 WHERE user_id = $1 AND ended_ms IS NULL AND id <> $3";
            tx.run(sql, vec![user.0.into(), now.into(), kept.0.into()]).await
        }
    }
}

/// Notes a use, if it is worth it: never backwards, and never of a session that has ended.
///
/// # Errors
/// As the database says.
pub async fn note_use(tx: &Tx<'_>, id: SessionId, at: Moment, address: IpAddr) -> Result<()> {
    let sql = "UPDATE sessions SET used_ms = $2, address = $3
               WHERE id = $1 AND ended_ms IS NULL AND expires_ms > $2 AND used_ms <= $4";
    let values = vec![
        id.0.into(),
        at.unix_ms().into(),
        address.to_string().into(),
        at.plus_ms(-NOTED_MS).unix_ms().into(),
    ];
    tx.run(sql, values).await.map(drop)
}

/// Forgets at most `max` that were over long ago; how many it was.
///
/// # Errors
/// As the database says.
pub async fn purge(db: &Database, max: u32) -> Result<u64> {
    let sql = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_ms <= $1 LIMIT $2)";
    super::purge(db, sql, KEPT_MS, max).await
}

fn from_row(row: Model) -> Result<Session> {
    Ok(Session {
        id: SessionId(row.id),
        user: PrincipalId(row.user_id),
        account: beem_ids::AccountId(row.account_id),
        created: Moment::from_unix_ms(row.created_ms),
        expires: Moment::from_unix_ms(row.expires_ms),
        used: Moment::from_unix_ms(row.used_ms),
        address: row.address.parse().map_err(|_| super::garbled("session's address"))?,
        user_agent: row.user_agent,
        ended: row.ended_ms.map(Moment::from_unix_ms),
    })
}
