//! Following another service's feed: events are taken in together with the cursor behind them, in one transaction, so
//! that each has its effect once however often it arrives.

use crate::cursor::lost;
use crate::{Cursor, Event, Feed, Slice};
use beem_database::{Database, Tx};
use beem_fault::{Code, Fault, Result};
use futures::future::BoxFuture;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One read waits so long for the first event.
const WAIT: Duration = Duration::from_secs(10);
/// Events taken in at once, the most that a feed answers.
const BATCH: u32 = 500;
/// After a failure, doubling from the first to the second.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// What a source answers.
pub type Batch = Slice;

/// Where events come from: a peer's feed over a link ([`PeerFeed`](crate::PeerFeed)), or this process's own.
pub trait Source: Send + Sync {
    /// As [`Feed::read`].
    fn read<'a>(&'a self, cursor: &'a Cursor, max: u32, wait: Duration) -> BoxFuture<'a, Result<Batch>>;
}

impl Source for Feed {
    fn read<'a>(&'a self, cursor: &'a Cursor, max: u32, wait: Duration) -> BoxFuture<'a, Result<Batch>> {
        Box::pin(Self::read(self, &cursor.epoch, cursor.position, max, wait))
    }
}

/// What events do here.
pub trait Handler: Send + Sync {
    /// The local effect of all of them, oldest first and never none, through `tx` alone: what must be called elsewhere is
    /// asked for by the rows written here.
    ///
    /// An error undoes them all; they are tried again, fewer at a time and at last the one that fails by itself, which stops
    /// the feed: nothing is ever skipped. So an event that is of no concern, or makes no sense, is no error (and a line in
    /// the log).
    fn apply<'t>(&'t self, tx: &'t Tx<'_>, events: &'t [Event]) -> BoxFuture<'t, Result<()>>;
}

/// Takes `feed` in until cancelled, in order and up to 500 events a transaction. Several processes may follow the same one:
/// each event has its effect in one of them.
///
/// # Errors
/// `feed-cursor-lost`: the source no longer has what comes next, or is not the one that was followed until now but an earlier
/// copy of it, restored. That takes a decision; going on would be a gap.
pub async fn follow(
    db: &Database,
    feed: &str,
    source: &dyn Source,
    handler: &dyn Handler,
    cancel: CancellationToken,
) -> Result<()> {
    let following = Following { db, feed, source, handler };
    let mut backoff = FIRST_BACKOFF;
    let mut max = BATCH;
    // Whoever was away may have come back as another.
    let mut known = false;
    loop {
        let stepped = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            stepped = following.step(max, known) => stepped,
        };
        let fault = match stepped {
            Ok(()) => {
                (backoff, max, known) = (FIRST_BACKOFF, (max * 2).min(BATCH), true);
                continue;
            }
            Err(fault) if fault.code == Code::FeedCursorLost => return Err(fault),
            Err(fault) => fault,
        };
        if backoff == FIRST_BACKOFF {
            tracing::warn!(feed, ?fault, "a feed does not move");
        }
        // Those before the event that fails are taken in; it is tried again by itself.
        (max, known) = (1, false);
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(backoff) => {}
        }
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

struct Following<'f> {
    db: &'f Database,
    feed: &'f str,
    source: &'f dyn Source,
    handler: &'f dyn Handler,
}

impl Following<'_> {
    async fn step(&self, max: u32, known: bool) -> Result<()> {
        let cursor = Cursor::load(self.db, self.feed).await?;
        if !known {
            self.recognise(&cursor).await?;
        }
        let batch = self.source.read(&cursor, max, WAIT).await?;
        match cursor.after(&batch)? {
            Some(next) => self.take_in(&cursor, &next, &batch.events).await,
            None => Ok(()),
        }
    }

    /// Whether the source still has the event that was taken in last. A database restored from a backup has its epoch, but
    /// not what came after the backup; once it has made as many events anew, positions alone do not tell.
    async fn recognise(&self, cursor: &Cursor) -> Result<()> {
        let Some(last) = cursor.last else { return Ok(()) };
        let before = Cursor { position: cursor.position.saturating_sub(1), ..cursor.clone() };
        match self.source.read(&before, 1, Duration::ZERO).await {
            Ok(batch) => match before.after(&batch)?.and(batch.events.first()) {
                Some(event) if event.event_id != last => Err(lost("of an earlier history of the feed")),
                _ => Ok(()),
            },
            // That event itself may be purged; whether what comes next is there, the next read says.
            Err(fault) if fault.code == Code::FeedCursorLost => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    async fn take_in(&self, cursor: &Cursor, next: &Cursor, events: &[Event]) -> Result<()> {
        let (feed, handler) = (self.feed, self.handler);
        let taken = self.db.write(|tx| {
            Box::pin(async move {
                // First, so that two processes meet here and not in their effects.
                match cursor.advance(tx, feed, next).await {
                    // Another has taken these in.
                    Err(fault) if fault.code == Code::ChangedConcurrently => return Ok(()),
                    moved => moved?,
                }
                handler.apply(tx, events).await
            })
        });
        taken.await.map_err(of_handler)
    }
}

/// Handlers have no say over the cursor.
fn of_handler(fault: Fault) -> Fault {
    if fault.code == Code::FeedCursorLost { Fault::internal(fault) } else { fault }
}
