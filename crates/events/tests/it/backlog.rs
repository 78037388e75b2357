//! Ten thousand events that wait, numbered and followed by processes that die at random, repeatable points: each has its
//! effect once, in order.

use crate::late::{Dice, gapless};
use crate::noting::{Noting, follow_until};
use crate::rig::{Kind, Rig, emit, on_both, read, seen, seen_so_far};
use crate::wire::{Peer, Shape};
use beem_database::{Database, Sql as _};
use beem_events::{Event, Feed, FeedServer, PeerFeed, follow};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

on_both!(a_backlog_has_its_effect_once_whoever_dies);

const EVENTS: usize = 10_000;

async fn a_backlog_has_its_effect_once_whoever_dies(rig: Rig) {
    let out = rig.process().await;
    fill(&out, &Dice::new(1)).await;
    let feed = number(&rig, &Dice::new(2)).await;
    let events = all(&feed).await;
    assert_eq!(events.len(), EVENTS);
    gapless(&events);
    let expected: Vec<_> = events.iter().map(|e| format!("{} {}", e.entity_id, e.sequence)).collect();
    let peer = Peer::serving(Shape::Local, FeedServer::new(feed).into_service()).await;
    for seed in 3..6 {
        let consumer = Rig::like(&rig);
        let deaths = followed(&consumer, &rig, &PeerFeed::new(peer.link.clone()), &Dice::new(seed)).await;
        let db = consumer.process().await;
        assert!(seen(&db).await == expected, "seed {seed}: not each once in order, after {deaths} deaths");
        assert!(deaths > 5, "seed {seed}: {deaths} deaths prove little");
    }
}

/// Some events of some entities in each transaction; now and then one is rolled back.
async fn fill(out: &Database, dice: &Dice) {
    let mut left = EVENTS;
    while left > 0 {
        let count = (1 + dice.roll(300)).min(left);
        let entities: Vec<_> = (0..count).map(|_| format!("e{}", dice.roll(60))).collect();
        let (entities, stays) = (&entities, dice.roll(8) > 0);
        let written = out.write(|tx| {
            Box::pin(async move {
                for entity in entities {
                    emit(tx, entity, 0).await?;
                }
                if stays { Ok(()) } else { Err(beem_fault::Fault::not_found("reason")) }
            })
        });
        assert_eq!(written.await.is_ok(), stays);
        left -= if stays { count } else { 0 };
    }
}

/// By sequencers that die between rounds and in the middle of them.
async fn number(rig: &Rig, dice: &Dice) -> Feed {
    for _ in 0..30 {
        let feed = rig.feed().await;
        dies_after(dice.roll(120), feed.catch_up()).await;
    }
    let feed = rig.feed().await;
    feed.catch_up().await.unwrap();
    feed
}

async fn all(feed: &Feed) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let more = read(feed, events.last().map_or(0, |event| event.position)).await;
        if more.is_empty() {
            return events;
        }
        events.extend(more);
    }
}

/// Drives the work for so many polls, or a moment at most, and drops it where it stands.
async fn dies_after<F: Future>(polls: usize, work: F) {
    let mut work = Box::pin(work);
    let mut left = polls;
    let dying = std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        Pin::as_mut(&mut work).poll(context).map(drop)
    });
    tokio::time::timeout(Duration::from_secs(1), dying).await.ok();
}

/// By followers of which each lives for a while; how many died. On PostgreSQL connections die, too, on either side.
async fn followed(consumer: &Rig, producer: &Rig, source: &PeerFeed, dice: &Dice) -> usize {
    // One batch or two.
    let longest = if consumer.kind == Kind::Postgres { 24 } else { 120 };
    let mut deaths = 0;
    while deaths < 60 && seen_so_far(&consumer.process().await).await < EVENTS {
        let (one, two) = (consumer.process().await, consumer.process().await);
        let (handler, cancel) = (Noting::default(), CancellationToken::new());
        let following = |db| follow(db, "ledger", source, &handler, cancel.clone());
        // Now and then two at a time.
        let together = dice.roll(3) == 0;
        let (first, second) = (dice.roll(longest), if together { dice.roll(longest) } else { 0 });
        let cut = async {
            if consumer.kind == Kind::Postgres && dice.roll(3) == 0 {
                tokio::time::sleep(Duration::from_millis(u64::try_from(dice.roll(30)).unwrap())).await;
                cut_off(if dice.roll(2) == 0 { producer } else { consumer }).await;
            }
        };
        tokio::join!(dies_after(first, following(&one)), dies_after(second, following(&two)), cut);
        deaths += 1;
    }
    let db = consumer.process().await;
    assert!(seen_so_far(&db).await > 0, "they died before they did anything");
    follow_until(&db, source, &Noting::default(), EVENTS).await;
    deaths
}

/// Ends every connection to the database.
async fn cut_off(rig: &Rig) {
    let db = rig.process().await;
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    db.read().row(sql, vec![]).await.unwrap();
}
