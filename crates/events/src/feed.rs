//! The feed of one database: its epoch, what it answers, how far back it reaches.

use crate::cursor::lost;
use crate::outbox::{COLUMNS, Event, signed, unsigned};
use beem_database::{Backend, Database, OrFault as _, Sql as _, Tx};
use beem_fault::{Fault, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Events in one answer.
const DEFAULT_MAX: u32 = 100;
const LARGEST_MAX: u32 = 500;
/// The longest wait for the first event.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// How often one looks for what another process has numbered.
pub(crate) const POLL: Duration = Duration::from_millis(200);

/// A database's feed. Cheap to clone.
#[derive(Clone)]
pub struct Feed {
    pub(crate) db: Database,
    epoch: Arc<str>,
    /// Told when this process has numbered rows.
    pub(crate) numbered: Arc<Notify>,
    /// Told when a transaction of this process has announced something: the sequencer hears it first and passes it on.
    pub(crate) announced: Arc<Notify>,
}

/// A stretch of the feed.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    pub epoch: String,
    /// Oldest first.
    pub events: Vec<Event>,
}

impl Feed {
    /// Opens the feed, drawing its epoch the first time. The epoch names this very history: a database restored or made
    /// anew has another one.
    ///
    /// # Errors
    /// `unavailable` when the database is away.
    pub async fn open(db: Database) -> Result<Self> {
        let epoch = db.write(|tx| Box::pin(epoch(tx))).await?;
        Ok(Self { db, epoch: epoch.into(), numbered: Arc::default(), announced: Arc::default() })
    }

    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Events after position `after`, at most `max` (0 is 100, 500 at most); waits up to `wait` (at most 20 s) for the
    /// first one. An empty `epoch` with `after` 0 begins with the oldest event there is.
    ///
    /// # Errors
    /// `feed-cursor-lost` for another epoch's cursor and for one whose next events are purged; `validation-failed` for
    /// `max` over 500 and for a position without its epoch.
    pub async fn read(&self, epoch: &str, after: u64, max: u32, wait: Duration) -> Result<Slice> {
        let max = match max {
            0 => DEFAULT_MAX,
            1..=LARGEST_MAX => max,
            _ => return Err(Fault::field("max", "1 to 500")),
        };
        if epoch.is_empty() && after > 0 {
            return Err(Fault::field("epoch", "a position needs its epoch"));
        }
        if !epoch.is_empty() && epoch != self.epoch() {
            return Err(lost("another feed's cursor"));
        }
        let give_up = Instant::now() + wait.min(LONGEST_WAIT);
        loop {
            // Registered before looking, so that rows numbered in between are not slept through.
            let numbered = self.numbered.notified();
            let events = self.look(epoch, after, max).await?;
            if !events.is_empty() || Instant::now() >= give_up {
                return Ok(Slice { epoch: self.epoch().to_owned(), events });
            }
            let next = give_up.min(Instant::now() + POLL);
            drop(tokio::time::timeout_at(next, numbered).await);
        }
    }

    async fn look(&self, epoch: &str, after: u64, max: u32) -> Result<Vec<Event>> {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE position > $1 ORDER BY position LIMIT $2");
        let values = vec![signed(after)?.into(), i64::from(max).into()];
        let rows = self.db.read().rows(&sql, values).await?;
        // Looked at afterwards: a purge in between shows here, and never as a gap.
        if !epoch.is_empty() {
            let (head, purged_to) = self.bounds().await?;
            if after < purged_to {
                return Err(lost("older than what is kept"));
            }
            if after > head {
                return Err(lost("ahead of the feed"));
            }
        }
        rows.iter().map(Event::read).collect()
    }

    /// The last position given, and the last one purged.
    async fn bounds(&self) -> Result<(u64, u64)> {
        let row = self.db.read().row("SELECT head, purged_to FROM feed", vec![]).await?;
        let row = row.ok_or_else(|| Fault::internal("the feed has no row"))?;
        let (head, purged_to): (i64, i64) =
            (row.try_get("", "head").or_fault()?, row.try_get("", "purged_to").or_fault()?);
        Ok((unsigned(head)?, unsigned(purged_to)?))
    }

    /// Forgets the oldest events, at most `max`, that are all older than `retention_ms`; how many it was.
    ///
    /// # Errors
    /// `unavailable` when the database is away.
    pub async fn purge(&self, retention_ms: i64, max: u32) -> Result<u64> {
        self.db.write(|tx| Box::pin(purge(tx, retention_ms, max))).await
    }
}

async fn epoch(tx: &Tx<'_>) -> Result<String> {
    let drawn = uuid::Uuid::from_bytes(tx.entropy().bytes()).simple().to_string();
    let sql =
        "INSERT INTO feed (one_row, epoch, head, purged_to) VALUES (1, $1, 0, 0) ON CONFLICT DO NOTHING";
    tx.run(sql, vec![drawn.into()]).await?;
    let row = tx.row("SELECT epoch FROM feed", vec![]).await?;
    row.ok_or_else(|| Fault::internal("the feed has no row"))?.try_get("", "epoch").or_fault()
}

async fn purge(tx: &Tx<'_>, retention_ms: i64, max: u32) -> Result<u64> {
    let lock = match tx.backend() {
        Backend::Postgres => "FOR UPDATE",
        Backend::Sqlite => "",
    };
    // Never beyond the first event that is young enough, nor beyond the numbered ones.
    let sql = "SELECT coalesce(min(position) - 1, (SELECT head FROM feed)) AS upto FROM outbox
        WHERE position IS NOT NULL AND created_ms > $1";
    let row = tx.row(&format!("SELECT purged_to FROM feed {lock}"), vec![]).await?;
    let purged_to: i64 =
        row.ok_or_else(|| Fault::internal("the feed has no row"))?.try_get("", "purged_to").or_fault()?;
    let row = tx.row(sql, vec![tx.now().plus_ms(retention_ms.saturating_neg()).unix_ms().into()]).await?;
    let upto: i64 =
        row.ok_or_else(|| Fault::internal("an aggregate without a row"))?.try_get("", "upto").or_fault()?;
    let upto = upto.min(purged_to.saturating_add(i64::from(max))).max(purged_to);
    tx.run("UPDATE feed SET purged_to = $1", vec![upto.into()]).await?;
    tx.run("DELETE FROM outbox WHERE position <= $1", vec![upto.into()]).await
}
