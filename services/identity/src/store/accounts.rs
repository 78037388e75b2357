//! The table of accounts.

use super::entities::accounts::{ActiveModel, Column, Entity, Model};
use super::garbled;
use crate::domain::{Account, BaseCurrency, EffectKey, Email, FeePayer, GrantPolicy, Name};
use beem_clock::Moment;
use beem_database::page::Page;
use beem_database::{OrFault as _, Tx};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, ClientId, PrincipalId};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, ExprTrait as _, QueryFilter as _,
};
use uuid::Uuid;

/// What creating an account made, as every repeat answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    pub account: AccountId,
    pub principal: PrincipalId,
    pub client: ClientId,
    /// None of an account from before there were users.
    pub owner: Option<PrincipalId>,
}

/// A new account, made under `key`, with what was made beside it.
///
/// # Errors
/// As the database says.
pub async fn insert(tx: &Tx<'_>, account: &Account, key: &EffectKey, created: &Created) -> Result<()> {
    let row = ActiveModel {
        id: Set(account.id.0),
        name: Set(account.name.to_string()),
        base_currency: Set(account.base_currency.as_str().to_owned()),
        role_grant_policy: Set(account.grant_policy.as_str().to_owned()),
        network_fee_payer: Set(account.fee_payer.as_str().to_owned()),
        owner_email: Set(account.owner_email.as_str().to_owned()),
        changing: Set(None),
        effect_key: Set(key.as_str().to_owned()),
        first_principal_id: Set(created.principal.0),
        first_client_id: Set(created.client.0),
        created_ms: Set(account.created.unix_ms()),
        owner_id: Set(created.owner.map(|id| id.0)),
    };
    Entity::insert(row).exec_without_returning(tx).await.or_fault().map(drop)
}

/// What was made under an effect key before.
///
/// # Errors
/// As the database says.
pub async fn created_under(on: &impl ConnectionTrait, key: &EffectKey) -> Result<Option<Created>> {
    let row = Entity::find().filter(Column::EffectKey.eq(key.as_str())).one(on).await.or_fault()?;
    Ok(row.map(|row| Created {
        account: AccountId(row.id),
        principal: PrincipalId(row.first_principal_id),
        client: ClientId(row.first_client_id),
        owner: row.owner_id.map(PrincipalId),
    }))
}

/// One account.
///
/// # Errors
/// `not-found`.
pub async fn get(on: &impl ConnectionTrait, id: AccountId) -> Result<Account> {
    let row = Entity::find_by_id(id.0).one(on).await.or_fault()?;
    from_row(row.ok_or_else(|| Fault::not_found("account"))?)
}

/// The account's Owner.
///
/// # Errors
/// `not-found` when there is no such account, or it is from before there were users.
pub async fn owner(on: &impl ConnectionTrait, id: AccountId) -> Result<PrincipalId> {
    let row =
        Entity::find_by_id(id.0).one(on).await.or_fault()?.ok_or_else(|| Fault::not_found("account"))?;
    row.owner_id.map(PrincipalId).ok_or_else(|| Fault::not_found("owner"))
}

/// A page of every account there is, for operators of the installation, and the token of the next.
///
/// # Errors
/// As the database says.
pub async fn list(on: &impl ConnectionTrait, page: &Page) -> Result<(Vec<Account>, String)> {
    let rows = page.select(Entity::find(), Column::CreatedMs, Column::Id).all(on).await.or_fault()?;
    let (rows, next) = page.finish(rows, |row| (row.created_ms, row.id));
    Ok((rows.into_iter().map(from_row).collect::<Result<_>>()?, next))
}

/// Writes the settings as they are now, for the saga that took the account. A saga that no longer has it changes nothing.
///
/// # Errors
/// As the database says.
pub async fn change(tx: &Tx<'_>, account: &Account, saga: Uuid) -> Result<()> {
    let row = ActiveModel {
        name: Set(account.name.to_string()),
        base_currency: Set(account.base_currency.as_str().to_owned()),
        role_grant_policy: Set(account.grant_policy.as_str().to_owned()),
        network_fee_payer: Set(account.fee_payer.as_str().to_owned()),
        id: NotSet,
        owner_email: NotSet,
        changing: NotSet,
        effect_key: NotSet,
        first_principal_id: NotSet,
        first_client_id: NotSet,
        created_ms: NotSet,
        owner_id: NotSet,
    };
    let ours = Column::Id.eq(account.id.0).and(Column::Changing.eq(saga));
    Entity::update_many().set(row).filter(ours).exec(tx).await.or_fault().map(drop)
}

fn from_row(row: Model) -> Result<Account> {
    Ok(Account {
        id: AccountId(row.id),
        name: Name::parse(&row.name).map_err(|_| garbled("account's name"))?,
        base_currency: BaseCurrency::parse(&row.base_currency).ok_or_else(|| garbled("base currency"))?,
        grant_policy: GrantPolicy::parse(&row.role_grant_policy).ok_or_else(|| garbled("grant policy"))?,
        fee_payer: FeePayer::parse(&row.network_fee_payer).ok_or_else(|| garbled("fee payer"))?,
        owner_email: Email::parse(&row.owner_email).map_err(|_| garbled("mail address"))?,
        created: Moment::from_unix_ms(row.created_ms),
    })
}
