//! The mark `changing` on a row: which saga is changing the thing. Whoever takes it has it until it gives it back, so the
//! halves of two changes in identity and authz never mix. The same for every table that has the column.

use beem_database::{Backend, OrFault as _, Sql as _, Tx};
use beem_fault::{Fault, Result};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

/// A table with the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Accounts,
    Clients,
    Users,
}

impl Table {
    const fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Clients => "clients",
            Self::Users => "users",
        }
    }

    const fn thing(self) -> &'static str {
        match self {
            Self::Accounts => "account",
            Self::Clients => "client",
            Self::Users => "user",
        }
    }
}

/// Takes the row for one saga, and locks it for this transaction. False while another saga has it.
///
/// # Errors
/// `not-found` for a row that is not there.
pub async fn take(tx: &Tx<'_>, table: Table, id: Uuid, saga: Uuid) -> Result<bool> {
    let name = table.name();
    let lock = match tx.backend() {
        Backend::Postgres => " FOR UPDATE",
        Backend::Sqlite => "",
    };
    let row = tx.row(&format!("SELECT changing FROM {name} WHERE id = $1{lock}"), vec![id.into()]).await?;
    let row = row.ok_or_else(|| Fault::not_found(table.thing()))?;
    match row.try_get::<Option<Uuid>>("", "changing").or_fault()? {
        Some(other) => Ok(other == saga),
        None => {
            let sql = format!("UPDATE {name} SET changing = $2 WHERE id = $1");
            tx.run(&sql, vec![id.into(), saga.into()]).await.map(|_| true)
        }
    }
}

/// Whether a saga has it; of any account, since only a saga that named the account asks.
///
/// # Errors
/// As the database says.
pub async fn is_taken(on: &impl ConnectionTrait, table: Table, id: Uuid) -> Result<bool> {
    let sql = format!("SELECT id FROM {} WHERE id = $1 AND changing IS NOT NULL", table.name());
    Ok(on.row(&sql, vec![id.into()]).await?.is_some())
}

/// Gives it back; whether the saga had it. A user takes over the greatest version that was noted meanwhile by changes that
/// took nothing: all that the saga wrote is there with it, so gateways may keep what they read under that.
///
/// # Errors
/// As the database says.
pub async fn give_back(tx: &Tx<'_>, table: Table, id: Uuid, saga: Uuid) -> Result<bool> {
    let versions = match table {
        Table::Users => {
            ", noted_version = 0, credential_version =
             CASE WHEN noted_version > credential_version THEN noted_version ELSE credential_version END"
        }
        Table::Accounts | Table::Clients => "",
    };
    let sql =
        format!("UPDATE {} SET changing = NULL{versions} WHERE id = $1 AND changing = $2", table.name());
    Ok(tx.run(&sql, vec![id.into(), saga.into()]).await? == 1)
}
