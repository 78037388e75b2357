//! Positions: none skipped, none twice, whatever order transactions commit in and whoever numbers.

use crate::rig::{Kind, Rig, emit, happen, names, on_both, on_postgres, read};
use beem_database::Sql as _;
use beem_fault::Fault;
use std::collections::HashMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

on_both!(
    positions_and_sequences_have_no_gaps,
    a_rolled_back_event_leaves_no_gap,
    a_reader_sees_every_event_once_while_many_write_and_two_number,
    purged_positions_never_return,
);

async fn positions_and_sequences_have_no_gaps(rig: Rig) {
    let feed = rig.feed().await;
    let db = rig.process().await;
    for (n, entity) in ["a", "b", "a", "a", "b"].into_iter().enumerate() {
        happen(&db, entity, i64::try_from(n).unwrap()).await;
    }
    assert!(read(&feed, 0).await.is_empty(), "no position before the sequencer");
    feed.catch_up().await.unwrap();
    let expected = [(1, "a", 1), (2, "b", 1), (3, "a", 2), (4, "a", 3), (5, "b", 2)];
    let expected: Vec<_> = expected.map(|(p, e, s)| (p, e.to_owned(), s)).to_vec();
    assert_eq!(names(&read(&feed, 0).await), expected);
    assert_eq!(names(&read(&feed, 3).await), expected[3..]);
}

async fn a_rolled_back_event_leaves_no_gap(rig: Rig) {
    let feed = rig.feed().await;
    let db = rig.process().await;
    happen(&db, "a", 1).await;
    let undone = db.write(|tx| {
        Box::pin(async move {
            emit(tx, "a", 2).await?;
            Err::<(), _>(Fault::not_found("reason"))
        })
    });
    undone.await.unwrap_err();
    happen(&db, "a", 3).await;
    feed.catch_up().await.unwrap();
    assert_eq!(names(&read(&feed, 0).await), [(1, "a".into(), 1), (2, "a".into(), 2)]);
}

async fn a_reader_sees_every_event_once_while_many_write_and_two_number(rig: Rig) {
    let (one, two) = (rig.feed().await, rig.feed().await);
    let cancel = CancellationToken::new();
    let sequencers = [one.clone(), two.clone()].map(|feed| {
        let cancel = cancel.clone();
        tokio::spawn(async move { feed.sequence(cancel).await })
    });
    let (writers, each) = (6_usize, 15_i64);
    for writer in 0..writers {
        let db = rig.process().await;
        tokio::spawn(async move {
            for n in 0..each {
                let entity = &format!("e{}", (writer + usize::try_from(n).unwrap()) % 4);
                db.write(|tx| {
                    Box::pin(async move {
                        emit(tx, entity, n).await?;
                        tokio::task::yield_now().await;
                        Ok(())
                    })
                })
                .await
                .unwrap();
            }
        });
    }
    let mut all = Vec::new();
    let reading = async {
        while all.len() < writers * 15 {
            let after = all.last().map_or(0, |e: &beem_events::Event| e.position);
            all.extend(two.read(two.epoch(), after, 7, Duration::from_secs(5)).await.unwrap().events);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reading).await.expect("all arrive");
    let mut last: HashMap<String, u64> = HashMap::new();
    for (event, position) in all.iter().zip(1..) {
        assert_eq!(event.position, position);
        let sequence = last.entry(event.entity_id.clone()).or_default();
        *sequence += 1;
        assert_eq!(event.sequence, *sequence, "of one entity in order: {:?}", names(&all));
    }
    cancel.cancel();
    for sequencer in sequencers {
        sequencer.await.unwrap();
    }
}

async fn purged_positions_never_return(rig: Rig) {
    let feed = rig.feed().await;
    let db = rig.process().await;
    for n in 0..3 {
        happen(&db, "a", n).await;
    }
    feed.catch_up().await.unwrap();
    rig.clock.advance_ms(10_000);
    assert_eq!(feed.purge(5_000, 100).await.unwrap(), 3);
    happen(&db, "a", 4).await;
    feed.catch_up().await.unwrap();
    assert_eq!(names(&read(&feed, 3).await), [(4, "a".into(), 4)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_commits_late_is_not_skipped() {
    let rig = Rig::new(Kind::Postgres);
    let feed = rig.feed().await;
    let (early, late) = (rig.process().await, rig.process().await);
    let (inserted, mut is_inserted) = tokio::sync::mpsc::channel::<()>(1);
    let (commit, may_commit) = tokio::sync::watch::channel(false);
    let (inserted, may_commit) = (&inserted, &may_commit);
    let writing = late.write(|tx| {
        Box::pin(async move {
            emit(tx, "late", 1).await?;
            inserted.send(()).await.map_err(Fault::internal)?;
            may_commit.clone().wait_for(|c| *c).await.map_err(Fault::internal)?;
            Ok(())
        })
    });
    let meanwhile = async {
        is_inserted.recv().await.unwrap();
        happen(&early, "early", 1).await;
        feed.catch_up().await.unwrap();
        let before = names(&read(&feed, 0).await);
        commit.send(true).unwrap();
        before
    };
    let (written, before) = tokio::join!(writing, meanwhile);
    written.unwrap();
    assert_eq!(before, [(1, "early".into(), 1)], "the later row was read first");
    feed.catch_up().await.unwrap();
    assert_eq!(names(&read(&feed, 1).await), [(2, "late".into(), 1)], "and the earlier one comes after it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_sequencer_takes_over_when_the_holder_dies() {
    let rig = Rig::new(Kind::Postgres);
    let holder = rig.process().await;
    let feed = rig.feed().await;
    assert!(on_postgres(&holder));
    // A process that hangs in the middle of a round, with the lock in its hands.
    let (pid, mut is_holding) = tokio::sync::mpsc::channel::<i32>(1);
    let hanging = tokio::spawn(async move {
        let pid = &pid;
        holder
            .write(|tx| {
                Box::pin(async move {
                    tx.run("SELECT pg_advisory_xact_lock($1)", vec![0x6265_656d_7365_7172_i64.into()])
                        .await?;
                    let row = tx.row("SELECT pg_backend_pid() AS pid", vec![]).await?.unwrap();
                    pid.send(row.try_get("", "pid").unwrap()).await.map_err(Fault::internal)?;
                    std::future::pending::<beem_fault::Result<()>>().await
                })
            })
            .await
    });
    let pid = is_holding.recv().await.unwrap();
    let cancel = CancellationToken::new();
    let sequencer = tokio::spawn({
        let (feed, cancel) = (feed.clone(), cancel.clone());
        async move { feed.sequence(cancel).await }
    });
    let db = rig.process().await;
    happen(&db, "a", 1).await;
    feed.catch_up().await.unwrap();
    assert!(read(&feed, 0).await.is_empty(), "one numbers at a time");
    db.write(|tx| Box::pin(async move { tx.run("SELECT pg_terminate_backend($1)", vec![pid.into()]).await }))
        .await
        .unwrap();
    let events = feed.read(feed.epoch(), 0, 10, Duration::from_secs(10)).await.unwrap().events;
    assert_eq!(names(&events), [(1, "a".into(), 1)]);
    cancel.cancel();
    sequencer.await.unwrap();
    hanging.abort();
}
