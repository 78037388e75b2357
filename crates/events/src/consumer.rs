//! Following another service's feed: every event is taken in together with the cursor behind it, in one transaction, so
//! that it has its effect once however often it arrives.

use crate::feed::DEFAULT_MAX;
use crate::outbox::{signed, unsigned};
use crate::{Event, Feed, Slice};
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::{Code, Fault, Result};
use futures::future::BoxFuture;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One read waits so long for the first event.
const WAIT: Duration = Duration::from_secs(10);
/// After a failure, doubling from the first to the second.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// How far a feed has been taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Empty before the first read.
    pub epoch: String,
    pub position: u64,
}

/// What a source answers.
pub type Batch = Slice;

/// Where events come from: a peer's `Feed`, or this process's own.
pub trait Source: Send + Sync {
    /// As [`Feed::read`].
    fn read<'a>(&'a self, cursor: &'a Cursor, max: u32, wait: Duration) -> BoxFuture<'a, Result<Batch>>;
}

impl Source for Feed {
    fn read<'a>(&'a self, cursor: &'a Cursor, max: u32, wait: Duration) -> BoxFuture<'a, Result<Batch>> {
        Box::pin(Self::read(self, &cursor.epoch, cursor.position, max, wait))
    }
}

/// What an event does here.
pub trait Handler: Send + Sync {
    /// Its local effect, through `tx` alone: what must be called elsewhere is asked for by the rows written here.
    ///
    /// An error stops the feed at this event and is tried again: nothing is ever skipped. So an event that is of no
    /// concern, or makes no sense, is an `Ok` (and a line in the log).
    fn apply<'t>(&'t self, tx: &'t Tx<'_>, event: &'t Event) -> BoxFuture<'t, Result<()>>;
}

impl Cursor {
    /// Where `feed` stands.
    ///
    /// # Errors
    /// `unavailable` when the database is away.
    pub async fn load(db: &Database, feed: &str) -> Result<Self> {
        let sql = "SELECT epoch, position FROM cursors WHERE feed = $1";
        let Some(row) = db.read().row(sql, vec![feed.into()]).await? else { return Ok(Self::default()) };
        let position: i64 = row.try_get("", "position").or_fault()?;
        Ok(Self { epoch: row.try_get("", "epoch").or_fault()?, position: unsigned(position)? })
    }

    /// Moves it from `self` to `next`, with the effects of what lies between.
    ///
    /// # Errors
    /// `changed-concurrently` when another process has moved it: then the transaction's effects were made already.
    pub async fn advance(&self, tx: &Tx<'_>, feed: &str, next: &Self) -> Result<()> {
        let mut values = vec![
            feed.into(),
            next.epoch.as_str().into(),
            signed(next.position)?.into(),
            tx.now().unix_ms().into(),
        ];
        let sql = if self.epoch.is_empty() {
            "INSERT INTO cursors (feed, epoch, position, updated_ms) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
        } else {
            values.extend([self.epoch.as_str().into(), signed(self.position)?.into()]);
            "UPDATE cursors SET epoch = $2, position = $3, updated_ms = $4
             WHERE feed = $1 AND epoch = $5 AND position = $6"
        };
        if tx.run(sql, values).await? == 1 {
            return Ok(());
        }
        Err(Fault::new(Code::ChangedConcurrently, "another process follows this feed"))
    }
}

/// Takes `feed` in until cancelled, event by event in order. Several processes may follow the same one: each event has
/// its effect in one of them.
///
/// # Errors
/// `feed-cursor-lost`: the source no longer has what comes next. That takes a decision; going on would be a gap.
pub async fn follow(
    db: &Database,
    feed: &str,
    source: &dyn Source,
    handler: &dyn Handler,
    cancel: CancellationToken,
) -> Result<()> {
    let mut backoff = FIRST_BACKOFF;
    let mut max = DEFAULT_MAX;
    loop {
        let stepped = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            stepped = step(db, feed, source, handler, max) => stepped,
        };
        let fault = match stepped {
            Ok(()) => {
                (backoff, max) = (FIRST_BACKOFF, DEFAULT_MAX);
                continue;
            }
            Err(fault) if fault.code == Code::FeedCursorLost => return Err(fault),
            Err(fault) => fault,
        };
        if backoff == FIRST_BACKOFF {
            tracing::warn!(feed, ?fault, "a feed does not move");
        }
        // Those before the event that fails are taken in; it is tried again by itself.
        max = 1;
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(backoff) => {}
        }
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

async fn step(db: &Database, feed: &str, source: &dyn Source, handler: &dyn Handler, max: u32) -> Result<()> {
    let cursor = &Cursor::load(db, feed).await?;
    let batch = source.read(cursor, max, WAIT).await?;
    let Some(last) = batch.events.last() else { return Ok(()) };
    let next = &Cursor { epoch: batch.epoch.clone(), position: last.position };
    let events = &batch.events;
    let taken = db.write(|tx| {
        Box::pin(async move {
            // First, so that two processes meet here and not in their effects.
            cursor.advance(tx, feed, next).await?;
            for event in events {
                handler.apply(tx, event).await?;
            }
            Ok(())
        })
    });
    match taken.await {
        Err(fault) if fault.code == Code::ChangedConcurrently => Ok(()),
        other => other,
    }
}
