//! Migrations under a race, and those that must be refused.

use crate::rig::{Rig, on_both};
use beem_database::{Migration, Sql as _};

on_both!(
    processes_race_and_each_migration_is_applied_once,
    a_database_of_a_newer_release_is_refused,
    an_edited_migration_is_refused,
    a_failing_migration_leaves_nothing,
);

const fn step(name: &'static str, sql: &'static str) -> Migration {
    Migration { name, postgres: sql, sqlite: sql }
}

const A: Migration = step("a", "CREATE TABLE a (x TEXT); INSERT INTO a (x) VALUES ('once');");
const B: Migration = step("b", "INSERT INTO a (x) VALUES ('twice'); CREATE TABLE b (y TEXT);");

async fn processes_race_and_each_migration_is_applied_once(rig: Rig) {
    let mut racers = Vec::new();
    for _ in 0..6 {
        let db = rig.bare_process().await;
        racers.push(tokio::spawn(async move { db.migrate(&[A, B]).await }));
    }
    for racer in racers {
        racer.await.unwrap().unwrap();
    }
    let db = rig.bare_process().await;
    assert_eq!(db.read().rows("SELECT x FROM a", vec![]).await.unwrap().len(), 2);
    assert_eq!(db.read().rows("SELECT name FROM migrations", vec![]).await.unwrap().len(), 2);
}

async fn a_database_of_a_newer_release_is_refused(rig: Rig) {
    let db = rig.bare_process().await;
    db.migrate(&[A, B]).await.unwrap();
    let fault = db.migrate(&[A]).await.unwrap_err();
    assert!(format!("{fault:?}").contains("migration b"), "{fault:?}");
}

async fn an_edited_migration_is_refused(rig: Rig) {
    let db = rig.bare_process().await;
    db.migrate(&[A]).await.unwrap();
    let fault = db.migrate(&[step("a", "CREATE TABLE a (z TEXT)"), B]).await.unwrap_err();
    assert!(format!("{fault:?}").contains("another text"), "{fault:?}");
    assert!(db.read().rows("SELECT y FROM b", vec![]).await.is_err(), "nothing later is applied");
}

async fn a_failing_migration_leaves_nothing(rig: Rig) {
    let db = rig.bare_process().await;
    let broken = step("broken", "CREATE TABLE half (x TEXT); CREATE TABLE half (x TEXT);");
    assert!(db.migrate(&[A, broken, B]).await.is_err());
    assert!(db.read().rows("SELECT x FROM half", vec![]).await.is_err());
    assert!(db.read().rows("SELECT y FROM b", vec![]).await.is_err());
    db.migrate(&[A, B]).await.expect("and the next release may go on");
}
