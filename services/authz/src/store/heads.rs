//! Signed heads: how long each chain was at a time.

use super::entities::{audit_chains, audit_heads};
use audit_heads::{ActiveModel, Column, Entity};
use beem_database::{OrFault as _, Sql as _, Tx, lock_row};
use beem_fault::Result;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QueryResult, QuerySelect as _,
};
use uuid::Uuid;

/// What is signed, and the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub account: Uuid,
    pub sequence: i64,
    pub hash: Vec<u8>,
    pub time_ms: i64,
    pub signature: Vec<u8>,
}

/// A head beside the row it was signed over.
#[derive(Clone, Debug)]
pub struct StoredHead {
    pub head: Head,
    /// The row at its place as it is now.
    pub row: Option<(Uuid, Vec<u8>)>,
}

/// Chains that have grown since their newest head, when that is from `signed_before_ms` or earlier.
pub async fn due(on: &impl ConnectionTrait, signed_before_ms: i64, max: i64) -> Result<Vec<Uuid>> {
    let sql = "SELECT account_id FROM audit_chains WHERE signed_sequence < sequence AND signed_ms <= $1
        ORDER BY signed_ms LIMIT $2";
    let rows = on.rows(sql, vec![signed_before_ms.into(), max.into()]).await?;
    rows.iter().map(|row| row.try_get("", "account_id").or_fault()).collect()
}

/// Signs a chain as it is under its lock; nothing when it has not grown since its newest head.
pub async fn sign(
    tx: &Tx<'_>,
    account: Uuid,
    signature: &(dyn Fn(&Head) -> Result<Vec<u8>> + Send + Sync),
) -> Result<()> {
    let query = audit_chains::Entity::find_by_id(account);
    let Some(chain) = lock_row(tx, query).one(tx).await.or_fault()? else { return Ok(()) };
    if chain.signed_sequence >= chain.sequence {
        return Ok(());
    }
    let time_ms = tx.now().unix_ms();
    let (sequence, hash) = (chain.sequence, chain.hash);
    let mut head = Head { account, sequence, hash, time_ms, signature: Vec::new() };
    head.signature = signature(&head)?;
    let row = ActiveModel {
        account_id: Set(account),
        sequence: Set(sequence),
        hash: Set(head.hash),
        time_ms: Set(time_ms),
        signature: Set(head.signature),
    };
    Entity::insert(row).exec_without_returning(tx).await.or_fault()?;
    let query = audit_chains::Entity::update_many()
        .col_expr(audit_chains::Column::SignedSequence, Expr::value(sequence))
        .col_expr(audit_chains::Column::SignedMs, Expr::value(time_ms));
    query.filter(audit_chains::Column::AccountId.eq(account)).exec(tx).await.or_fault()?;
    Ok(())
}

/// The newest head of every chain beyond this account, in their order.
pub async fn newest_heads(on: &impl ConnectionTrait, after: Option<Uuid>, max: u32) -> Result<Vec<Head>> {
    let beyond = if after.is_some() { "AND c.account_id > $2" } else { "" };
    let sql = format!(
        "SELECT h.account_id, h.sequence, h.hash, h.time_ms, h.signature FROM audit_chains c
         JOIN audit_heads h ON h.account_id = c.account_id AND h.sequence = c.signed_sequence
         WHERE c.signed_sequence > 0 {beyond} ORDER BY c.account_id LIMIT $1"
    );
    let values = std::iter::once(i64::from(max).into()).chain(after.map(Into::into)).collect();
    on.rows(&sql, values).await?.iter().map(read).collect()
}

/// Heads of a chain beyond a sequence, in their order, each with the row at its place.
pub async fn heads_after(
    on: &impl ConnectionTrait,
    account: Uuid,
    after: i64,
    max: u64,
) -> Result<Vec<StoredHead>> {
    let query = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Sequence.gt(after));
    let rows = query.order_by_asc(Column::Sequence).limit(max).all(on).await.or_fault()?;
    let mut heads = Vec::with_capacity(rows.len());
    for row in rows {
        let head = Head {
            account,
            sequence: row.sequence,
            hash: row.hash,
            time_ms: row.time_ms,
            signature: row.signature,
        };
        let row = super::trail::row_at(on, account, head.sequence).await?;
        heads.push(StoredHead { head, row });
    }
    Ok(heads)
}

fn read(row: &QueryResult) -> Result<Head> {
    Ok(Head {
        account: row.try_get("", "account_id").or_fault()?,
        sequence: row.try_get("", "sequence").or_fault()?,
        hash: row.try_get("", "hash").or_fault()?,
        time_ms: row.try_get("", "time_ms").or_fault()?,
        signature: row.try_get("", "signature").or_fault()?,
    })
}
