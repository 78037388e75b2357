//! The table of hooks. A deleted hook keeps its row, which nothing but its own tables' keys refers to any more.

use super::ids::{among, list as list_of};
use super::lanes::{self, HEALTH_COLUMNS};
use super::locked::locked;
use super::{flag, for_update, garbled, id, moment, text};
use crate::domain::{Areas, DisabledReason, EventCodes, Health, Hook};
use beem_database::page::{Order, Page};
use beem_database::{Backend, OrFault as _, Sql, Tx};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, HookId, PrincipalId};
use sea_orm::QueryResult;
use std::collections::BTreeMap;

/// What [`read`] reads.
const COLUMNS: &str =
    "id, account_id, url, event_codes, areas, enabled, disabled_reason, created_by, created_ms, updated_ms";

/// The first number of our advisory locks, whose second is of an account: "hook" in ASCII.
const LOCK: i32 = 0x686f_6f6b;

/// One hook of the account.
///
/// # Errors
/// `not-found`, another account's and a deleted one too; as the database says.
pub async fn get(on: &impl Sql, account: AccountId, id: HookId) -> Result<Hook> {
    find_in(on, account, id, "").await
}

/// The same, locked until the transaction ends.
///
/// # Errors
/// As [`get`].
pub async fn lock(tx: &Tx<'_>, account: AccountId, id: HookId) -> Result<Hook> {
    find_in(tx, account, id, for_update(tx)).await
}

async fn find_in(on: &impl Sql, account: AccountId, id: HookId, lock: &str) -> Result<Hook> {
    let sql = format!(
        "SELECT {COLUMNS} FROM hooks WHERE id = $1 AND account_id = $2 AND deleted_ms IS NULL {lock}"
    );
    let row = on.row(&sql, vec![id.0.into(), account.0.into()]).await?;
    read(&row.ok_or_else(|| Fault::not_found("hook"))?)
}

/// A hook of any account, for our own tasks, locked until the transaction ends. None when it is deleted.
///
/// # Errors
/// As the database says.
pub async fn lock_of_any_account(tx: &Tx<'_>, id: HookId) -> Result<Option<Hook>> {
    let lock = for_update(tx);
    let sql = format!("SELECT {COLUMNS} FROM hooks WHERE id = $1 AND deleted_ms IS NULL {lock}");
    tx.row(&sql, vec![id.0.into()]).await?.as_ref().map(read).transpose()
}

/// The enabled hooks of these accounts, in the order of their ids. Until the transaction ends none of them changes: what is
/// put into their lanes meets whoever closes one, before or behind it.
///
/// # Errors
/// As the database says.
pub async fn wanting(tx: &Tx<'_>, accounts: &[AccountId]) -> Result<Vec<Hook>> {
    // Shared: those who take events in do not wait for each other here.
    let lock = locked(tx, "FOR SHARE");
    let sql = format!(
        "SELECT {COLUMNS} FROM hooks WHERE account_id {} AND enabled AND deleted_ms IS NULL ORDER BY id {lock}",
        among(tx, 1)
    );
    let accounts = list_of(tx, accounts.iter().map(|account| account.0));
    tx.rows(&sql, vec![accounts]).await?.iter().map(read).collect()
}

/// How many hooks the account has. Until the transaction ends nobody else makes one in this account: two that are made at
/// once are counted one after the other. Before any row is locked.
///
/// # Errors
/// As the database says.
pub async fn count_locked(tx: &Tx<'_>, account: AccountId) -> Result<u64> {
    if tx.backend() == Backend::Postgres {
        // There may be no row to lock yet. Two accounts that share a number wait for each other, and nothing worse.
        let [.., a, b, c, d] = account.0.into_bytes();
        let account = i32::from_be_bytes([a, b, c, d]);
        tx.run("SELECT pg_advisory_xact_lock($1, $2)", vec![LOCK.into(), account.into()]).await?;
    }
    count(tx, account).await
}

/// How many hooks the account has.
///
/// # Errors
/// As the database says.
pub async fn count(on: &impl Sql, account: AccountId) -> Result<u64> {
    let sql = "SELECT count(*) AS n FROM hooks WHERE account_id = $1 AND deleted_ms IS NULL";
    let row = on.row(sql, vec![account.0.into()]).await?;
    let n: i64 = row.ok_or_else(|| garbled("count"))?.try_get("", "n").or_fault()?;
    u64::try_from(n).map_err(Fault::internal)
}

/// A new one.
///
/// # Errors
/// As the database says.
pub async fn insert(tx: &Tx<'_>, hook: &Hook) -> Result<()> {
    let sql = format!("INSERT INTO hooks ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
    let values = vec![
        hook.id.0.into(),
        hook.account.0.into(),
        hook.url.as_str().into(),
        codes_text(hook)?.into(),
        hook.codes.areas().bits().into(),
        hook.disabled.is_none().into(),
        hook.disabled.map(DisabledReason::as_str).into(),
        hook.created_by.0.into(),
        hook.created.unix_ms().into(),
        hook.updated.unix_ms().into(),
    ];
    tx.run(&sql, values).await.map(drop)
}

/// Writes a locked hook as it is now.
///
/// # Errors
/// As the database says.
pub async fn change(tx: &Tx<'_>, hook: &Hook) -> Result<()> {
    let sql = "UPDATE hooks SET url = $2, event_codes = $3, areas = $4, enabled = $5, disabled_reason = $6, updated_ms = $7
        WHERE id = $1";
    let values = vec![
        hook.id.0.into(),
        hook.url.as_str().into(),
        codes_text(hook)?.into(),
        hook.codes.areas().bits().into(),
        hook.disabled.is_none().into(),
        hook.disabled.map(DisabledReason::as_str).into(),
        hook.updated.unix_ms().into(),
    ];
    tx.run(sql, values).await.map(drop)
}

/// Notes that a locked hook, which is disabled, is deleted from now on.
///
/// # Errors
/// As the database says.
pub async fn delete(tx: &Tx<'_>, id: HookId) -> Result<()> {
    let sql = "UPDATE hooks SET deleted_ms = $2 WHERE id = $1";
    tx.run(sql, vec![id.0.into(), tx.now().unix_ms().into()]).await.map(drop)
}

/// A page of the account's hooks by creation, and the token of the next.
///
/// # Errors
/// As the database says.
pub async fn list(on: &impl Sql, account: AccountId, page: &Page) -> Result<(Vec<Hook>, String)> {
    let (limit, skipped) = (page.limit(), page.skipped());
    let (order, beyond) = match page.order {
        Order::Asc => ("ASC", ">"),
        Order::Desc => ("DESC", "<"),
    };
    let mut values = vec![account.0.into()];
    // The first condition alone can use the index; the second settles rows of the same millisecond.
    let after = page.after().map_or_else(String::new, |(created_ms, id)| {
        values.extend([created_ms.into(), id.into()]);
        format!("AND created_ms {beyond}= $2 AND (created_ms {beyond} $2 OR id {beyond} $3)")
    });
    let sql = format!(
        "SELECT {COLUMNS} FROM hooks WHERE account_id = $1 AND deleted_ms IS NULL {after}
         ORDER BY created_ms {order}, id {order} LIMIT {limit} OFFSET {skipped}"
    );
    let rows = on.rows(&sql, values).await?;
    let hooks = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(page.finish(hooks, |hook| (hook.created.unix_ms(), hook.id.0)))
}

/// How these hooks have been doing.
///
/// # Errors
/// As the database says.
pub async fn healths(on: &impl Sql, hooks: &[HookId]) -> Result<BTreeMap<HookId, Health>> {
    let sql = format!("SELECT hook, {HEALTH_COLUMNS} FROM lanes WHERE hook {}", among(on, 1));
    let values = vec![list_of(on, hooks.iter().map(|hook| hook.0))];
    on.rows(&sql, values).await?.iter().map(|row| Ok((lanes::hook(row)?, lanes::health(row)?))).collect()
}

fn codes_text(hook: &Hook) -> Result<String> {
    serde_json::to_string(hook.codes.codes()).map_err(Fault::internal)
}

/// What a hook asks for, of a row with `event_codes` and `areas`.
///
/// # Errors
/// `internal` for a garbled row.
pub fn codes(row: &QueryResult) -> Result<EventCodes> {
    let codes =
        serde_json::from_str(&text(row, "event_codes")?).map_err(|_| garbled("hook's event codes"))?;
    Ok(EventCodes::stored(codes, Areas::from_bits(row.try_get("", "areas").or_fault()?)))
}

fn read(row: &QueryResult) -> Result<Hook> {
    let reason: Option<String> = row.try_get("", "disabled_reason").or_fault()?;
    let reason = reason.map(|text| DisabledReason::parse(&text).ok_or_else(|| garbled("hook's reason")));
    let disabled = match (flag(row, "enabled")?, reason.transpose()?) {
        (true, None) => None,
        (false, Some(reason)) => Some(reason),
        (true, Some(_)) | (false, None) => return Err(garbled("hook")),
    };
    Ok(Hook {
        id: HookId(id(row, "id")?),
        account: AccountId(id(row, "account_id")?),
        url: text(row, "url")?,
        codes: codes(row)?,
        disabled,
        created_by: PrincipalId(id(row, "created_by")?),
        created: moment(row, "created_ms")?,
        updated: moment(row, "updated_ms")?,
    })
}
