//! The feeds as operators of the installation see them: how far each is taken in, and beginning one anew.

use super::{lost, moment};
use beem_clock::Moment;
use beem_database::{Database, Sql, Tx};
use beem_events::Cursor;
use beem_fault::Result;

/// How far one service's feed is taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedState {
    pub cursor: Cursor,
    /// Whether nothing is taken in until it is begun anew.
    pub lost: bool,
}

/// Of this service.
///
/// # Errors
/// As the database says.
pub async fn get(db: &Database, source: &str) -> Result<FeedState> {
    Ok(FeedState { cursor: Cursor::load(db, source).await?, lost: lost::is_lost(db.read(), source).await? })
}

/// Has the feed taken in from its oldest event on. The cursor goes first: whoever notes a loss at the same time does so
/// under its lock.
///
/// # Errors
/// As the database says.
pub async fn restart(tx: &Tx<'_>, source: &str) -> Result<()> {
    tx.run("DELETE FROM cursors WHERE feed = $1", vec![source.into()]).await?;
    tx.run("DELETE FROM lost_feeds WHERE source = $1", vec![source.into()]).await?;
    let sql = "INSERT INTO feed_restarts (source, restarted_ms) VALUES ($1, $2)
        ON CONFLICT (source) DO UPDATE SET restarted_ms = excluded.restarted_ms";
    tx.run(sql, vec![source.into(), tx.now().unix_ms().into()]).await.map(drop)
}

/// When the feed was last begun anew; None when it never was.
///
/// # Errors
/// As the database says.
pub async fn restarted(on: &impl Sql, source: &str) -> Result<Option<Moment>> {
    let sql = "SELECT restarted_ms FROM feed_restarts WHERE source = $1";
    on.row(sql, vec![source.into()]).await?.map(|row| moment(&row, "restarted_ms")).transpose()
}
