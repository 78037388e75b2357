//! Events as they were taken in, to be pulled in the order of their positions. Taking them in is the intake's.

use super::locked::locked;
use super::{garbled, id, text};
use crate::domain::Areas;
use beem_database::{OrFault as _, Sql, Tx};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, EventId};
use sea_orm::QueryResult;

/// An account's events that are looked at for one page, readable or not.
const LOOKED_AT: u32 = 5_000;

/// Bytes of bodies after which a page ends. An answer inside the house has 4 MiB at most.
const LARGEST_PAGE: usize = 1024 * 1024;

/// Where an account's events begin and where events end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Whatever the account had up to here is no longer kept.
    pub purged_to: i64,
    /// Of all accounts.
    pub head: i64,
}

/// A part of an account's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Those that may be read, as they are posted.
    pub bodies: Vec<String>,
    /// It goes up to here.
    pub end: i64,
    /// There are events behind its end.
    pub more: bool,
}

/// See [`Bounds`].
///
/// # Errors
/// As the database says.
pub async fn bounds(on: &impl Sql, account: AccountId) -> Result<Bounds> {
    let sql =
        "SELECT head, (SELECT purged_to FROM event_floors WHERE account_id = $1) AS purged_to FROM intake";
    let row = on.row(sql, vec![account.0.into()]).await?.ok_or_else(|| garbled("intake"))?;
    let purged_to: Option<i64> = row.try_get("", "purged_to").or_fault()?;
    Ok(Bounds { purged_to: purged_to.unwrap_or(0), head: row.try_get("", "head").or_fault()? })
}

/// What the account has behind a position: at most `max` events of these areas.
///
/// # Errors
/// As the database says.
pub async fn behind(
    on: &impl Sql,
    account: AccountId,
    position: i64,
    areas: Areas,
    max: u32,
) -> Result<Stretch> {
    // How far this page can look: not through everything the account has when hardly anything of it may be read.
    let sql = format!(
        "SELECT max(position) AS last FROM (
            SELECT position FROM events WHERE account_id = $1 AND position > $2 ORDER BY position LIMIT {LOOKED_AT}) AS near"
    );
    let row =
        on.row(&sql, vec![account.0.into(), position.into()]).await?.ok_or_else(|| garbled("events"))?;
    let last: Option<i64> = row.try_get("", "last").or_fault()?;
    let Some(last) = last else {
        return Ok(Stretch { bodies: Vec::new(), end: position, more: false });
    };
    // One more than the page has, to see whether it is the last of those.
    let sql = format!(
        "SELECT position, body FROM events WHERE account_id = $1 AND position > $2 AND position <= $3 AND (area & $4) <> 0
         ORDER BY position LIMIT {}",
        u64::from(max).saturating_add(1)
    );
    let values = vec![account.0.into(), position.into(), last.into(), areas.bits().into()];
    let rows = on.rows(&sql, values).await?;
    let found = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    let (bodies, cut) = page(found, max);
    match cut {
        Some(end) => Ok(Stretch { bodies, end, more: true }),
        None => Ok(Stretch { bodies, end: last, more: is_any(on, account, last).await? }),
    }
}

/// The bodies of a page, and the position of its last event when some that were found are not on it.
fn page(found: Vec<(i64, String)>, max: u32) -> (Vec<String>, Option<i64>) {
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let (mut bodies, mut bytes, mut end) = (Vec::new(), 0_usize, None);
    for (position, body) in found {
        bytes = bytes.saturating_add(body.len());
        if bodies.len() >= max || (bytes > LARGEST_PAGE && !bodies.is_empty()) {
            return (bodies, end);
        }
        bodies.push(body);
        end = Some(position);
    }
    (bodies, None)
}

async fn is_any(on: &impl Sql, account: AccountId, behind: i64) -> Result<bool> {
    let sql = "SELECT 1 AS one FROM events WHERE account_id = $1 AND position > $2 LIMIT 1";
    Ok(on.row(sql, vec![account.0.into(), behind.into()]).await?.is_some())
}

/// The event at a position, whoever's it is. None when it is not kept.
///
/// # Errors
/// As the database says.
pub async fn at(on: &impl Sql, position: i64) -> Result<Option<EventId>> {
    let row = on.row("SELECT event_id FROM events WHERE position = $1", vec![position.into()]).await?;
    row.map(|row| id(&row, "event_id").map(EventId)).transpose()
}

/// The position of the account's last event that is kept; 0 when there is none.
///
/// # Errors
/// As the database says.
pub async fn last(on: &impl Sql, account: AccountId) -> Result<i64> {
    let sql = "SELECT max(position) AS last FROM events WHERE account_id = $1";
    let row = on.row(sql, vec![account.0.into()]).await?.ok_or_else(|| garbled("events"))?;
    let last: Option<i64> = row.try_get("", "last").or_fault()?;
    Ok(last.unwrap_or(0))
}

/// Whether the event is still kept, and then until the transaction ends.
///
/// # Errors
/// As the database says.
pub async fn keep(tx: &Tx<'_>, event: EventId) -> Result<bool> {
    let sql = format!("SELECT 1 AS one FROM events WHERE event_id = $1 {}", locked(tx, "FOR KEY SHARE"));
    Ok(tx.row(&sql, vec![event.0.into()]).await?.is_some())
}

/// The place of an event of our own among those of what it is about, from 1, without gaps.
///
/// # Errors
/// As the database says.
pub async fn next_sequence(tx: &Tx<'_>, entity: &str) -> Result<u64> {
    let sql = "INSERT INTO event_sequences (entity_id, last) VALUES ($1, 1)
        ON CONFLICT (entity_id) DO UPDATE SET last = event_sequences.last + 1 RETURNING last";
    let row = tx.row(sql, vec![entity.into()]).await?.ok_or_else(|| garbled("sequence"))?;
    let last: i64 = row.try_get("", "last").or_fault()?;
    u64::try_from(last).map_err(Fault::internal)
}

fn read(row: &QueryResult) -> Result<(i64, String)> {
    Ok((row.try_get("", "position").or_fault()?, text(row, "body")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_it_is_full_and_always_has_one_event() {
        let event = |position: i64, bytes: usize| (position, "x".repeat(bytes));
        assert_eq!(page(vec![], 2), (vec![], None));
        assert_eq!(page(vec![event(3, 1), event(5, 1)], 2).1, None, "nothing else was found");
        let (bodies, end) = page(vec![event(3, 1), event(5, 1), event(6, 1)], 2);
        assert_eq!((bodies.len(), end), (2, Some(5)));
        let (bodies, end) = page(vec![event(3, LARGEST_PAGE - 1), event(5, 1), event(6, 1)], 500);
        assert_eq!((bodies.len(), end), (2, Some(5)));
        let (bodies, end) = page(vec![event(3, LARGEST_PAGE + 1), event(5, 1)], 500);
        assert_eq!((bodies.len(), end), (1, Some(3)), "however large it is");
    }
}
