//! A source that has forgotten, or remembers another past: a follower stops, and never goes on over a gap.

use crate::noting::{Noting, follow_until};
use crate::rig::{Rig, happen, on_both, seen};
use crate::wire::{Peer, Shape};
use beem_database::{Database, Sql as _};
use beem_events::{Cursor, Event, Feed, FeedServer, PeerFeed, follow};
use beem_fault::{Code, Fault};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

on_both!(
    a_cursor_at_the_last_purged_event_goes_on_and_one_before_it_is_lost,
    a_purge_beside_a_reader_is_never_a_gap,
    a_restored_source_is_recognised_before_it_has_caught_up,
    a_restored_source_is_recognised_once_it_has_overtaken,
    a_source_restored_under_a_follower_is_recognised,
    a_source_made_anew_is_recognised,
    a_follower_that_begins_anew_takes_in_what_there_is,
);

/// A producer and a consumer of the same kind, with a guarded link between them.
struct Pair {
    producer: Rig,
    _consumer: Rig,
    out: Database,
    into: Database,
    feed: Feed,
    peer: Peer,
}

impl Pair {
    async fn new(rig: Rig) -> Self {
        let (consumer, producer) = (Rig::like(&rig), rig);
        let out = producer.process().await;
        let feed = Feed::open(out.clone()).await.unwrap();
        let peer = Peer::serving(Shape::Local, FeedServer::new(feed.clone()).into_service()).await;
        let into = consumer.process().await;
        Self { producer, _consumer: consumer, out, into, feed, peer }
    }

    fn source(&self) -> PeerFeed {
        PeerFeed::new(self.peer.link.clone())
    }

    /// Events of the entity `a`, numbered.
    async fn happen(&self, times: i64) {
        for n in 0..times {
            happen(&self.out, "a", n).await;
        }
        self.feed.catch_up().await.unwrap();
    }

    /// Until so many have been taken in altogether.
    async fn follow(&self, seen: usize) {
        follow_until(&self.into, &self.source(), &Noting::default(), seen).await;
    }

    /// What following ends with.
    async fn ends(&self) -> Fault {
        let (source, handler) = (self.source(), Noting::default());
        let following = follow(&self.into, "ledger", &source, &handler, CancellationToken::new());
        tokio::time::timeout(Duration::from_secs(30), following).await.expect("it ends").unwrap_err()
    }

    /// The producer's database as a backup of the moment after that position has it.
    async fn restore(&self, position: i64) {
        let statements = [
            "DELETE FROM outbox WHERE position > $1",
            "UPDATE feed SET head = $1",
            "UPDATE event_sequences SET last = $1",
        ];
        for sql in statements {
            let restored = self.out.write(|tx| Box::pin(tx.run(sql, vec![position.into()])));
            restored.await.unwrap();
        }
    }

    /// As an operator says: from the oldest event there is.
    async fn begin_anew(&self) {
        let sql = "DELETE FROM cursors WHERE feed = 'ledger'";
        self.into.write(|tx| Box::pin(tx.run(sql, vec![]))).await.unwrap();
    }

    async fn seen(&self) -> Vec<String> {
        seen(&self.into).await
    }
}

fn numbered(sequences: impl IntoIterator<Item = u64>) -> Vec<String> {
    sequences.into_iter().map(|n| format!("a {n}")).collect()
}

async fn a_cursor_at_the_last_purged_event_goes_on_and_one_before_it_is_lost(rig: Rig) {
    let pair = Pair::new(rig).await;
    pair.happen(4).await;
    pair.follow(4).await;
    pair.producer.clock.advance_ms(10_000);
    assert_eq!(pair.feed.purge(5_000, 100).await.unwrap(), 4, "up to the cursor exactly");
    pair.happen(3).await;
    pair.follow(7).await;
    pair.happen(2).await;
    pair.producer.clock.advance_ms(10_000);
    assert_eq!(pair.feed.purge(5_000, 4).await.unwrap(), 4, "one further than it");
    pair.happen(1).await;
    assert_eq!(pair.ends().await.code, Code::FeedCursorLost);
    assert_eq!(pair.seen().await, numbered(1..=7), "what is left after the gap is not taken in");
    let cursor = Cursor::load(&pair.into, "ledger").await.unwrap();
    assert_eq!(cursor.position, 7, "and the cursor stays where it was");
}

/// Reads by sevens what another purges by fives.
async fn a_purge_beside_a_reader_is_never_a_gap(rig: Rig) {
    let pair = Pair::new(rig).await;
    pair.happen(300).await;
    pair.producer.clock.advance_ms(10_000);
    let purging = async {
        while pair.feed.purge(5_000, 5).await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    };
    let reading = async {
        let mut after = 0;
        while after < 300 {
            let read = pair.feed.read(pair.feed.epoch(), after, 7, Duration::ZERO).await;
            match read {
                Ok(slice) if slice.events.is_empty() => panic!("a gap at the end, after {after}"),
                Ok(slice) => {
                    let positions: Vec<_> = slice.events.iter().map(|event: &Event| event.position).collect();
                    let expected: Vec<_> = (after + 1..).take(positions.len()).collect();
                    assert_eq!(positions, expected, "after {after}");
                    after = positions[positions.len() - 1];
                }
                Err(fault) => {
                    assert_eq!(fault.code, Code::FeedCursorLost);
                    after += 5;
                }
            }
        }
    };
    tokio::join!(purging, reading);
}

async fn a_restored_source_is_recognised_before_it_has_caught_up(rig: Rig) {
    let pair = Pair::new(rig).await;
    pair.happen(10).await;
    pair.follow(10).await;
    pair.restore(6).await;
    pair.happen(2).await;
    assert_eq!(pair.ends().await.code, Code::FeedCursorLost);
    assert_eq!(pair.seen().await, numbered(1..=10));
}

async fn a_restored_source_is_recognised_once_it_has_overtaken(rig: Rig) {
    for anew in [4, 5, 30] {
        let pair = Pair::new(Rig::like(&rig)).await;
        pair.happen(10).await;
        pair.follow(10).await;
        pair.restore(6).await;
        pair.happen(anew).await;
        assert_eq!(pair.ends().await.code, Code::FeedCursorLost, "{anew} anew");
        assert_eq!(pair.seen().await, numbered(1..=10), "none of those after the ones it does not know");
    }
}

async fn a_source_restored_under_a_follower_is_recognised(rig: Rig) {
    let pair = Pair::new(rig).await;
    pair.happen(10).await;
    let (source, handler, cancel) = (pair.source(), Noting::default(), CancellationToken::new());
    let story = async {
        while pair.seen().await.len() < 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // A restore takes the source away, and its long poll with it.
        pair.peer.go_down();
        pair.restore(6).await;
        pair.happen(9).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        pair.peer.come_back();
    };
    let following = follow(&pair.into, "ledger", &source, &handler, cancel.clone());
    let both = async { tokio::join!(following, story).0 };
    let ended = tokio::time::timeout(Duration::from_secs(30), both).await.expect("it ends");
    assert_eq!(ended.unwrap_err().code, Code::FeedCursorLost);
    assert_eq!(pair.seen().await, numbered(1..=10));
}

async fn a_source_made_anew_is_recognised(rig: Rig) {
    let pair = Pair::new(rig).await;
    pair.happen(3).await;
    pair.follow(3).await;
    let anew = Pair::new(Rig::like(&pair.producer)).await;
    anew.happen(8).await;
    let pair = Pair { peer: anew.peer, ..pair };
    assert_eq!(pair.ends().await.code, Code::FeedCursorLost);
    assert_eq!(pair.seen().await, numbered(1..=3));
}

async fn a_follower_that_begins_anew_takes_in_what_there_is(rig: Rig) {
    let pair = Pair::new(rig).await;
    pair.happen(5).await;
    pair.follow(5).await;
    pair.restore(3).await;
    pair.happen(6).await;
    assert_eq!(pair.ends().await.code, Code::FeedCursorLost);
    pair.begin_anew().await;
    pair.follow(5 + 9).await;
    assert_eq!(pair.seen().await, numbered((1..=5).chain(1..=9)));
    pair.happen(1).await;
    pair.follow(5 + 10).await;
}
