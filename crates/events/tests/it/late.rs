//! Transactions that begin in one order and end in another, while two processes number and one reads: whatever the reader
//! has read, nothing comes before it later.

use crate::rig::{Kind, Rig, emit, names, on_both};
use beem_clock::Entropy;
use beem_database::Database;
use beem_events::{Event, Feed};
use beem_fault::Fault;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

on_both!(whatever_order_transactions_end_in_a_reader_skips_nothing);

/// Repeatable choices.
pub struct Dice(Entropy);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Entropy::seeded(seed))
    }

    /// Below `sides`.
    pub fn roll(&self, sides: usize) -> usize {
        usize::try_from(u64::from_le_bytes(self.0.bytes()) % u64::try_from(sides).unwrap()).unwrap()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Open,
    Commit,
    RollBack,
}

/// A transaction that has written its events, or waits to, and ends when told.
struct Open {
    entity: usize,
    events: usize,
    end: watch::Sender<End>,
    ended: JoinHandle<()>,
}

impl Open {
    fn begin(db: Database, entity: usize, events: usize) -> Self {
        let (end, told) = watch::channel(End::Open);
        let ended = tokio::spawn(async move {
            let told = &told;
            let written = db.write(|tx| {
                Box::pin(async move {
                    for n in 0..events {
                        emit(tx, &format!("e{entity}"), i64::try_from(n).unwrap()).await?;
                    }
                    let end =
                        *told.clone().wait_for(|end| *end != End::Open).await.map_err(Fault::internal)?;
                    if end == End::Commit { Ok(()) } else { Err(Fault::not_found("reason")) }
                })
            });
            assert_eq!(written.await.is_ok(), *told.borrow() == End::Commit);
        });
        Self { entity, events, end, ended }
    }

    fn end(&self, how: End) {
        self.end.send(how).unwrap();
    }
}

/// What has been read, one position after another.
#[derive(Default)]
struct Reader(Vec<Event>);

impl Reader {
    async fn read(&mut self, feed: &Feed, max: u32) -> usize {
        let after = self.0.last().map_or(0, |event| event.position);
        let events = feed.read(feed.epoch(), after, max, Duration::ZERO).await.unwrap().events;
        let read = events.len();
        for event in events {
            let next = u64::try_from(self.0.len()).unwrap() + 1;
            assert_eq!(event.position, next, "{:?}", names(&self.0));
            self.0.push(event);
        }
        read
    }
}

/// SQLite has one writer: transactions wait for each other in line there, and their order still is not ours.
async fn whatever_order_transactions_end_in_a_reader_skips_nothing(rig: Rig) {
    let seeds = 12;
    for seed in 0..seeds {
        let rig = Rig::like(&rig);
        let told = format!("seed {seed}");
        tokio::time::timeout(Duration::from_secs(60), story(&rig, seed)).await.expect(&told);
    }
}

async fn story(rig: &Rig, seed: u64) {
    let dice = Dice::new(seed);
    let (one, two) = (rig.feed().await, rig.feed().await);
    let writers = [rig.process().await, rig.process().await, rig.process().await];
    let (mut open, mut ended) = (Vec::<Open>::new(), Vec::new());
    let (mut reader, mut committed) = (Reader::default(), BTreeMap::<String, u64>::new());
    for _ in 0..60 {
        match dice.roll(6) {
            // Fewer than connections, since those of one entity wait for each other inside.
            0 | 1 if open.len() < 9 => {
                let db = writers[open.len() % writers.len()].clone();
                open.push(Open::begin(db, dice.roll(5), 1 + dice.roll(3)));
            }
            0..=2 if !open.is_empty() => {
                let one = open.swap_remove(dice.roll(open.len()));
                let how = if dice.roll(4) == 0 { End::RollBack } else { End::Commit };
                one.end(how);
                if how == End::Commit {
                    *committed.entry(format!("e{}", one.entity)).or_default() +=
                        u64::try_from(one.events).unwrap();
                }
                ended.push(one.ended);
            }
            side @ (3 | 4) => {
                let (one, two) = (one.clone(), two.clone());
                let numbering = tokio::spawn(async move {
                    let both = async { if side == 4 { two.catch_up().await } else { Ok(()) } };
                    let (left, right) = tokio::join!(one.catch_up(), both);
                    left.and(right).unwrap();
                });
                // On SQLite it waits in line with the transactions.
                match rig.kind {
                    Kind::Postgres => numbering.await.unwrap(),
                    Kind::Sqlite => ended.push(numbering),
                }
            }
            _ => drop(reader.read(&two, 1 + u32::try_from(dice.roll(4)).unwrap()).await),
        }
    }
    for one in open {
        one.end(End::RollBack);
        ended.push(one.ended);
    }
    for one in ended {
        one.await.unwrap();
    }
    one.catch_up().await.unwrap();
    while reader.read(&two, 7).await > 0 {}
    assert_eq!(gapless(&reader.0), committed, "seed {seed}: all that was committed, and nothing else");
}

/// The last sequence of each entity; none is skipped, repeated or out of order.
pub fn gapless(events: &[Event]) -> BTreeMap<String, u64> {
    let mut last = BTreeMap::<String, u64>::new();
    for event in events {
        let sequence = last.entry(event.entity_id.clone()).or_default();
        *sequence += 1;
        assert_eq!(event.sequence, *sequence, "{:?}", names(events));
    }
    last
}

/// Three that begin in one order and end in the other, read after each: the widest window there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_began_first_and_ends_last_comes_last() {
    let rig = Rig::new(Kind::Postgres);
    let feed = rig.feed().await;
    let db = rig.process().await;
    let mut open = Vec::new();
    for n in 0..3 {
        let (written, is_written) = oneshot::channel();
        let (end, told) = watch::channel(End::Open);
        let db = db.clone();
        let ended = tokio::spawn(async move {
            let (written, told) = (&std::sync::Mutex::new(Some(written)), &told);
            let write = db.write(|tx| {
                Box::pin(async move {
                    emit(tx, &format!("t{n}"), 0).await?;
                    if let Some(written) = written.lock().unwrap().take() {
                        written.send(()).unwrap();
                    }
                    told.clone().wait_for(|end| *end == End::Commit).await.map_err(Fault::internal).map(drop)
                })
            });
            write.await.unwrap();
        });
        is_written.await.unwrap();
        open.push((end, ended));
    }
    let mut reader = Reader::default();
    while let Some((end, ended)) = open.pop() {
        end.send(End::Commit).unwrap();
        ended.await.unwrap();
        feed.catch_up().await.unwrap();
        assert_eq!(reader.read(&feed, 500).await, 1, "what has committed is there at once");
    }
    let order: Vec<_> = reader.0.iter().map(|event| event.entity_id.as_str()).collect();
    assert_eq!(order, ["t2", "t1", "t0"]);
    let sequences: HashMap<_, _> = reader.0.iter().map(|e| (e.entity_id.as_str(), e.sequence)).collect();
    assert!(sequences.values().all(|sequence| *sequence == 1));
}
