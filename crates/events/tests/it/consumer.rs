//! Following: an event has its effect once, whatever dies in between.

use crate::rig::{Rig, happen, on_both, seen};
use beem_database::{Database, Sql as _, Tx};
use beem_events::{Batch, Cursor, Event, Feed, Handler, Source, follow};
use beem_fault::{Code, Fault, Result};
use futures::future::BoxFuture;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

on_both!(
    followers_dropped_at_any_await_take_every_event_in_once,
    two_followers_share_one_feed,
    a_handler_that_fails_stops_the_feed_and_skips_nothing,
    a_lost_cursor_ends_the_following,
);

/// Notes each event; the one called "bad" fails as often as told.
#[derive(Default)]
struct Noting {
    failures: AtomicU32,
}

impl Handler for Noting {
    fn apply<'t>(&'t self, tx: &'t Tx<'_>, event: &'t Event) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            let name = format!("{} {}", event.entity_id, event.sequence);
            tx.run("INSERT INTO seen (event) VALUES ($1)", vec![name.into()]).await?;
            let fails = self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            if event.entity_id == "bad" && fails.is_ok() {
                return Err(Fault::internal("cannot make sense of it"));
            }
            Ok(())
        })
    }
}

async fn producer(events: &[&str]) -> (Rig, Feed) {
    let rig = Rig::new(crate::rig::Kind::Sqlite);
    let db = rig.process().await;
    for entity in events {
        happen(&db, entity, 0).await;
    }
    let feed = Feed::open(db).await.unwrap();
    feed.catch_up().await.unwrap();
    (rig, feed)
}

/// Follows until `n` events have been seen.
async fn follow_until(db: &Database, feed: &Feed, handler: &Noting, n: usize) {
    let cancel = CancellationToken::new();
    let watching = async {
        while seen(db).await.len() < n {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.cancel();
    };
    let both = async { tokio::join!(follow(db, "ledger", feed, handler, cancel.clone()), watching).0 };
    tokio::time::timeout(Duration::from_secs(30), both).await.expect("it moves").unwrap();
}

async fn followers_dropped_at_any_await_take_every_event_in_once(rig: Rig) {
    let db = rig.process().await;
    let entities: Vec<_> = (0..40).map(|n| format!("e{n}")).collect();
    let (_producer, feed) = producer(&entities.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let handler = Noting::default();
    // Two events at a time, so that there are many places to die in.
    let pairs = Pairs(feed.clone());
    for polls in 1..60 {
        let mut following = Box::pin(follow(&db, "ledger", &pairs, &handler, CancellationToken::new()));
        let mut left = polls;
        let dropped = std::future::poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            Pin::as_mut(&mut following).poll(context).map(|ended| panic!("it ended: {ended:?}"))
        });
        tokio::time::timeout(Duration::from_millis(200), dropped).await.ok();
    }
    follow_until(&db, &feed, &handler, 40).await;
    let expected: Vec<_> = entities.iter().map(|e| format!("{e} 1")).collect();
    assert_eq!(seen(&db).await, expected);
}

struct Pairs(Feed);

impl Source for Pairs {
    fn read<'a>(&'a self, cursor: &'a Cursor, _max: u32, _wait: Duration) -> BoxFuture<'a, Result<Batch>> {
        Source::read(&self.0, cursor, 2, Duration::from_millis(100))
    }
}

async fn two_followers_share_one_feed(rig: Rig) {
    let (one, two) = (rig.process().await, rig.process().await);
    let (_producer, feed) = producer(&["a"; 30]).await;
    let (left, right) = (Noting::default(), Noting::default());
    tokio::join!(follow_until(&one, &feed, &left, 30), follow_until(&two, &feed, &right, 30));
    let expected: Vec<_> = (1..=30).map(|n| format!("a {n}")).collect();
    assert_eq!(seen(&one).await, expected);
}

async fn a_handler_that_fails_stops_the_feed_and_skips_nothing(rig: Rig) {
    let db = rig.process().await;
    let (_producer, feed) = producer(&["a", "bad", "b"]).await;
    let handler = Noting { failures: AtomicU32::new(4) };
    follow_until(&db, &feed, &handler, 3).await;
    assert_eq!(seen(&db).await, ["a 1", "bad 1", "b 1"]);
    let cursor = Cursor::load(&db, "ledger").await.unwrap();
    assert_eq!((cursor.epoch.as_str(), cursor.position), (feed.epoch(), 3));
}

async fn a_lost_cursor_ends_the_following(rig: Rig) {
    let db = rig.process().await;
    let (_producer, feed) = producer(&["a"]).await;
    follow_until(&db, &feed, &Noting::default(), 1).await;
    let (_other, anew) = producer(&["a", "b"]).await;
    let ended = follow(&db, "ledger", &anew, &Noting::default(), CancellationToken::new()).await;
    assert_eq!(ended.unwrap_err().code, Code::FeedCursorLost);
    assert_eq!(seen(&db).await.len(), 1);
}
