//! Changes between their two halves, by the effect key they were prepared under; only those with something to add. A row stays
//! for some days after its commit; what is for ever is the answer, and the audit trail.

use super::entities::prepared_changes::{ActiveModel, Column, Entity, Model};
use super::to_roles;
use crate::domain::Growth;
use beem_database::{OrFault as _, Sql as _, Tx};
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

/// What was answered under an effect key, if that was no refusal.
pub async fn answer_of_any_account(on: &impl ConnectionTrait, effect: &str) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT outcome FROM effects WHERE effect_key = $1";
    let Some(row) = on.row(sql, vec![effect.into()]).await? else { return Ok(None) };
    let outcome: Option<Vec<u8>> = row.try_get("", "outcome").or_fault()?;
    // As claims stores it: a 0, then the answer.
    Ok(outcome.and_then(|outcome| outcome.strip_prefix(&[0]).map(<[u8]>::to_vec)))
}

/// Forgets changes that were committed before this moment, at most `max`; how many it was.
pub async fn purge_committed(tx: &Tx<'_>, before_ms: i64, max: i64) -> Result<u64> {
    let sql = "DELETE FROM prepared_changes WHERE effect_key IN (
        SELECT effect_key FROM prepared_changes WHERE committed_ms < $1 ORDER BY committed_ms LIMIT $2)";
    tx.run(sql, vec![before_ms.into(), max.into()]).await
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
