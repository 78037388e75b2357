//! A feed over the wire: long waits, refusals in the peer's own words, answers that cannot be right.

use crate::noting::{Noting, follow_until};
use crate::rig::{Rig, happen, on_both, seen, seen_so_far};
use crate::wire::{Peer, Shape};
use beem_events::{Cursor, Feed, FeedServer, NewEvent, PeerFeed, Source as _, append, follow};
use beem_fault::{Code, Fault};
use beem_ids::AccountId;
use beem_proto::events::v1 as wire;
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

on_both!(
    a_feed_is_followed_locally,
    a_feed_is_followed_over_a_network,
    more_than_an_answer_holds_comes_in_several,
    a_gap_is_not_taken_in,
);

/// What the peer does with every call.
#[derive(Clone)]
enum Does {
    Waits,
    Hangs,
    Refuses(Code),
    Cancels,
    Answers(wire::SubscribeResponse),
}

#[tonic::async_trait]
impl wire::feed_server::Feed for Does {
    async fn subscribe(
        &self,
        request: Request<wire::SubscribeRequest>,
    ) -> Result<Response<wire::SubscribeResponse>, Status> {
        let asked = request.into_inner();
        match self {
            Self::Waits => {
                tokio::time::sleep(Duration::from_millis(asked.wait_ms.into())).await;
                Ok(Response::new(wire::SubscribeResponse { epoch: asked.epoch, events: vec![] }))
            }
            Self::Hangs => std::future::pending().await,
            Self::Refuses(code) => Err(Fault::new(*code, "as told").into()),
            Self::Cancels => Err(Status::cancelled("going down")),
            Self::Answers(answer) => Ok(Response::new(answer.clone())),
        }
    }
}

async fn peer(shape: Shape, does: Does) -> (Peer, PeerFeed) {
    let peer = Peer::serving(shape, wire::feed_server::FeedServer::new(does)).await;
    let feed = PeerFeed::new(peer.link.clone());
    (peer, feed)
}

/// The time a read took, and what it ended with.
async fn read(feed: &PeerFeed, wait_s: u64) -> (u64, Result<usize, Code>) {
    let cursor = Cursor { epoch: "e".into(), position: 3, last: None };
    let began = tokio::time::Instant::now();
    let read = feed.read(&cursor, 10, Duration::from_secs(wait_s)).await;
    let read = read.map(|batch| {
        assert_eq!(batch.epoch, "e");
        batch.events.len()
    });
    (began.elapsed().as_secs(), read.map_err(|fault| fault.code))
}

#[tokio::test(start_paused = true)]
async fn a_wait_may_be_longer_than_a_call_is_by_default() {
    let (_peer, feed) = peer(Shape::Local, Does::Waits).await;
    assert!(Duration::from_secs(20) > beem_link::DEFAULT_DEADLINE);
    assert_eq!(read(&feed, 20).await, (20, Ok(0)));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_in_the_deadline_is_no_failure() {
    let (_peer, feed) = peer(Shape::Local, Does::Hangs).await;
    let (took, nothing) = read(&feed, 10).await;
    assert_eq!(nothing, Ok(0));
    assert!((10..=15).contains(&took), "{took} s");
    assert_eq!(read(&feed, 0).await.1, Err(Code::Deadline), "what was to answer at once is late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_keeps_its_code() {
    for shape in [Shape::Local, Shape::Remote] {
        for code in [Code::FeedCursorLost, Code::ValidationFailed, Code::Unavailable, Code::Internal] {
            let (_peer, feed) = peer(shape, Does::Refuses(code)).await;
            assert_eq!(read(&feed, 10).await.1, Err(code), "{shape:?}");
        }
        let (_peer, feed) = peer(shape, Does::Cancels).await;
        // At the end of a wait that would be no failure: see above.
        assert_eq!(read(&feed, 10).await.1, Err(Code::Deadline), "{shape:?}: it has not waited");
        let (peer, feed) = peer(shape, Does::Waits).await;
        peer.go_down();
        assert_eq!(read(&feed, 10).await.1, Err(Code::Unavailable), "{shape:?}");
    }
}

async fn a_feed_is_followed_locally(rig: Rig) {
    a_feed_is_followed(rig, Shape::Local).await;
}

async fn a_feed_is_followed_over_a_network(rig: Rig) {
    a_feed_is_followed(rig, Shape::Remote).await;
}

async fn a_feed_is_followed(rig: Rig, shape: Shape) {
    let producer = rig.process().await;
    let feed = Feed::open(producer.clone()).await.unwrap();
    let consumer = Rig::like(&rig);
    let db = &consumer.process().await;
    let peer = Peer::serving(shape, FeedServer::new(feed.clone()).into_service()).await;
    let source = &PeerFeed::new(peer.link.clone());
    let handler = &Noting::default();
    let cancel = CancellationToken::new();
    let story = async {
        // Each waits for the one before: found only at the ends of waits, they would not come before all ends.
        for n in 1..=20 {
            happen(&producer, "a", 0).await;
            until_seen(db, n).await;
        }
        assert!(handler.batches().iter().all(|batch| *batch == 1), "{:?}", handler.batches());
        peer.go_down();
        for _ in 0..10 {
            happen(&producer, "a", 0).await;
        }
        peer.come_back();
        until_seen(db, 30).await;
        cancel.cancel();
    };
    let following = follow(db, "ledger", source, handler, cancel.clone());
    let all = async { tokio::join!(feed.sequence(cancel.clone()), following, story).1.unwrap() };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("it moves");
    let expected: Vec<_> = (1..=30).map(|n| format!("a {n}")).collect();
    assert_eq!(seen(db).await, expected);
}

async fn until_seen(db: &beem_database::Database, n: usize) {
    while seen_so_far(db).await < n {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn more_than_an_answer_holds_comes_in_several(rig: Rig) {
    let producer = rig.process().await;
    let feed = Feed::open(producer.clone()).await.unwrap();
    // 6 MB in a batch of 500, while a message holds 4 MiB; and one event larger than an answer is to be.
    let sizes = std::iter::repeat_n(12_000, 499).chain([1_500_000]);
    for size in sizes {
        let data = json!({ "text": "x".repeat(size) });
        let event = NewEvent {
            account_id: AccountId(Uuid::nil()),
            event: "layer1:test:happened".into(),
            source: "ledger".into(),
            entity_id: "a".into(),
            data,
        };
        producer.write(|tx| Box::pin(append(tx, event.clone()))).await.map(drop).unwrap();
    }
    feed.catch_up().await.unwrap();
    let consumer = Rig::like(&rig);
    let db = consumer.process().await;
    let peer = Peer::serving(Shape::Remote, FeedServer::new(feed).into_service()).await;
    let (source, handler) = (PeerFeed::new(peer.link.clone()), Noting::default());
    follow_until(&db, &source, &handler, 500).await;
    let batches = handler.batches();
    assert_eq!(batches.iter().sum::<usize>(), 500);
    assert!((6..20).contains(&batches.len()), "filled well: {batches:?}");
}

async fn a_gap_is_not_taken_in(rig: Rig) {
    let db = rig.process().await;
    let event = |position| wire::Event {
        position,
        event_id: Uuid::from_u128(position.into()).to_string(),
        account_id: Uuid::nil().to_string(),
        entity_id: "a".into(),
        sequence: position,
        time: Some(beem_proto::to_timestamp(0)),
        ..wire::Event::default()
    };
    let answer = |epoch: &str, positions: &[u64]| {
        let events = positions.iter().copied().map(event).collect();
        Does::Answers(wire::SubscribeResponse { epoch: epoch.into(), events })
    };
    let handler = Noting::default();
    let first = peer(Shape::Local, answer("e", &[1, 2])).await;
    // It answers so to whatever it is asked: the second time that is no longer what comes next.
    let following = follow(&db, "ledger", &first.1, &handler, CancellationToken::new());
    tokio::time::timeout(Duration::from_millis(500), following).await.unwrap_err();
    for garbled in [answer("e", &[4]), answer("e", &[3, 5]), answer("e", &[2, 3]), answer("f", &[3])] {
        let (_peer, feed) = peer(Shape::Local, garbled).await;
        let following = follow(&db, "ledger", &feed, &handler, CancellationToken::new());
        tokio::time::timeout(Duration::from_millis(300), following).await.unwrap_err();
    }
    assert_eq!(seen(&db).await, ["a 1", "a 2"]);
}
