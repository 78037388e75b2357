//! Waiting for a database, and what stands in the file system.

use crate::rig::{Kind, Rig, note, noted};
use beem_clock::{Clock, Entropy};
use beem_database::{Database, DatabaseSettings};
use beem_fault::Code;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

#[tokio::test]
async fn sqlite_files_are_for_their_owner_alone() {
    let rig = Rig::new(Kind::Sqlite);
    let db = rig.process().await;
    db.write(|tx| Box::pin(note(tx, "a"))).await.unwrap();
    let file = rig.url.strip_prefix("sqlite:").unwrap().to_owned();
    for suffix in ["", "-wal", "-shm"] {
        let mode = std::fs::metadata(format!("{file}{suffix}")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
}

#[tokio::test]
async fn sqlite_readers_cannot_write() {
    use beem_database::Sql as _;
    let rig = Rig::new(Kind::Sqlite);
    let db = rig.process().await;
    assert!(db.read().run("DELETE FROM notes", vec![]).await.is_err());
}

#[tokio::test]
async fn patience_ends() {
    let settings = DatabaseSettings {
        connect_patience_s: 1,
        ..DatabaseSettings::at("postgres://postgres@localhost/x?host=/nowhere")
    };
    let fault = Database::connect(&settings, Clock::System, Entropy::System).await.err().unwrap();
    assert_eq!(fault.code, Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_comes_late_or_goes_away_is_waited_for() {
    let mut server = beem_testkit::postgres::Server::start().unwrap();
    let url = server.fresh_database().unwrap();
    server.kill();
    let settings = DatabaseSettings::at(url);
    let connecting = Database::connect(&settings, Clock::System, Entropy::System);
    let mut connecting = Box::pin(connecting);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut connecting).await;
    assert!(early.is_err(), "it waits");
    server.start_again().unwrap();
    let db = connecting.await.unwrap();
    db.migrate(&[]).await.unwrap();

    server.kill();
    let away = db.migrate(&[]).await.unwrap_err();
    assert_eq!(away.code, Code::Unavailable, "{away:?}");
    server.start_again().unwrap();
    db.migrate(&[]).await.expect("stale connections are found out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_many_tasks_all_happen() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let rig = Rig::new(kind);
        let db = rig.process().await;
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let db = db.clone();
                tokio::spawn(async move { db.write(|tx| Box::pin(note(tx, "many"))).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(noted(&db, "many").await, 50);
    }
}
