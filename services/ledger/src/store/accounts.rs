//! Ledger accounts: opening them, reading them with their balances. Each has its row in `balances` from the first moment,
//! because a row that is not there cannot be locked.

mod rows;
mod system;

pub use rows::{
    ACCOUNT_COLUMNS, BALANCE_COLUMNS, amount, amount_or_none, currency, currency_or_none, hash, id,
    id_or_none, moment, moment_or_none, number, number_or_none, read_account, read_balance, text,
    text_or_none,
};
pub use system::open_system;

use crate::domain::{Balance, LedgerAccount};
use beem_database::page::{Order, Page};
use beem_database::{Backend, Sql, Tx, array};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, LedgerAccountId};
use sea_orm::Value;

/// Account and balance side by side; owner and currency are the account's.
const BOTH: &str = "
    SELECT a.id, a.owner, a.purpose, a.currency, a.network, a.name, a.created_ms,
        b.ledger_account_id, CAST(b.total AS TEXT) AS total, CAST(b.reserved AS TEXT) AS reserved,
        CAST(b.floor AS TEXT) AS floor, b.sequence, b.hash, b.time_ms
    FROM ledger_accounts a JOIN balances b ON b.ledger_account_id = a.id";

/// Opens a wallet: its row and its balance of nothing, never to fall below zero. Its chain begins at its genesis.
///
/// # Errors
/// As the database says.
pub async fn open_wallet(tx: &Tx<'_>, account: &LedgerAccount) -> Result<()> {
    let (id, owner) = (Value::from(account.id.0), Value::from(account.owner.map(|owner| owner.0)));
    let (currency, created) = (account.currency.as_str(), Value::from(account.created.unix_ms()));
    let insert = "
        INSERT INTO ledger_accounts (id, owner, purpose, currency, network, name, created_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = vec![
        id.clone(),
        owner.clone(),
        account.purpose.as_str().into(),
        currency.into(),
        account.network.as_str().into(),
        account.name.as_str().into(),
        created.clone(),
    ];
    tx.run(insert, values).await?;
    let insert = "
        INSERT INTO balances (ledger_account_id, owner, currency, total, reserved, floor, sequence, hash, time_ms)
        VALUES ($1, $2, $3, '0', '0', '0', 0, $4, $5)";
    let hash = account.genesis().to_vec();
    tx.run(insert, vec![id, owner, currency.into(), hash.into(), created]).await.map(drop)
}

/// A wallet with its balance, of one moment.
///
/// # Errors
/// `not-found` when there is none, or it is another account's.
pub async fn wallet(
    on: &impl Sql,
    owner: AccountId,
    id: LedgerAccountId,
) -> Result<(LedgerAccount, Balance)> {
    let sql = format!("{BOTH} WHERE a.id = $1 AND a.owner = $2");
    let row = on.row(&sql, vec![id.0.into(), owner.0.into()]).await?;
    let row = row.ok_or_else(|| Fault::not_found("wallet"))?;
    Ok((read_account(&row)?, read_balance(&row)?))
}

/// The balance of one ledger account as it is now, locked by nobody.
///
/// # Errors
/// `internal` when there is none.
pub async fn balance(on: &impl Sql, id: LedgerAccountId) -> Result<Balance> {
    let sql = format!("SELECT {BALANCE_COLUMNS} FROM balances b WHERE b.ledger_account_id = $1");
    let row = on.row(&sql, vec![id.0.into()]).await?;
    read_balance(&row.ok_or_else(|| Fault::internal(format!("ledger account {id} has no balance")))?)
}

/// An account's wallets by creation, with their balances, in one statement; and the token of the next page.
///
/// # Errors
/// As the database says.
pub async fn wallets(
    on: &impl Sql,
    owner: AccountId,
    page: &Page,
) -> Result<(Vec<(LedgerAccount, Balance)>, String)> {
    let (limit, skipped) = (page.limit(), page.skipped());
    let (order, beyond) = match page.order {
        Order::Asc => ("ASC", ">"),
        Order::Desc => ("DESC", "<"),
    };
    let mut values = vec![owner.0.into()];
    // The first condition alone can use the index; the second settles rows of the same millisecond.
    let after = page.after().map_or_else(String::new, |(created_ms, id)| {
        values.extend([created_ms.into(), id.into()]);
        format!("AND a.created_ms {beyond}= $2 AND (a.created_ms {beyond} $2 OR a.id {beyond} $3)")
    });
    let sql = format!(
        "{BOTH} WHERE a.owner = $1 {after} ORDER BY a.created_ms {order}, a.id {order} LIMIT {limit} OFFSET {skipped}"
    );
    let rows = on.rows(&sql, values).await?;
    let read = rows.iter().map(|row| Ok((read_account(row)?, read_balance(row)?)));
    let rows = read.collect::<Result<Vec<_>>>()?;
    Ok(page.finish(rows, |(account, _)| (account.created.unix_ms(), account.id.0)))
}

/// Those ledger accounts that exist, whosever they are, in the order of their ids.
///
/// # Errors
/// As the database says.
pub async fn accounts(on: &impl Sql, ids: &[LedgerAccountId]) -> Result<Vec<LedgerAccount>> {
    let rows = match on.dialect() {
        Backend::Postgres => {
            let sql = format!(
                "SELECT {ACCOUNT_COLUMNS} FROM ledger_accounts a WHERE a.id = ANY($1::uuid[]) ORDER BY a.id"
            );
            on.rows(&sql, vec![array::uuids(ids.iter().map(|id| id.0))]).await?
        }
        Backend::Sqlite => {
            let sql = format!(
                "SELECT {ACCOUNT_COLUMNS} FROM ledger_accounts a
                 WHERE a.id IN (SELECT unhex(value) FROM json_each($1)) ORDER BY a.id"
            );
            on.rows(&sql, vec![id_list(ids.iter().map(|id| id.0))?]).await?
        }
    };
    rows.iter().map(read_account).collect()
}

/// For SQLite's `IN (SELECT unhex(value) FROM json_each($n))`: one text of SQL whatever their number.
///
/// # Errors
/// Never, in truth.
pub fn id_list(ids: impl Iterator<Item = uuid::Uuid>) -> Result<Value> {
    let ids: Vec<String> = ids.map(|id| id.simple().to_string()).collect();
    serde_json::to_string(&ids).map(Value::from).map_err(Fault::internal)
}
