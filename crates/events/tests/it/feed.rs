//! What the feed answers, and over gRPC.

use crate::rig::{Rig, happen, on_both, read};
use beem_events::{Event, Feed, FeedServer};
use beem_fault::{Code, Fault};
use beem_proto::events::v1::SubscribeRequest;
use beem_proto::events::v1::feed_server::Feed as _;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

on_both!(
    the_epoch_is_drawn_once,
    a_cursor_that_is_lost_is_an_error_and_never_a_gap,
    purging_is_bounded_and_keeps_what_is_young_or_unnumbered,
    a_waiting_reader_is_woken_by_the_commit,
    the_wire_carries_every_fact,
);

async fn the_epoch_is_drawn_once(rig: Rig) {
    let (one, two) = (rig.feed().await, rig.feed().await);
    assert_eq!(one.epoch(), two.epoch());
    assert_eq!(one.epoch().len(), 32);
}

async fn refused(feed: &Feed, epoch: &str, after: u64) -> Fault {
    feed.read(epoch, after, 0, Duration::ZERO).await.unwrap_err()
}

async fn a_cursor_that_is_lost_is_an_error_and_never_a_gap(rig: Rig) {
    let feed = rig.feed().await;
    let epoch = feed.epoch();
    let db = rig.process().await;
    for n in 0..6 {
        happen(&db, "a", n).await;
    }
    feed.catch_up().await.unwrap();
    assert_eq!(refused(&feed, "another", 0).await.code, Code::FeedCursorLost);
    assert_eq!(refused(&feed, epoch, 7).await.code, Code::FeedCursorLost, "ahead of the feed");
    assert_eq!(refused(&feed, "", 1).await.code, Code::ValidationFailed, "a position without its epoch");
    assert_eq!(feed.read(epoch, 0, 501, Duration::ZERO).await.unwrap_err().fields[0].field, "max");
    rig.clock.advance_ms(1000);
    assert_eq!(feed.purge(500, 4).await.unwrap(), 4);
    for lost in 0..4 {
        assert_eq!(refused(&feed, epoch, lost).await.code, Code::FeedCursorLost, "{lost}");
    }
    assert_eq!(read(&feed, 4).await.len(), 2);
    let newcomer = feed.read("", 0, 0, Duration::ZERO).await.unwrap();
    assert_eq!((newcomer.epoch.as_str(), newcomer.events[0].position), (epoch, 5));
}

async fn purging_is_bounded_and_keeps_what_is_young_or_unnumbered(rig: Rig) {
    let feed = rig.feed().await;
    let db = rig.process().await;
    for n in 0..5 {
        happen(&db, "old", n).await;
    }
    feed.catch_up().await.unwrap();
    happen(&db, "unnumbered", 0).await;
    rig.clock.advance_ms(1000);
    assert_eq!(feed.purge(500, 2).await.unwrap(), 2);
    assert_eq!(feed.purge(500, 100).await.unwrap(), 3);
    assert_eq!(feed.purge(500, 100).await.unwrap(), 0);
    happen(&db, "young", 0).await;
    feed.catch_up().await.unwrap();
    assert_eq!(feed.purge(500, 100).await.unwrap(), 1, "the one numbered late");
    assert_eq!(feed.purge(500, 100).await.unwrap(), 0);
    assert_eq!(read(&feed, 6).await.len(), 1);
}

async fn a_waiting_reader_is_woken_by_the_commit(rig: Rig) {
    let db = rig.process().await;
    let feed = Feed::open(db.clone()).await.unwrap();
    let cancel = CancellationToken::new();
    let story = async {
        for n in 0..3 {
            let waiting = feed.read(feed.epoch(), n, 10, Duration::from_secs(10));
            let (got, _) = tokio::join!(waiting, happen(&db, "a", 1));
            assert_eq!(got.unwrap().events.len(), 1);
        }
        cancel.cancel();
    };
    tokio::join!(feed.sequence(cancel.clone()), story);
    let nothing = feed.read(feed.epoch(), 3, 10, Duration::from_millis(20)).await.unwrap();
    assert!(nothing.events.is_empty(), "and the wait ends");
}

async fn the_wire_carries_every_fact(rig: Rig) {
    let db = rig.process().await;
    let feed = Feed::open(db.clone()).await.unwrap();
    let id = happen(&db, "a", 7).await;
    feed.catch_up().await.unwrap();
    let server = FeedServer::new(feed.clone());
    let ask = |epoch: &str, after, wait_ms| {
        let request = SubscribeRequest { epoch: epoch.into(), after, max: 0, wait_ms };
        server.subscribe(tonic::Request::new(request))
    };
    let answer = ask("", 0, 0).await.unwrap().into_inner();
    assert_eq!(answer.epoch, feed.epoch());
    let event = Event::try_from(answer.events[0].clone()).unwrap();
    assert_eq!((event.event_id, event.time, event.data.as_str()), (id, rig.clock.now(), r#"{"n":7}"#));
    assert_eq!([event], read(&feed, 0).await[..]);
    let lost = Fault::from(ask("another", 0, 0).await.unwrap_err());
    assert_eq!(lost.code, Code::FeedCursorLost);
    assert_eq!(Fault::from(ask("", 0, 20_001).await.unwrap_err()).fields[0].field, "waitMs");
}
