//! Transactions: run again when that is safe, gone when their caller is, refused alike on both.

use crate::cut::Wire;
use crate::rig::{Kind, Rig, note, noted, on_both, polled};
use beem_database::{Backend, Database, ErrorKind, OrFault as _, Sql as _, Tx, is_unique, kind_of, lock_row};
use beem_fault::{Code, Fault, Result};
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait as _, EntityTrait as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

on_both!(
    read_then_write_under_a_lock_loses_no_update,
    a_second_row_of_a_key_is_told_alike,
    a_refused_closure_leaves_nothing,
    a_write_dropped_at_any_await_happens_whole_or_not_at_all,
    conflicts_end_after_five_runs,
);

mod counter_row {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "counters")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub value: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

async fn add_one(tx: &Tx<'_>, counter: &str) -> Result<()> {
    let query = lock_row(tx, counter_row::Entity::find_by_id(counter));
    let row = query.one(tx).await.or_fault()?.ok_or_else(|| Fault::not_found("counter"))?;
    let value = row.value + 1;
    let changed = counter_row::ActiveModel { value: Set(value), ..row.into() };
    changed.update(tx).await.or_fault().map(drop)
}

async fn counter(db: &Database, name: &str) -> i64 {
    let row = db.read().row("SELECT value FROM counters WHERE name = $1", vec![name.into()]).await.unwrap();
    row.unwrap().try_get("", "value").or_fault().unwrap()
}

async fn make_counters(db: &Database) {
    let sql = "INSERT INTO counters (name, value) VALUES ('a', 0), ('b', 0)";
    db.write(|tx| Box::pin(async move { tx.run(sql, vec![]).await })).await.unwrap();
}

async fn read_then_write_under_a_lock_loses_no_update(rig: Rig) {
    let (one, two) = (rig.process().await, rig.process().await);
    make_counters(&one).await;
    let mut tasks = Vec::new();
    for n in 0..4 {
        let db = if n % 2 == 0 { one.clone() } else { two.clone() };
        // One of them locks in the other order: deadlocks on PostgreSQL, to be run again.
        let order = if n < 3 { ["a", "b"] } else { ["b", "a"] };
        tasks.push(tokio::spawn(async move {
            for _ in 0..5 {
                let both = db.write(|tx| {
                    Box::pin(async move {
                        add_one(tx, order[0]).await?;
                        add_one(tx, order[1]).await
                    })
                });
                both.await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let (a, b) = (counter(&one, "a").await, counter(&one, "b").await);
    assert_eq!((a, b), (20, 20));
}

async fn a_second_row_of_a_key_is_told_alike(rig: Rig) {
    let db = rig.process().await;
    make_counters(&db).await;
    let again = "INSERT INTO counters (name, value) VALUES ('a', 7)";
    let fault = db.write(|tx| Box::pin(async move { tx.run(again, vec![]).await })).await.unwrap_err();
    assert!(is_unique(&fault, "counters", "name"), "{fault:?}");
    assert!(!is_unique(&fault, "notes", "name"));
    assert_eq!(fault.code, Code::Internal, "a caller that expects it says what it means");
}

async fn a_refused_closure_leaves_nothing(rig: Rig) {
    let db = rig.process().await;
    let refused = db.write(|tx| {
        Box::pin(async move {
            note(tx, "refused").await?;
            Err::<(), _>(Fault::not_found("reason"))
        })
    });
    assert_eq!(refused.await.unwrap_err().code, Code::NotFound);
    assert_eq!(noted(&db, "refused").await, 0);
}

async fn a_write_dropped_at_any_await_happens_whole_or_not_at_all(rig: Rig) {
    let db = rig.process().await;
    // How many polls there are depends on how quick the database is: a few rounds meet them all.
    let mut most = 0;
    for round in 0..5 {
        most = until_it_ends(&db, round).await.max(most);
    }
    assert!(most > 1, "it was never dropped half way");
}

/// After how many polls it ended.
async fn until_it_ends(db: &Database, round: u32) -> u32 {
    for polls in 1..200 {
        let text = &format!("round {round} dropped after {polls}");
        let write = db.write(|tx| {
            Box::pin(async move {
                note(tx, text).await?;
                note(tx, text).await
            })
        });
        let done = polled(write, polls).await;
        // Behind it in the queue of SQLite's one writer, so that what was dropped has ended.
        for _ in 0..5 {
            db.write(|tx| Box::pin(note(tx, "next"))).await.unwrap();
        }
        let times = noted(db, text).await;
        assert!(times == 2 || (times == 0 && done.is_none()), "{text}: {times}");
        if done.is_some() {
            return polls;
        }
    }
    panic!("it never ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_begin_dropped_half_way_leaves_no_open_transaction() {
    let rig = Rig::new(Kind::Postgres);
    let (db, onlooker) = (rig.process().await, rig.process().await);
    for polls in 1..30 {
        db.read().row("SELECT 1 AS warm", vec![]).await.unwrap();
        polled(db.write(|tx| Box::pin(note(tx, "dropped"))), polls % 3 + 1).await;
    }
    let sql = "SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let none_left = async {
        while !onlooker.read().rows(sql, vec![]).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), none_left).await.expect("all are rolled back");
}

async fn conflicts_end_after_five_runs(rig: Rig) {
    let db = rig.process().await;
    make_counters(&db).await;
    let runs = &AtomicU32::new(0);
    let holder = rig.process().await;
    let (locked, mut is_locked) = tokio::sync::mpsc::channel::<()>(1);
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let released = &tokio::sync::Mutex::new(Some(released));
    let locked = &locked;
    let held = holder.write(|tx| {
        Box::pin(async move {
            add_one(tx, "a").await?;
            locked.send(()).await.map_err(Fault::internal)?;
            let wait = released.lock().await.take();
            wait.ok_or_else(|| Fault::internal("run twice"))?.await.map_err(Fault::internal)
        })
    });
    let contended = async {
        is_locked.recv().await.unwrap();
        let result = db
            .write(|tx| {
                Box::pin(async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    if tx.backend() == Backend::Postgres {
                        // A conflict at once instead of a wait.
                        tx.run("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", vec![]).await?;
                        let raise = "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40001'; END $$";
                        tx.run(raise, vec![]).await?;
                    }
                    add_one(tx, "a").await
                })
            })
            .await;
        release.send(()).unwrap();
        result
    };
    let (held, contended) = tokio::join!(held, contended);
    held.unwrap();
    let fault = contended.unwrap_err();
    assert_eq!((fault.code, kind_of(&fault)), (Code::Unavailable, Some(&ErrorKind::Conflict)), "{fault:?}");
    match db.backend() {
        Backend::Postgres => assert_eq!(runs.load(Ordering::SeqCst), 5),
        // Busy at BEGIN: the closure never ran.
        Backend::Sqlite => assert_eq!(runs.load(Ordering::SeqCst), 0),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_unknown_and_not_run_again() {
    let rig = Rig::new(Kind::Postgres);
    let direct = rig.process().await;
    let (before, host) = rig.url.split_once("host=").unwrap();
    let wire = Wire::to(std::path::Path::new(host));
    let url = format!("{before}host={}", wire.folder().display());
    let db = rig.through(url).bare_process().await;
    let runs = &AtomicU32::new(0);
    wire.arm();
    let fault = db
        .write(|tx| {
            Box::pin(async move {
                runs.fetch_add(1, Ordering::SeqCst);
                note(tx, "lost").await
            })
        })
        .await
        .unwrap_err();
    assert!(wire.was_cut());
    assert_eq!(
        (fault.code, kind_of(&fault)),
        (Code::Unavailable, Some(&ErrorKind::CommitUnknown)),
        "{fault:?}"
    );
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(noted(&direct, "lost").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_before_the_commit_is_run_again() {
    let db = Rig::new(Kind::Postgres).process().await;
    let runs = &AtomicU32::new(0);
    db.write(|tx| {
        Box::pin(async move {
            note(tx, "again").await?;
            if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                tx.run("SELECT pg_terminate_backend(pg_backend_pid())", vec![]).await?;
            }
            Ok(())
        })
    })
    .await
    .unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(noted(&db, "again").await, 1);
    tokio::time::timeout(Duration::from_secs(1), db.ping()).await.unwrap().unwrap();
}
