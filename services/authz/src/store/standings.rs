//! Standings, and which version of each has reached the cache.

use super::entities::standings::{ActiveModel, Column, Entity, Model};
use super::{garbled, to_i64, to_roles, to_u64};
use crate::domain::Standing;
use beem_caller::PrincipalKind;
use beem_database::page::Page;
use beem_database::{OrFault as _, Tx, lock_row};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, PrincipalId};
use beem_roles::{Role, RoleSet};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};
use std::collections::HashMap;

/// The standing of a principal of that account.
pub async fn standing(
    on: &impl ConnectionTrait,
    account: AccountId,
    principal: PrincipalId,
) -> Result<Option<Standing>> {
    of_account(account, principal).one(on).await.or_fault()?.map(to_domain).transpose()
}

/// For the gateway, which learns the account from the answer. With the version that reached the cache.
pub async fn standing_of_any_account(
    on: &impl ConnectionTrait,
    principal: PrincipalId,
) -> Result<Option<(Standing, u64)>> {
    let Some(row) = Entity::find_by_id(principal.0).one(on).await.or_fault()? else { return Ok(None) };
    let published = to_u64("published_version", row.published_version)?;
    Ok(Some((to_domain(row)?, published)))
}

/// Locks the standing, after the account.
///
/// # Errors
/// `not-found`, also for another account's.
pub async fn lock_standing(tx: &Tx<'_>, account: AccountId, principal: PrincipalId) -> Result<Standing> {
    let row = lock_row(tx, of_account(account, principal)).one(tx).await.or_fault()?;
    to_domain(row.ok_or_else(|| Fault::not_found("principal"))?)
}

/// Those of the account among `principals`.
pub async fn standings(
    on: &impl ConnectionTrait,
    account: AccountId,
    principals: &[PrincipalId],
) -> Result<HashMap<PrincipalId, Standing>> {
    let ids = principals.iter().map(|p| p.0);
    // Asked for the account as well, SQLite reads all of the account's rows.
    let rows = Entity::find().filter(Column::PrincipalId.is_in(ids)).all(on).await.or_fault()?;
    let ours = rows.into_iter().filter(|row| row.account_id == account.0);
    ours.map(|row| to_domain(row).map(|s| (s.principal, s))).collect()
}

/// Another user operator of the account, who [`Standing::stands_in_for`] this one.
pub async fn another_user_operator(tx: &Tx<'_>, than: &Standing) -> Result<Option<Standing>> {
    let mut query = Entity::find()
        .filter(may_act_with(than.account, Role::UserOperator))
        .filter(Column::Kind.eq(PrincipalKind::User.as_str()))
        .filter(Column::PrincipalId.ne(than.principal.0));
    if than.active {
        query = query.filter(Column::Active.eq(true));
    }
    query.limit(1).one(tx).await.or_fault()?.map(to_domain).transpose()
}

/// Who may act with the role, in the order in which they were made, and the token of the next page.
pub async fn holders(
    on: &impl ConnectionTrait,
    account: AccountId,
    role: Role,
    page: &Page,
) -> Result<(Vec<Standing>, String)> {
    let query = Entity::find().filter(may_act_with(account, role));
    let rows = page.select(query, Column::CreatedMs, Column::PrincipalId).all(on).await.or_fault()?;
    let (rows, next) = page.finish(rows, |row| (row.created_ms, row.principal_id));
    Ok((rows.into_iter().map(to_domain).collect::<Result<_>>()?, next))
}

/// A new standing, not yet published.
///
/// # Errors
/// `validation-failed` when the principal has one, in whatever account.
pub async fn insert(tx: &Tx<'_>, standing: &Standing) -> Result<()> {
    if Entity::find_by_id(standing.principal.0).one(tx).await.or_fault()?.is_some() {
        return Err(Fault::field("principalId", "this principal has a standing"));
    }
    let now = tx.now().unix_ms();
    let row = ActiveModel { published_version: Set(0), created_ms: Set(now), ..to_row(standing, now)? };
    Entity::insert(row).exec_without_returning(tx).await.or_fault()?;
    Ok(())
}

/// Writes a changed standing, under [`lock_standing`].
pub async fn save(tx: &Tx<'_>, standing: &Standing) -> Result<()> {
    let row = to_row(standing, tx.now().unix_ms())?;
    let query = Entity::update_many().set(row).filter(Column::AccountId.eq(standing.account.0));
    query.filter(Column::PrincipalId.eq(standing.principal.0)).exec(tx).await.or_fault()?;
    Ok(())
}

/// Standings whose version has not reached the cache, at most `max`.
pub async fn unpublished_of_any_account(on: &impl ConnectionTrait, max: u64) -> Result<Vec<Standing>> {
    let behind = Expr::col(Column::PublishedVersion).lt(Expr::col(Column::Version));
    let query = Entity::find().filter(behind).order_by_asc(Column::PrincipalId).limit(max);
    query.all(on).await.or_fault()?.into_iter().map(to_domain).collect()
}

/// Remembers that this version has reached the cache; never goes back.
pub async fn mark_published(tx: &Tx<'_>, standing: &Standing) -> Result<()> {
    let version = to_i64("version", standing.version)?;
    let query = Entity::update_many()
        .col_expr(Column::PublishedVersion, Expr::value(version))
        .filter(Column::AccountId.eq(standing.account.0))
        .filter(Column::PrincipalId.eq(standing.principal.0))
        .filter(Column::PublishedVersion.lt(version));
    query.exec(tx).await.or_fault()?;
    Ok(())
}

fn of_account(account: AccountId, principal: PrincipalId) -> Select<Entity> {
    Entity::find_by_id(principal.0).filter(Column::AccountId.eq(account.0))
}

fn may_act_with(account: AccountId, role: Role) -> Condition {
    let bits = i64::from(RoleSet::EMPTY.with(role).bits());
    Condition::all()
        .add(Column::AccountId.eq(account.0))
        .add(Column::Enabled.eq(true))
        .add(Column::Deleted.eq(false))
        .add(Expr::col(Column::Roles).bit_and(bits).ne(0_i64))
}

fn to_domain(row: Model) -> Result<Standing> {
    let kind = [PrincipalKind::User, PrincipalKind::Client].into_iter().find(|k| k.as_str() == row.kind);
    Ok(Standing {
        principal: PrincipalId(row.principal_id),
        account: AccountId(row.account_id),
        kind: kind.ok_or_else(|| garbled("kind"))?,
        enabled: row.enabled,
        deleted: row.deleted,
        active: row.active,
        roles: to_roles("roles", row.roles)?,
        version: to_u64("version", row.version)?,
        credential_version: to_u64("credential_version", row.credential_version)?,
        created_by: row.created_by.map(PrincipalId),
        rekeyed_by: row.rekeyed_by.map(PrincipalId),
        granted_by: row.granted_by.map(PrincipalId),
    })
}

/// Everything that changes with a standing.
fn to_row(standing: &Standing, now_ms: i64) -> Result<ActiveModel> {
    Ok(ActiveModel {
        principal_id: Set(standing.principal.0),
        account_id: Set(standing.account.0),
        kind: Set(standing.kind.as_str().into()),
        enabled: Set(standing.enabled),
        deleted: Set(standing.deleted),
        active: Set(standing.active),
        roles: Set(i64::from(standing.roles.bits())),
        version: Set(to_i64("version", standing.version)?),
        credential_version: Set(to_i64("credential_version", standing.credential_version)?),
        published_version: NotSet,
        created_by: Set(standing.created_by.map(|p| p.0)),
        rekeyed_by: Set(standing.rekeyed_by.map(|p| p.0)),
        granted_by: Set(standing.granted_by.map(|p| p.0)),
        created_ms: NotSet,
        changed_ms: Set(now_ms),
    })
}
