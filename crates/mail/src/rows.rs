//! The statements on `mails`. Whoever sends names its lease by owner and attempt, so that what it says late is refused;
//! only that a mail *was* sent is true whoever says it.

use crate::{NewMail, Undelivered};
use beem_clock::Moment;
use beem_database::{Backend, Database, OrFault as _, Sql as _, Tx};
use beem_fault::Result;
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

/// A mail in our hands until its lease lapses.
pub(crate) struct Claimed {
    pub(crate) id: Uuid,
    pub(crate) to: String,
    pub(crate) kind: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) created: Moment,
    /// The number of this attempt, from 1; the fence of the lease.
    pub(crate) attempt: i64,
}

/// What a payload is sealed for.
pub(crate) fn context(id: Uuid) -> String {
    format!("mails.payload:{id}")
}

pub(crate) async fn insert(tx: &Tx<'_>, id: Uuid, mail: &NewMail, payload: Vec<u8>) -> Result<()> {
    let sql =
        "INSERT INTO mails (id, to_address, kind, payload, created_ms, next_ms, attempts, lease_until_ms)
        VALUES ($1, $2, $3, $4, $5, $5, 0, 0)";
    let values =
        vec![id.into(), mail.to.as_str().into(), mail.kind.into(), payload.into(), tx.now().unix_ms().into()];
    tx.run(sql, values).await.map(drop)
}

const DUE: &str = "payload IS NOT NULL AND next_ms <= $1 AND lease_until_ms <= $1";

/// Whether anything is to be sent: a reader's question, so that an idle queue costs the writer nothing.
pub(crate) async fn any_due(db: &Database) -> Result<bool> {
    let sql = format!("SELECT 1 AS found FROM mails WHERE {DUE} LIMIT 1");
    Ok(db.read().row(&sql, vec![db.clock().now().unix_ms().into()]).await?.is_some())
}

/// Makes at most `max` mails that are due ours, those first that have waited longest.
pub(crate) async fn claim(tx: &Tx<'_>, owner: Uuid, lease_ms: i64, max: usize) -> Result<Vec<Claimed>> {
    let skip_locked = match tx.backend() {
        Backend::Postgres => "FOR UPDATE SKIP LOCKED",
        Backend::Sqlite => "",
    };
    let now_ms = tx.now().unix_ms();
    let sql = format!(
        "SELECT id, to_address, kind, payload, created_ms, attempts + 1 AS attempt FROM mails
        WHERE {DUE} ORDER BY next_ms, id LIMIT $2 {skip_locked}"
    );
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let rows = tx.rows(&sql, vec![now_ms.into(), max.into()]).await?;
    let claimed: Vec<Claimed> = rows.iter().map(read).collect::<Result<_>>()?;
    for mail in &claimed {
        let sql = "UPDATE mails SET owner = $2, attempts = $3, lease_until_ms = $4 WHERE id = $1";
        let until_ms = now_ms.saturating_add(lease_ms);
        tx.run(sql, vec![mail.id.into(), owner.into(), mail.attempt.into(), until_ms.into()]).await?;
    }
    Ok(claimed)
}

fn read(row: &QueryResult) -> Result<Claimed> {
    Ok(Claimed {
        id: row.try_get("", "id").or_fault()?,
        to: row.try_get("", "to_address").or_fault()?,
        kind: row.try_get("", "kind").or_fault()?,
        payload: row.try_get("", "payload").or_fault()?,
        created: Moment::from_unix_ms(row.try_get("", "created_ms").or_fault()?),
        attempt: row.try_get("", "attempt").or_fault()?,
    })
}

const OURS: &str = "id = $1 AND owner = $2 AND attempts = $3 AND payload IS NOT NULL";

/// It was sent, whoever holds the lease by now: nobody needs to send it again.
pub(crate) async fn sent(tx: &Tx<'_>, mail: &Claimed) -> Result<()> {
    let sql =
        "UPDATE mails SET sent_ms = $2, failed_ms = NULL, payload = NULL, owner = NULL, lease_until_ms = 0
        WHERE id = $1 AND sent_ms IS NULL";
    tx.run(sql, vec![mail.id.into(), tx.now().unix_ms().into()]).await.map(drop)
}

/// It waits until `next`. False when it is not ours any more.
pub(crate) async fn postpone(
    tx: &Tx<'_>,
    mail: &Claimed,
    owner: Uuid,
    next: Moment,
    why: Undelivered,
) -> Result<bool> {
    let sql = format!(
        "UPDATE mails SET next_ms = $4, last_error = $5, owner = NULL, lease_until_ms = 0 WHERE {OURS}"
    );
    Ok(tx.run(&sql, ours(mail, owner, next, why)).await? == 1)
}

/// It is not tried again, and what it was made of is forgotten. False when it is not ours any more.
pub(crate) async fn fail(tx: &Tx<'_>, mail: &Claimed, owner: Uuid, why: Undelivered) -> Result<bool> {
    let sql = format!(
        "UPDATE mails SET failed_ms = $4, last_error = $5, payload = NULL, owner = NULL, lease_until_ms = 0
        WHERE {OURS}"
    );
    Ok(tx.run(&sql, ours(mail, owner, tx.now(), why)).await? == 1)
}

fn ours(mail: &Claimed, owner: Uuid, at: Moment, why: Undelivered) -> Vec<Value> {
    vec![mail.id.into(), owner.into(), mail.attempt.into(), at.unix_ms().into(), why.to_string().into()]
}

/// Whatever this owner still holds is free for anyone.
pub(crate) async fn give_back(tx: &Tx<'_>, owner: Uuid) -> Result<()> {
    let sql = "UPDATE mails SET owner = NULL, lease_until_ms = 0 WHERE owner = $1 AND payload IS NOT NULL";
    tx.run(sql, vec![owner.into()]).await.map(drop)
}

/// Payloads that wait, in the order of their ids.
pub(crate) async fn payloads(db: &Database, after: Uuid, max: u32) -> Result<Vec<(Uuid, Vec<u8>)>> {
    let sql = "SELECT id, payload FROM mails WHERE payload IS NOT NULL AND id > $1 ORDER BY id LIMIT $2";
    let rows = db.read().rows(sql, vec![after.into(), i64::from(max).into()]).await?;
    let read =
        |row: &QueryResult| Ok((row.try_get("", "id").or_fault()?, row.try_get("", "payload").or_fault()?));
    rows.iter().map(read).collect()
}

/// Puts another form of the same payload in its place, unless it has gone or changed meanwhile.
pub(crate) async fn replace_payload(tx: &Tx<'_>, id: Uuid, old: &[u8], new: &[u8]) -> Result<u64> {
    let sql = "UPDATE mails SET payload = $3 WHERE id = $1 AND payload = $2";
    tx.run(sql, vec![id.into(), old.to_vec().into(), new.to_vec().into()]).await
}
