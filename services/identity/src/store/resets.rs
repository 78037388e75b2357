//! Password resets that were asked for, whether or not there is somebody to mail: a task looks, so that asking takes as long
//! for an address that nobody has.

use beem_clock::Moment;
use beem_database::{OrFault as _, Sql as _, Tx};
use beem_fault::Result;
use beem_ids::RequestId;
use sea_orm::{ConnectionTrait, QueryResult};
use std::net::IpAddr;
use uuid::Uuid;

/// One that waits.
#[derive(Clone, Debug)]
pub struct ResetRequest {
    pub id: Uuid,
    pub email_folded: String,
    pub address: IpAddr,
    pub request: RequestId,
    pub created: Moment,
}

/// Requests that wait at most: as many as the task carries out in minutes, and more than anybody but an attacker asks for.
const MOST_WAITING: i64 = 10_000;

/// Writes one down, if not too many wait already: whoever asks is not told.
///
/// # Errors
/// As the database says.
pub async fn insert(tx: &Tx<'_>, email_folded: &str, address: IpAddr, request: RequestId) -> Result<()> {
    let waiting = tx.row("SELECT count(*) AS n FROM reset_requests", vec![]).await?;
    let waiting = waiting.map(|row| row.try_get::<i64>("", "n").or_fault()).transpose()?.unwrap_or_default();
    if waiting >= MOST_WAITING {
        return Ok(());
    }
    let sql = "INSERT INTO reset_requests (id, email_folded, address, request_id, created_ms, next_ms)
               VALUES ($1, $2, $3, $4, $5, $5)";
    let values = vec![
        beem_ids::draw(tx.now(), tx.entropy()).into(),
        email_folded.into(),
        address.to_string().into(),
        request.to_string().into(),
        tx.now().unix_ms().into(),
    ];
    tx.run(sql, values).await.map(drop)
}

/// Those whose turn it is, the oldest first, at most `max`.
///
/// # Errors
/// As the database says.
pub async fn waiting(on: &impl ConnectionTrait, now: Moment, max: u32) -> Result<Vec<ResetRequest>> {
    let sql = "SELECT id, email_folded, address, request_id, created_ms FROM reset_requests
               WHERE next_ms <= $1 ORDER BY next_ms, id LIMIT $2";
    on.rows(sql, vec![now.unix_ms().into(), i64::from(max).into()]).await?.iter().map(read).collect()
}

/// It could not be carried out: its turn comes again later, and those behind it come first.
///
/// # Errors
/// As the database says.
pub async fn postpone(tx: &Tx<'_>, id: Uuid, wait_ms: i64) -> Result<()> {
    let next_ms = tx.now().plus_ms(wait_ms).unix_ms();
    tx.run("UPDATE reset_requests SET next_ms = $2 WHERE id = $1", vec![id.into(), next_ms.into()])
        .await
        .map(drop)
}

/// It is carried out; false when another process has done so.
///
/// # Errors
/// As the database says.
pub async fn take(tx: &Tx<'_>, id: Uuid) -> Result<bool> {
    Ok(tx.run("DELETE FROM reset_requests WHERE id = $1", vec![id.into()]).await? == 1)
}

fn read(row: &QueryResult) -> Result<ResetRequest> {
    let text = |name: &str| row.try_get::<String>("", name).or_fault();
    Ok(ResetRequest {
        id: row.try_get("", "id").or_fault()?,
        email_folded: text("email_folded")?,
        address: text("address")?.parse().map_err(|_| super::garbled("reset's address"))?,
        request: text("request_id")?.parse().map_err(|_| super::garbled("reset's request id"))?,
        created: Moment::from_unix_ms(row.try_get("", "created_ms").or_fault()?),
    })
}
