//! Feeds that are lost: their source no longer has what comes next. Nothing is taken in until an operator has restarted the
//! feed, also when the source has gone on meanwhile and would answer again: what lies between is gone.
//!
//! A restart deletes the cursor first and the row of the loss second, so that a loss found with the old cursor is either
//! undone with it or never noted.

use super::locked::locked;
use beem_database::{Database, Sql, Tx};
use beem_events::Cursor;
use beem_fault::{Fault, Result};

/// Whether the feed is lost.
///
/// # Errors
/// As the database says.
pub async fn is_lost(on: &impl Sql, feed: &str) -> Result<bool> {
    let row = on.row("SELECT 1 AS found FROM lost_feeds WHERE source = $1", vec![feed.into()]).await?;
    Ok(row.is_some())
}

/// Notes the loss that was found with this cursor, or with the one before it, which a follower asks with to recognise what it
/// took in last; nothing when the feed has another cursor by now.
///
/// # Errors
/// As the database says.
pub async fn note(db: &Database, feed: &str, cursor: &Cursor) -> Result<()> {
    db.write(|tx| Box::pin(note_in(tx, feed, cursor))).await
}

async fn note_in(tx: &Tx<'_>, feed: &str, cursor: &Cursor) -> Result<()> {
    let sql = format!(
        "SELECT 1 AS found FROM cursors WHERE feed = $1 AND epoch = $2 AND position IN ($3, $3 + 1) {}",
        locked(tx, "FOR UPDATE")
    );
    let position = i64::try_from(cursor.position).map_err(Fault::internal)?;
    let values = vec![feed.into(), cursor.epoch.as_str().into(), position.into()];
    if tx.row(&sql, values).await?.is_some() {
        let sql = "INSERT INTO lost_feeds (source, lost_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        tx.run(sql, vec![feed.into(), tx.now().unix_ms().into()]).await?;
    }
    Ok(())
}
