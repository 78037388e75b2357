//! Accounts: who may hand out roles in each.

use super::entities::accounts::{ActiveModel, Column, Entity};
use super::garbled;
use crate::domain::GrantPolicy;
use beem_database::{OrFault as _, Tx, lock_row};
use beem_fault::{Fault, Result};
use beem_ids::AccountId;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _};

/// Locks the account for the rest of the transaction: the first lock of every write.
///
/// # Errors
/// `not-found`.
pub async fn lock_account(tx: &Tx<'_>, account: AccountId) -> Result<GrantPolicy> {
    let row = lock_row(tx, Entity::find_by_id(account.0)).one(tx).await.or_fault()?;
    let row = row.ok_or_else(|| Fault::not_found("account"))?;
    GrantPolicy::parse(&row.role_grant_policy).ok_or_else(|| garbled("role_grant_policy"))
}

/// Registers the account unless it is there, whatever its policy is now.
pub async fn put_account(tx: &Tx<'_>, account: AccountId, policy: GrantPolicy) -> Result<()> {
    let row = ActiveModel {
        id: Set(account.0),
        role_grant_policy: Set(policy.as_str().into()),
        created_ms: Set(tx.now().unix_ms()),
    };
    let unless_there = OnConflict::column(Column::Id).do_nothing().to_owned();
    Entity::insert(row).on_conflict(unless_there).exec_without_returning(tx).await.or_fault()?;
    Ok(())
}

/// Under [`lock_account`].
pub async fn set_policy(tx: &Tx<'_>, account: AccountId, policy: GrantPolicy) -> Result<()> {
    let query = Entity::update_many().col_expr(Column::RoleGrantPolicy, Expr::value(policy.as_str()));
    query.filter(Column::Id.eq(account.0)).exec(tx).await.or_fault()?;
    Ok(())
}
