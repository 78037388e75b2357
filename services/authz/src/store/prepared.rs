//! Changes between their two halves, by the effect key they were prepared under. A row stays after its commit, so that
//! the table is the record of who granted what.

use super::entities::prepared_changes::{ActiveModel, Column, Entity, Model};
use super::to_roles;
use crate::domain::Growth;
use beem_database::{OrFault as _, Tx};
use beem_fault::Result;
use beem_ids::{AccountId, PrincipalId};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _,
};

/// A change that was prepared.
#[derive(Clone, Debug)]
pub struct PreparedChange {
    pub effect_key: String,
    pub account: AccountId,
    pub principal: PrincipalId,
    /// Who asked for it; None: the installation.
    pub actor: Option<PrincipalId>,
    /// What is left of it.
    pub growth: Growth,
}

/// Those of a principal that still have something to add.
pub async fn open_growths(
    tx: &Tx<'_>,
    account: AccountId,
    principal: PrincipalId,
) -> Result<Vec<PreparedChange>> {
    let query = Entity::find()
        .filter(Column::AccountId.eq(account.0))
        .filter(Column::PrincipalId.eq(principal.0))
        .filter(Column::CommittedMs.is_null())
        .filter(Condition::any().add(Column::AddRoles.gt(0)).add(Column::Enable.eq(true)));
    query.all(tx).await.or_fault()?.into_iter().map(to_domain).collect()
}

pub async fn insert_prepared(tx: &Tx<'_>, change: &PreparedChange) -> Result<()> {
    let row = ActiveModel {
        effect_key: Set(change.effect_key.clone()),
        account_id: Set(change.account.0),
        principal_id: Set(change.principal.0),
        actor_id: Set(change.actor.map(|p| p.0)),
        add_roles: Set(i64::from(change.growth.roles.bits())),
        enable: Set(change.growth.enable),
        prepared_ms: Set(tx.now().unix_ms()),
        committed_ms: Set(None),
    };
    Entity::insert(row).exec_without_returning(tx).await.or_fault()?;
    Ok(())
}

/// Leaves only `growth` of an open change.
pub async fn narrow_open(tx: &Tx<'_>, change: &PreparedChange, growth: Growth) -> Result<()> {
    let query = Entity::update_many()
        .col_expr(Column::AddRoles, Expr::value(i64::from(growth.roles.bits())))
        .col_expr(Column::Enable, Expr::value(growth.enable));
    query.filter(by_key(change)).exec(tx).await.or_fault()?;
    Ok(())
}

/// By the key it was prepared under, which is unique over all accounts. What is left of it is certain only under
/// [`super::lock_account`] of the account it names: whoever narrows it holds that lock.
pub async fn prepared_of_any_account(
    on: &impl ConnectionTrait,
    effect_key: &str,
) -> Result<Option<PreparedChange>> {
    Entity::find_by_id(effect_key.to_owned()).one(on).await.or_fault()?.map(to_domain).transpose()
}

pub async fn mark_committed(tx: &Tx<'_>, change: &PreparedChange) -> Result<()> {
    let query = Entity::update_many().col_expr(Column::CommittedMs, Expr::value(tx.now().unix_ms()));
    query.filter(by_key(change)).exec(tx).await.or_fault()?;
    Ok(())
}

fn by_key(change: &PreparedChange) -> Condition {
    Condition::all()
        .add(Column::EffectKey.eq(change.effect_key.as_str()))
        .add(Column::AccountId.eq(change.account.0))
}

fn to_domain(row: Model) -> Result<PreparedChange> {
    Ok(PreparedChange {
        effect_key: row.effect_key,
        account: AccountId(row.account_id),
        principal: PrincipalId(row.principal_id),
        actor: row.actor_id.map(PrincipalId),
        growth: Growth { roles: to_roles("add_roles", row.add_roles)?, enable: row.enable },
    })
}
