//! The audit trail's rows and the ends of their chains. Whoever appends locks the chains first, in the order of their
//! accounts, so that sequences have no gaps and pushers follow each other; no other lock is taken beside them.

use super::entities::{audit_chains, audit_events};
use crate::domain::{AuditEntry, ChainedRow, End};
use audit_events::{ActiveModel, Column, Entity, Model};
use beem_database::page::Page;
use beem_database::{Backend, OrFault as _, Sql as _, Tx, lock_row};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, PrincipalId};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, FromQueryResult,
    IdenStatic as _, QueryFilter as _, QueryOrder as _, QueryResult, QuerySelect as _,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use uuid::Uuid;

/// Rows inserted by one statement: far below what either back end takes as parameters.
const INSERT: usize = 500;
/// See [`AsFound`].
const UNREADABLE: &str = "\0";

/// Where a chain ends, and its newest head.
#[derive(Clone, Debug)]
pub struct Chain {
    pub end: End,
    /// 0 before the first head.
    pub signed_sequence: i64,
}

/// Which rows of an account somebody wants to see.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub actor: Option<PrincipalId>,
    pub action: Option<String>,
    pub from_ms: Option<i64>,
    pub before_ms: Option<i64>,
}

/// The ends of these chains, begun where there was none, locked for the rest of the transaction.
pub async fn lock_chains(tx: &Tx<'_>, accounts: &BTreeSet<Uuid>) -> Result<BTreeMap<Uuid, End>> {
    let End { sequence, hash } = End::genesis();
    let begun = accounts.iter().map(|account| audit_chains::ActiveModel {
        account_id: Set(*account),
        sequence: Set(sequence),
        hash: Set(hash.clone()),
        signed_sequence: Set(0),
        signed_ms: Set(0),
    });
    let unless_there = OnConflict::column(audit_chains::Column::AccountId).do_nothing().to_owned();
    let query = audit_chains::Entity::insert_many(begun).on_conflict(unless_there);
    query.exec_without_returning(tx).await.or_fault()?;
    let query = audit_chains::Entity::find()
        .filter(audit_chains::Column::AccountId.is_in(accounts.iter().copied()))
        .order_by_asc(audit_chains::Column::AccountId);
    let rows = lock_row(tx, query).all(tx).await.or_fault()?;
    Ok(rows.into_iter().map(|row| (row.account_id, End { sequence: row.sequence, hash: row.hash })).collect())
}

/// Those of the ids that some chain has. Certain for rows of chains that are locked.
pub async fn known_of_any_account(tx: &Tx<'_>, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
    let query = Entity::find().select_only().column(Column::Id).filter(Column::Id.is_in(ids.iter().copied()));
    Ok(query.into_tuple::<Uuid>().all(tx).await.or_fault()?.into_iter().collect())
}

/// Writes rows, and where the chains end after them, under [`lock_chains`].
pub async fn append(tx: &Tx<'_>, rows: &[(Uuid, ChainedRow)], ends: &BTreeMap<Uuid, End>) -> Result<()> {
    for rows in rows.chunks(INSERT) {
        let rows = rows.iter().map(|(account, row)| to_row(*account, row));
        Entity::insert_many(rows).exec_without_returning(tx).await.or_fault()?;
    }
    for (account, end) in ends {
        let query = audit_chains::Entity::update_many()
            .col_expr(audit_chains::Column::Sequence, Expr::value(end.sequence))
            .col_expr(audit_chains::Column::Hash, Expr::value(end.hash.clone()))
            .filter(audit_chains::Column::AccountId.eq(*account));
        query.exec(tx).await.or_fault()?;
    }
    Ok(())
}

/// A page of an account's rows by their time, and the token of the next.
pub async fn events(
    on: &impl ConnectionTrait,
    account: AccountId,
    asked: &Asked,
    page: &Page,
) -> Result<(Vec<AuditEntry>, String)> {
    let mut query = Entity::find().filter(Column::AccountId.eq(account.0));
    if let Some(actor) = asked.actor {
        query = query.filter(Column::ActorId.eq(actor.to_string()));
    }
    if let Some(action) = &asked.action {
        query = query.filter(Column::Action.eq(action.as_str()));
    }
    if let Some(from) = asked.from_ms {
        query = query.filter(Column::TimeMs.gte(from));
    }
    if let Some(before) = asked.before_ms {
        query = query.filter(Column::TimeMs.lt(before));
    }
    let rows = page.select(query, Column::TimeMs, Column::Id).all(on).await.or_fault()?;
    let (rows, next) = page.finish(rows, |row| (row.time_ms, row.id));
    Ok((rows.into_iter().map(|row| to_domain(row).entry).collect(), next))
}

/// The first account after this one of which there is any row, chain or head.
pub async fn next_account(on: &impl ConnectionTrait, after: Option<Uuid>) -> Result<Option<Uuid>> {
    let mut first: Option<Uuid> = None;
    // SQLite takes any bytes for an id: such a row is missing where it was, and in no chain.
    let is_id = match on.dialect() {
        Backend::Postgres => "TRUE",
        Backend::Sqlite => "length(account_id) = 16",
    };
    for table in ["audit_events", "audit_chains", "audit_heads"] {
        let beyond = if after.is_some() { "AND account_id > $1" } else { "" };
        let sql =
            format!("SELECT account_id FROM {table} WHERE {is_id} {beyond} ORDER BY account_id LIMIT 1");
        let row = on.row(&sql, after.map(Into::into).into_iter().collect()).await?;
        let found = row.map(|row| row.try_get::<Uuid>("", "account_id").or_fault()).transpose()?;
        first = match (first, found) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    Ok(first)
}

/// None for a chain that was never begun, or whose end was taken away.
pub async fn chain(on: &impl ConnectionTrait, account: Uuid) -> Result<Option<Chain>> {
    let row = audit_chains::Entity::find_by_id(account).one(on).await.or_fault()?;
    Ok(row.map(|row| Chain {
        end: End { sequence: row.sequence, hash: row.hash },
        signed_sequence: row.signed_sequence,
    }))
}

/// Rows beyond a sequence, in their order.
pub async fn rows_after(
    on: &impl ConnectionTrait,
    account: Uuid,
    after: i64,
    max: u64,
) -> Result<Vec<ChainedRow>> {
    let query = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Sequence.gt(after));
    let query = query.order_by_asc(Column::Sequence).limit(max).into_model::<AsFound>();
    Ok(query.all(on).await.or_fault()?.into_iter().map(|AsFound(row)| row).collect())
}

/// The last rows before a sequence, in their order.
pub async fn rows_before(
    on: &impl ConnectionTrait,
    account: Uuid,
    before: i64,
    max: i64,
) -> Result<Vec<ChainedRow>> {
    let max = u64::try_from(max).map_err(Fault::internal)?;
    let query = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Sequence.lt(before));
    let query = query.order_by_desc(Column::Sequence).limit(max).into_model::<AsFound>();
    Ok(query.all(on).await.or_fault()?.into_iter().rev().map(|AsFound(row)| row).collect())
}

/// The id and hash of the row at a place.
pub async fn row_at(
    on: &impl ConnectionTrait,
    account: Uuid,
    sequence: i64,
) -> Result<Option<(Uuid, Vec<u8>)>> {
    let query = Entity::find_by_id((account, sequence)).select_only().column(Column::Id).column(Column::Hash);
    let found = query.into_model::<AsFound>().one(on).await.or_fault()?;
    Ok(found.map(|AsFound(row)| (row.entry.id, row.hash)))
}

/// A row as it lies there for whoever verifies it: somebody else may have written it. In place of a value that is none of its
/// column's type stands one that no row has, so that the row does not fit its hash.
struct AsFound(ChainedRow);

impl FromQueryResult for AsFound {
    fn from_query_result(row: &QueryResult, prefix: &str) -> std::result::Result<Self, DbErr> {
        let text = |column: Column| {
            row.try_get::<String>(prefix, column.as_str()).unwrap_or_else(|_| UNREADABLE.to_owned())
        };
        let number = |column: Column| row.try_get::<i64>(prefix, column.as_str()).unwrap_or(i64::MIN);
        let entry = AuditEntry {
            id: row.try_get(prefix, Column::Id.as_str()).unwrap_or_default(),
            time_ms: number(Column::TimeMs),
            actor_id: text(Column::ActorId),
            actor_kind: text(Column::ActorKind),
            actor_name: text(Column::ActorName),
            action: text(Column::Action),
            target_type: text(Column::TargetType),
            target_id: text(Column::TargetId),
            outcome: text(Column::Outcome),
            before: text(Column::Before),
            after: text(Column::After),
            address: text(Column::Address),
            key_fingerprint: text(Column::KeyFingerprint),
            request_id: text(Column::RequestId),
        };
        let hash = row.try_get(prefix, Column::Hash.as_str()).unwrap_or_default();
        Ok(Self(ChainedRow { sequence: number(Column::Sequence), entry, hash }))
    }
}

fn to_domain(row: Model) -> ChainedRow {
    let entry = AuditEntry {
        id: row.id,
        time_ms: row.time_ms,
        actor_id: row.actor_id,
        actor_kind: row.actor_kind,
        actor_name: row.actor_name,
        action: row.action,
        target_type: row.target_type,
        target_id: row.target_id,
        outcome: row.outcome,
        before: row.before,
        after: row.after,
        address: row.address,
        key_fingerprint: row.key_fingerprint,
        request_id: row.request_id,
    };
    ChainedRow { sequence: row.sequence, entry, hash: row.hash }
}

fn to_row(account: Uuid, row: &ChainedRow) -> ActiveModel {
    let entry = row.entry.clone();
    ActiveModel {
        account_id: Set(account),
        sequence: Set(row.sequence),
        id: Set(entry.id),
        time_ms: Set(entry.time_ms),
        actor_id: Set(entry.actor_id),
        actor_kind: Set(entry.actor_kind),
        actor_name: Set(entry.actor_name),
        action: Set(entry.action),
        target_type: Set(entry.target_type),
        target_id: Set(entry.target_id),
        outcome: Set(entry.outcome),
        before: Set(entry.before),
        after: Set(entry.after),
        address: Set(entry.address),
        key_fingerprint: Set(entry.key_fingerprint),
        request_id: Set(entry.request_id),
        hash: Set(row.hash.clone()),
    }
}
