//! Following: an event has its effect once, whatever dies in between.

use crate::noting::{Noting, follow_until};
use crate::rig::{Rig, happen, on_both, seen};
use beem_events::{Batch, Cursor, Feed, Source, follow};
use beem_fault::{Code, Result};
use futures::future::BoxFuture;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

on_both!(
    followers_dropped_at_any_await_take_every_event_in_once,
    two_followers_share_one_feed,
    a_handler_that_fails_stops_the_feed_and_skips_nothing,
    a_lost_cursor_ends_the_following,
);

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
    // Whatever it says: the cursor is not its business.
    for code in [Code::Internal, Code::ChangedConcurrently, Code::FeedCursorLost] {
        let rig = Rig::like(&rig);
        let db = rig.process().await;
        let (_producer, feed) = producer(&["a", "bad", "b"]).await;
        let handler = Noting::default();
        handler.failures.store(4, Ordering::SeqCst);
        handler.code.set(code).unwrap();
        follow_until(&db, &feed, &handler, 3).await;
        assert_eq!(seen(&db).await, ["a 1", "bad 1", "b 1"]);
        assert_eq!(
            handler.batches(),
            [3, 1, 2, 1, 1, 1, 1],
            "the one that fails by itself, and those behind it after it"
        );
        let cursor = Cursor::load(&db, "ledger").await.unwrap();
        assert_eq!((cursor.epoch.as_str(), cursor.position), (feed.epoch(), 3));
    }
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
