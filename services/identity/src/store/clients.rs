//! The table of clients.

use super::entities::clients::{Column, Entity, Model};
use super::garbled;
use crate::domain::{Client, Key, Name, RetiringKey};
use beem_clock::Moment;
use beem_database::page::Page;
use beem_database::{OrFault as _, Tx};
use beem_fault::{Code, Fault, Result};
use beem_ids::{AccountId, ClientId, PrincipalId};
use beem_whitelist::Whitelist;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue, ColumnTrait as _, ConnectionTrait, EntityTrait as _, ExprTrait as _,
    IntoActiveModel as _, QueryFilter as _,
};
use uuid::Uuid;

/// A new client, which nobody is changing.
///
/// # Errors
/// As the database says.
pub async fn insert(tx: &Tx<'_>, client: &Client) -> Result<()> {
    let row = to_row(client)?.into_active_model().reset_all();
    Entity::insert(row).exec_without_returning(tx).await.or_fault().map(drop)
}

/// One client of the account, deleted or not.
///
/// # Errors
/// `not-found`, another account's client too.
pub async fn get(on: &impl ConnectionTrait, account: AccountId, id: PrincipalId) -> Result<Client> {
    let found = Entity::find_by_id(id.0).filter(Column::AccountId.eq(account.0)).one(on).await.or_fault()?;
    from_row(found.ok_or_else(|| Fault::not_found("client"))?)
}

/// By keyid, of any account: only the gateway asks so. None when there is none, or it is deleted.
///
/// # Errors
/// As the database says.
pub async fn of_any_account(on: &impl ConnectionTrait, client_id: ClientId) -> Result<Option<Client>> {
    let query = Entity::find().filter(Column::ClientId.eq(client_id.0)).filter(Column::DeletedMs.is_null());
    query.one(on).await.or_fault()?.map(from_row).transpose()
}

/// A page of the account's clients that are not deleted, and the token of the next.
///
/// # Errors
/// As the database says.
pub async fn list(
    on: &impl ConnectionTrait,
    account: AccountId,
    page: &Page,
) -> Result<(Vec<Client>, String)> {
    let query = Entity::find().filter(Column::AccountId.eq(account.0)).filter(Column::DeletedMs.is_null());
    let rows = page.select(query, Column::CreatedMs, Column::Id).all(on).await.or_fault()?;
    let (rows, next) = page.finish(rows, |row| (row.created_ms, row.id));
    let clients = rows.into_iter().map(from_row).collect::<Result<_>>()?;
    Ok((clients, next))
}

/// Writes the client as it is now, for the saga that took it.
///
/// # Errors
/// `request-in-progress` when the saga no longer has it: another runner of it has come to the end.
pub async fn change(tx: &Tx<'_>, client: &Client, saga: Uuid) -> Result<()> {
    let mut row = to_row(client)?.into_active_model().reset_all();
    row.changing = ActiveValue::NotSet;
    let ours = Column::Id.eq(client.id.0).and(Column::Changing.eq(saga));
    let changed = Entity::update_many().set(row).filter(ours).exec(tx).await.or_fault()?;
    match changed.rows_affected {
        1 => Ok(()),
        _ => Err(Fault::new(Code::RequestInProgress, "another process went on with this change")),
    }
}

fn to_row(client: &Client) -> Result<Model> {
    let retiring = client.retiring.as_ref();
    Ok(Model {
        id: client.id.0,
        client_id: client.client_id.0,
        account_id: client.account.0,
        name: client.name.to_string(),
        network_whitelist: serde_json::to_string(&client.network.texts()).map_err(Fault::internal)?,
        public_key: client.key.pem.clone(),
        key_algorithm: client.key.algorithm.clone(),
        key_fingerprint: client.key.fingerprint.clone(),
        retiring_public_key: retiring.map(|r| r.key.pem.clone()),
        retiring_algorithm: retiring.map(|r| r.key.algorithm.clone()),
        retiring_fingerprint: retiring.map(|r| r.key.fingerprint.clone()),
        retiring_not_after_ms: retiring.map(|r| r.not_after.unix_ms()),
        credential_version: i64::try_from(client.credential_version).map_err(Fault::internal)?,
        changing: None,
        created_by: client.created_by.map(|id| id.0),
        created_ms: client.created.unix_ms(),
        deleted_ms: client.deleted.map(Moment::unix_ms),
    })
}

fn from_row(row: Model) -> Result<Client> {
    let networks: Vec<String> = serde_json::from_str(&row.network_whitelist).map_err(Fault::internal)?;
    let retiring = match (row.retiring_public_key, row.retiring_not_after_ms) {
        (Some(pem), Some(not_after_ms)) => Some(RetiringKey {
            key: Key {
                pem,
                algorithm: row.retiring_algorithm.unwrap_or_default(),
                fingerprint: row.retiring_fingerprint.unwrap_or_default(),
            },
            not_after: Moment::from_unix_ms(not_after_ms),
        }),
        _ => None,
    };
    Ok(Client {
        id: PrincipalId(row.id),
        client_id: ClientId(row.client_id),
        account: AccountId(row.account_id),
        name: Name::parse(&row.name).map_err(|_| garbled("client's name"))?,
        network: Whitelist::parse(&networks).map_err(|_| garbled("client's network list"))?,
        key: Key { pem: row.public_key, algorithm: row.key_algorithm, fingerprint: row.key_fingerprint },
        retiring,
        credential_version: u64::try_from(row.credential_version).map_err(Fault::internal)?,
        created_by: row.created_by.map(PrincipalId),
        created: Moment::from_unix_ms(row.created_ms),
        deleted: row.deleted_ms.map(Moment::from_unix_ms),
    })
}
