//! The table of users, without their secrets: those stand in the same rows and are `credentials`' to read and write. A row
//! whose address is only reserved (`made` is false) is nobody's to see but the saga's that reserved it.

use super::entities::users::{ActiveModel, Column, Entity, Model};
use super::garbled;
use crate::domain::{Email, Name, SignInRecord, User};
use beem_clock::Moment;
use beem_database::page::Page;
use beem_database::{OrFault as _, Sql as _, Tx};
use beem_fault::{Code, Fault, Result};
use beem_ids::{AccountId, PrincipalId};
use beem_whitelist::Whitelist;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, ExprTrait as _, QueryFilter as _, QueryOrder as _,
    Select, TryInsertResult,
};
use uuid::Uuid;

/// Of the users there are: everywhere but in the step that reserves an address.
fn made() -> Select<Entity> {
    // The bare column, not a comparison: so the index of those that are listed is found.
    Entity::find().filter(Expr::col((Entity, Column::Made)))
}

/// One user of the account, deleted or not.
///
/// # Errors
/// `not-found`, another account's user too.
pub async fn get(on: &impl ConnectionTrait, account: AccountId, id: PrincipalId) -> Result<User> {
    let query = made().filter(Column::Id.eq(id.0)).filter(Column::AccountId.eq(account.0));
    from_row(query.one(on).await.or_fault()?.ok_or_else(|| Fault::not_found("user"))?)
}

/// One user, of any account: only who holds a link, a challenge or a session of it asks so. None when there is none, or it
/// is deleted.
///
/// # Errors
/// As the database says.
pub async fn of_any_account(on: &impl ConnectionTrait, id: PrincipalId) -> Result<Option<User>> {
    let query = made().filter(Column::Id.eq(id.0)).filter(Column::DeletedMs.is_null());
    query.one(on).await.or_fault()?.map(from_row).transpose()
}

/// The users of an address (folded), of every account, that are not deleted, oldest first: only sign-ins and password
/// resets ask so.
///
/// # Errors
/// As the database says.
pub async fn of_address(on: &impl ConnectionTrait, folded: &str) -> Result<Vec<User>> {
    let query = made().filter(Column::EmailFolded.eq(folded)).filter(Column::DeletedMs.is_null());
    query.order_by_asc(Column::Id).all(on).await.or_fault()?.into_iter().map(from_row).collect()
}

/// A page of the account's users that are not deleted, and the token of the next.
///
/// # Errors
/// As the database says.
pub async fn list(on: &impl ConnectionTrait, account: AccountId, page: &Page) -> Result<(Vec<User>, String)> {
    let query = made().filter(Column::AccountId.eq(account.0)).filter(Column::DeletedMs.is_null());
    let rows = page.select(query, Column::CreatedMs, Column::Id).all(on).await.or_fault()?;
    let (rows, next) = page.finish(rows, |row| (row.created_ms, row.id));
    Ok((rows.into_iter().map(from_row).collect::<Result<_>>()?, next))
}

/// A user that is there at once, and that nobody is changing: an account's Owner.
///
/// # Errors
/// As the database says.
pub async fn insert(tx: &Tx<'_>, user: &User) -> Result<()> {
    let row = ActiveModel { made: Set(true), ..to_new_row(user)? };
    Entity::insert(row).exec_without_returning(tx).await.or_fault().map(drop)
}

/// Reserves the address for the saga, with all that the user is to be.
///
/// # Errors
/// `email-taken` when a user of the account that is not deleted has the address, or another saga has reserved it.
pub async fn insert_reserved(tx: &Tx<'_>, user: &User, saga: Uuid) -> Result<()> {
    let row = ActiveModel { made: Set(false), changing: Set(Some(saga)), ..to_new_row(user)? };
    let free = OnConflict::new().do_nothing().to_owned();
    match Entity::insert(row).on_conflict(free).try_insert().exec_without_returning(tx).await.or_fault()? {
        TryInsertResult::Inserted(1) => Ok(()),
        TryInsertResult::Inserted(_) | TryInsertResult::Conflicted | TryInsertResult::Empty => {
            let taken = "a user of this account has the address already";
            Err(Fault::field_as(Code::EmailTaken, "email", taken))
        }
    }
}

/// The reserved user is there from now on, at the standing's credential version, free for the next change.
///
/// # Errors
/// `request-in-progress` when the saga no longer has it: another runner of it has come to the end.
pub async fn make(tx: &Tx<'_>, id: PrincipalId, credential_version: u64, saga: Uuid) -> Result<()> {
    let version = i64::try_from(credential_version).map_err(Fault::internal)?;
    let sql = "UPDATE users SET made = $3, credential_version = $4, changing = NULL
               WHERE id = $1 AND changing = $2 AND NOT made";
    let values = vec![id.0.into(), saga.into(), true.into(), version.into()];
    still_ours(tx.run(sql, values).await?)
}

/// The saga's reservation ends, and the address is free; whether there was one.
///
/// # Errors
/// As the database says.
pub async fn forget_reserved(tx: &Tx<'_>, id: PrincipalId, saga: Uuid) -> Result<bool> {
    let sql = "DELETE FROM users WHERE id = $1 AND changing = $2 AND NOT made";
    Ok(tx.run(sql, vec![id.0.into(), saga.into()]).await? == 1)
}

/// The address (folded) of the user that the saga has taken or reserved; None when it has not.
///
/// # Errors
/// As the database says.
pub async fn address_taken_by(tx: &Tx<'_>, id: PrincipalId, saga: Uuid) -> Result<Option<String>> {
    let sql = "SELECT email_folded FROM users WHERE id = $1 AND changing = $2";
    let row = tx.row(sql, vec![id.0.into(), saga.into()]).await?;
    row.map(|row| row.try_get("", "email_folded").or_fault()).transpose()
}

/// Writes names, network list, credential version and deletion as they are now, for the saga that took the user.
///
/// # Errors
/// `request-in-progress` when the saga no longer has it: another runner of it has come to the end.
pub async fn change(tx: &Tx<'_>, user: &User, saga: Uuid) -> Result<()> {
    let row = ActiveModel {
        first_name: Set(user.first_name.to_string()),
        last_name: Set(user.last_name.to_string()),
        network_whitelist: Set(networks(user)?),
        credential_version: Set(version(user)?),
        deleted_ms: Set(user.deleted.map(Moment::unix_ms)),
        ..ActiveModel::default()
    };
    let ours = Column::Id.eq(user.id.0).and(Column::Changing.eq(saga));
    let changed = Entity::update_many().set(row).filter(ours).exec(tx).await.or_fault()?;
    still_ours(changed.rows_affected)
}

/// The user is invited again, for the saga that took it.
///
/// # Errors
/// `request-in-progress` as [`change`].
pub async fn deactivate(tx: &Tx<'_>, id: PrincipalId, saga: Uuid) -> Result<()> {
    let sql = "UPDATE users SET activated_ms = NULL WHERE id = $1 AND changing = $2";
    still_ours(tx.run(sql, vec![id.0.into(), saga.into()]).await?)
}

/// Writes the names alone: the one thing users change of themselves without a saga.
///
/// # Errors
/// `request-in-progress` while a saga has the user, which writes the names as well.
pub async fn rename(
    tx: &Tx<'_>,
    id: PrincipalId,
    first_name: Option<&Name>,
    last_name: Option<&Name>,
) -> Result<()> {
    let set = |name: Option<&Name>| name.map_or(NotSet, |name| Set(name.to_string()));
    let row =
        ActiveModel { first_name: set(first_name), last_name: set(last_name), ..ActiveModel::default() };
    if first_name.is_none() && last_name.is_none() {
        return Ok(());
    }
    let free = Column::Id.eq(id.0).and(Column::DeletedMs.is_null()).and(Column::Changing.is_null());
    let changed = Entity::update_many().set(row).filter(free).exec(tx).await.or_fault()?;
    match changed.rows_affected {
        1 => Ok(()),
        _ => {
            Err(Fault::new(Code::RequestInProgress, "the user is being changed; nothing was done, try again"))
        }
    }
}

fn still_ours(rows: u64) -> Result<()> {
    match rows {
        1 => Ok(()),
        _ => Err(Fault::new(Code::RequestInProgress, "another process went on with this change")),
    }
}

fn networks(user: &User) -> Result<String> {
    serde_json::to_string(&user.network.texts()).map_err(Fault::internal)
}

fn version(user: &User) -> Result<i64> {
    i64::try_from(user.credential_version).map_err(Fault::internal)
}

/// A row as it begins: without secrets, never signed in.
fn to_new_row(user: &User) -> Result<ActiveModel> {
    Ok(ActiveModel {
        id: Set(user.id.0),
        account_id: Set(user.account.0),
        email: Set(user.email.as_str().to_owned()),
        email_folded: Set(user.email.folded()),
        first_name: Set(user.first_name.to_string()),
        last_name: Set(user.last_name.to_string()),
        network_whitelist: Set(networks(user)?),
        made: NotSet,
        password_hash: Set(None),
        totp: Set(None),
        totp_step: Set(0),
        credential_version: Set(version(user)?),
        changing: Set(None),
        created_by: Set(user.created_by.map(|id| id.0)),
        created_ms: Set(user.created.unix_ms()),
        activated_ms: Set(None),
        deleted_ms: Set(None),
        signed_in_ms: Set(None),
        signed_in_address: Set(None),
    })
}

fn from_row(row: Model) -> Result<User> {
    let networks: Vec<String> = serde_json::from_str(&row.network_whitelist).map_err(Fault::internal)?;
    let last_sign_in = match (row.signed_in_ms, row.signed_in_address) {
        (Some(ms), Some(address)) => Some(SignInRecord {
            at: Moment::from_unix_ms(ms),
            address: address.parse().map_err(|_| garbled("sign-in's address"))?,
        }),
        _ => None,
    };
    Ok(User {
        id: PrincipalId(row.id),
        account: AccountId(row.account_id),
        email: Email::parse(&row.email).map_err(|_| garbled("mail address"))?,
        first_name: Name::parse(&row.first_name).map_err(|_| garbled("user's name"))?,
        last_name: Name::parse(&row.last_name).map_err(|_| garbled("user's name"))?,
        network: Whitelist::parse(&networks).map_err(|_| garbled("user's network list"))?,
        activated: row.activated_ms.is_some(),
        credential_version: u64::try_from(row.credential_version).map_err(Fault::internal)?,
        created_by: row.created_by.map(PrincipalId),
        created: Moment::from_unix_ms(row.created_ms),
        deleted: row.deleted_ms.map(Moment::from_unix_ms),
        last_sign_in,
    })
}
