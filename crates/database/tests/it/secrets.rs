//! Secrets in claims and sagas: never in the clear at rest, given again to who may have them, and re-sealed under a new
//! key while sagas run.

use crate::rig::{Rig, in_seconds, key, note, noted, on_both, polled};
use beem_clock::Entropy;
use beem_database::claims::{self, Outcome, RequestKey, Resealed, fingerprint};
use beem_database::sagas::{Saga, SagaRun, Sagas};
use beem_database::{Backend, Database, MIGRATIONS, OrFault as _, Sql as _};
use beem_fault::{Code, Fault, Result};
use beem_sealing::{Sealing, SealingKey};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

on_both!(
    a_secret_answer_is_sealed_at_rest_and_given_again,
    a_secret_request_is_told_from_another_and_its_refusal_stands,
    without_the_key_nothing_is_given_burnt_or_lost,
    a_running_saga_is_sealed_and_gone_on_with_by_another_process,
    a_secret_saga_dropped_at_any_await_ends_once,
    a_secret_saga_waits_for_a_process_with_its_key,
    a_saga_goes_on_as_it_began,
    after_a_rotation_the_old_key_is_not_needed,
    processes_in_the_middle_of_a_rotation_leave_nothing_behind,
    a_lost_key_stands_in_nobodys_way,
    what_was_tampered_with_stands_in_nobodys_way,
    claims_of_the_release_before_are_given_again,
);

fn sealing(seeds: &[u8]) -> Sealing {
    Sealing::new(seeds.iter().map(|seed| SealingKey::from_bytes([*seed; 32])).collect()).unwrap()
}

fn keys(seeds: &[u8]) -> Vec<SealingKey> {
    seeds.iter().map(|seed| SealingKey::from_bytes([*seed; 32])).collect()
}

async fn write(db: &Database, key: &RequestKey) -> Outcome {
    claims::once_secret(db, key, in_seconds(10), |tx| {
        Box::pin(async move {
            note(tx, "token made").await?;
            Ok(b"answer-hunter2".to_vec())
        })
    })
    .await
}

/// Everything claims and steps hold, as an intruder would read it.
async fn at_rest(db: &Database) -> String {
    let mut all = Vec::new();
    let sql = "SELECT fingerprint, coalesce(outcome, fingerprint) AS outcome, coalesce(payload, fingerprint) AS payload,
        coalesce(actor, fingerprint) AS actor, coalesce(ids, '') AS ids FROM claims";
    for row in db.read().rows(sql, vec![]).await.unwrap() {
        for column in ["fingerprint", "outcome", "payload", "actor"] {
            all.extend(row.try_get::<Vec<u8>>("", column).or_fault().unwrap());
        }
        all.extend(row.try_get::<String>("", "ids").or_fault().unwrap().into_bytes());
    }
    for row in db.read().rows("SELECT outcome FROM saga_steps", vec![]).await.unwrap() {
        all.extend(row.try_get::<Vec<u8>>("", "outcome").or_fault().unwrap());
    }
    assert!(!all.is_empty());
    all.into_iter().map(char::from).collect()
}

fn latin(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

async fn assert_sealed(db: &Database) {
    let all = at_rest(db).await;
    assert!(!all.contains("hunter2"));
    assert!(!all.contains(&latin(&key("k").fingerprint)), "a password could be tried out on it");
}

/// Where a second factor is set up: the request, the ids, a step's answer and the answer itself are secrets.
struct Enrol {
    secret: bool,
    reached: Arc<Notify>,
    gate: watch::Receiver<bool>,
}

impl Saga for Enrol {
    fn rpc(&self) -> &'static str {
        "Notes/Write"
    }

    fn secret(&self) -> bool {
        self.secret
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let drawn = run.step("draw", || async { Ok(b"step-hunter2 ".to_vec()) }).await?;
            let local =
                run.write("take", |_| Box::pin(async { Ok(Some(b"take-hunter2 ".to_vec())) })).await?;
            self.reached.notify_one();
            self.gate.clone().wait_for(|open| *open).await.map_err(Fault::internal)?;
            let token = run.ids()["token"].as_str().unwrap_or_default().as_bytes();
            let answer = &[run.payload(), token, &drawn, &local.unwrap_or_default()].concat();
            run.finish(|tx| {
                Box::pin(async move {
                    note(tx, "enrolled").await?;
                    Ok(answer.clone())
                })
            })
            .await
        })
    }
}

const ENROLLED: &[u8] = b"request-hunter2 ids-hunter2 step-hunter2 take-hunter2 ";

struct World {
    rig: Rig,
    reached: Arc<Notify>,
    gate: watch::Sender<bool>,
}

impl World {
    fn new(rig: Rig) -> Self {
        Self { rig, reached: Arc::default(), gate: watch::channel(true).0 }
    }

    async fn process(&self, sealing: &Sealing) -> (Sagas, Database) {
        let db = self.rig.process().await.sealed_by(sealing.clone());
        (self.sagas(&db, true), db)
    }

    fn sagas(&self, db: &Database, secret: bool) -> Sagas {
        let enrol = Enrol { secret, reached: self.reached.clone(), gate: self.gate.subscribe() };
        Sagas::new(db.clone(), vec![Arc::new(enrol)])
    }

    async fn enrol(&self, sagas: &Sagas, key: &RequestKey) -> Outcome {
        let ids = || json!({ "token": "ids-hunter2 " });
        sagas.run(key, ids, b"request-hunter2 ", b"actor", in_seconds(20)).await
    }

    /// Begins, and its process dies before the last step.
    async fn begin(&self, sagas: &Sagas, key: &RequestKey) {
        self.gate.send(false).unwrap();
        // What an earlier run told nobody.
        let _told = self.reached.notified().now_or_never();
        tokio::select! {
            outcome = self.enrol(sagas, key) => panic!("it ended: {outcome:?}"),
            () = self.reached.notified() => {}
        }
        self.gate.send(true).unwrap();
        self.rig.clock.advance_ms(16_000);
    }

    async fn assert_enrolled(&self, sagas: &Sagas, key: &RequestKey, replayed: bool) {
        let outcome = self.enrol(sagas, key).await;
        assert_eq!((latin(&outcome.result.unwrap()), outcome.replayed), (latin(ENROLLED), replayed));
    }
}

async fn a_secret_answer_is_sealed_at_rest_and_given_again(rig: Rig) {
    let db = rig.process().await.sealed_by(sealing(&[1]));
    let other = rig.process().await.sealed_by(sealing(&[1]));
    let first = write(&db, &key("k")).await;
    assert_eq!((first.result.unwrap(), first.replayed), (b"answer-hunter2".to_vec(), false));
    assert_sealed(&db).await;
    for db in [&db, &other] {
        let again = write(db, &key("k")).await;
        assert_eq!((again.result.unwrap(), again.replayed), (b"answer-hunter2".to_vec(), true));
    }
    assert_eq!(noted(&db, "token made").await, 1);
    // One that does not ask for secrecy is answered from it, and has its own way in a row of its own.
    let plainly = |key| {
        let db = db.clone();
        async move { claims::once(&db, &key, in_seconds(10), |tx| Box::pin(note(tx, "plain"))).await }
    };
    assert!(plainly(key("k")).await.replayed);
    assert!(!plainly(key("plain")).await.replayed);
    assert!(at_rest(&db).await.contains("noted plain"));
    // And a key past its time is used anew, the other way round.
    rig.clock.advance_ms(claims::RETENTION_MS);
    assert!(!plainly(key("k")).await.replayed);
    assert!(!write(&db, &key("plain")).await.replayed);
    assert!(plainly(key("k")).await.replayed && write(&db, &key("plain")).await.replayed);
}

async fn a_secret_request_is_told_from_another_and_its_refusal_stands(rig: Rig) {
    let db = rig.process().await.sealed_by(sealing(&[1]));
    write(&db, &key("k")).await.result.unwrap();
    let other = RequestKey { fingerprint: fingerprint("Notes/Write", b"other"), ..key("k") };
    assert_eq!(write(&db, &other).await.result.unwrap_err().code, Code::IdempotencyKeyReused);
    let refused = || async {
        let refuse = |key| {
            let db = db.clone();
            async move {
                claims::once_secret(&db, &key, in_seconds(10), |tx| {
                    Box::pin(async move {
                        note(tx, "undone").await?;
                        Err(Fault::field("password", "too short"))
                    })
                })
                .await
            }
        };
        let outcome = refuse(key("refused")).await;
        (outcome.result.unwrap_err().fields[0].field.clone(), outcome.replayed)
    };
    assert_eq!(refused().await, ("password".into(), false));
    assert_eq!(refused().await, ("password".into(), true));
    assert_eq!(noted(&db, "undone").await, 0);
    assert!(!at_rest(&db).await.contains(&latin(&key("refused").fingerprint)));
}

async fn without_the_key_nothing_is_given_burnt_or_lost(rig: Rig) {
    let (keyless, db) = (rig.process().await, rig.process().await.sealed_by(sealing(&[1])));
    assert_eq!(write(&keyless, &key("k")).await.result.unwrap_err().code, Code::Internal);
    assert_eq!(claims::reseal(&keyless, 10).await.unwrap_err().code, Code::Internal);
    assert_eq!(noted(&db, "token made").await, 0);
    assert!(!write(&db, &key("k")).await.replayed, "and the key is as good as new");
    let stranger = rig.process().await.sealed_by(sealing(&[2]));
    for db in [&keyless, &stranger] {
        let fault = write(db, &key("k")).await.result.unwrap_err();
        assert_eq!(fault.code, Code::Internal);
        assert!(!format!("{fault:?}").contains("hunter2"));
    }
    assert!(write(&db, &key("k")).await.replayed);
    assert_eq!(noted(&db, "token made").await, 1);
}

async fn a_running_saga_is_sealed_and_gone_on_with_by_another_process(rig: Rig) {
    let world = World::new(rig);
    let (one, db) = world.process(&sealing(&[1])).await;
    let (two, _) = world.process(&sealing(&[1])).await;
    world.begin(&one, &key("k")).await;
    let steps = db.read().rows("SELECT step FROM saga_steps", vec![]).await.unwrap();
    assert_eq!(steps.len(), 2);
    assert_sealed(&db).await;
    let other = RequestKey { fingerprint: [7; 32], ..key("k") };
    assert_eq!(world.enrol(&two, &other).await.result.unwrap_err().code, Code::IdempotencyKeyReused);
    world.assert_enrolled(&two, &key("k"), false).await;
    world.assert_enrolled(&one, &key("k"), true).await;
    assert_sealed(&db).await;
    assert_eq!(noted(&db, "enrolled").await, 1);
}

async fn a_secret_saga_dropped_at_any_await_ends_once(rig: Rig) {
    let world = World::new(rig);
    let (one, _) = world.process(&sealing(&[1])).await;
    let (two, db) = world.process(&sealing(&[1])).await;
    for polls in 1..400 {
        let key = key(&format!("k{polls}"));
        let done = polled(world.enrol(&one, &key), polls).await;
        world.rig.clock.advance_ms(16_000);
        let again = world.enrol(&two, &key).await;
        assert_eq!(latin(&again.result.unwrap()), latin(ENROLLED));
        assert_eq!(noted(&db, "enrolled").await, i64::from(polls));
        if done.is_some() {
            assert!(again.replayed);
            return assert_sealed(&db).await;
        }
    }
    panic!("it never ended");
}

async fn a_secret_saga_waits_for_a_process_with_its_key(rig: Rig) {
    let world = World::new(rig);
    let (with_key, db) = world.process(&sealing(&[1])).await;
    let (stranger, _) = world.process(&sealing(&[2])).await;
    world.begin(&with_key, &key("k")).await;
    assert_eq!(world.enrol(&stranger, &key("k")).await.result.unwrap_err().code, Code::Internal);
    // The stranger's resumer takes it up, cannot read it, and leaves it for another.
    let attempts = || async {
        let row = db.read().row("SELECT attempts FROM claims WHERE owner IS NULL", vec![]).await.unwrap();
        row.map_or(0, |row| row.try_get::<i64>("", "attempts").or_fault().unwrap())
    };
    let cancel = CancellationToken::new();
    let tried = async {
        while attempts().await < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            world.rig.clock.advance_ms(1000);
        }
        cancel.cancel();
    };
    let both = async { tokio::join!(stranger.resume(cancel.clone()), tried) };
    tokio::time::timeout(std::time::Duration::from_secs(30), both).await.expect("it is tried");
    assert_eq!(noted(&db, "enrolled").await, 0);
    world.rig.clock.advance_ms(120_000);
    world.assert_enrolled(&with_key, &key("k"), false).await;
}

async fn a_saga_goes_on_as_it_began(rig: Rig) {
    let world = World::new(rig);
    let (secret, db) = world.process(&sealing(&[1])).await;
    let plain = world.sagas(&db, false);
    world.begin(&plain, &key("plain")).await;
    assert!(at_rest(&db).await.contains("request-hunter2"));
    world.assert_enrolled(&secret, &key("plain"), false).await;
    world.assert_enrolled(&plain, &key("plain"), true).await;
    db.write(|tx| Box::pin(tx.run("DELETE FROM claims", vec![]))).await.unwrap();
    world.begin(&secret, &key("k")).await;
    world.assert_enrolled(&plain, &key("k"), false).await;
    world.assert_enrolled(&secret, &key("k"), true).await;
    assert_sealed(&db).await;
}

async fn after_a_rotation_the_old_key_is_not_needed(rig: Rig) {
    let world = World::new(rig);
    let ring = sealing(&[1]);
    let (sagas, db) = world.process(&ring).await;
    for n in 0..3 {
        write(&db, &key(&format!("w{n}"))).await.result.unwrap();
    }
    world.assert_enrolled(&sagas, &key("done"), false).await;
    world.begin(&sagas, &key("k")).await;
    let plain = RequestKey { fingerprint: [9; 32], ..key("plain") };
    claims::once(&db, &plain, in_seconds(10), |tx| Box::pin(note(tx, "plain"))).await.result.unwrap();
    assert_eq!(claims::reseal(&db, 10).await.unwrap(), Resealed { resealed: 0, left: 0 });
    ring.replace(keys(&[2, 1])).unwrap();
    assert_eq!(claims::reseal(&db, 2).await.unwrap(), Resealed { resealed: 2, left: 3 }, "bounded");
    assert_eq!(claims::reseal(&db, 10).await.unwrap(), Resealed { resealed: 3, left: 0 });
    let old = SealingKey::from_bytes([1; 32]).id();
    assert!(!at_rest(&db).await.contains(&latin(old.as_bytes())));
    assert_sealed(&db).await;
    ring.replace(keys(&[2])).unwrap();
    for n in 0..3 {
        assert!(write(&db, &key(&format!("w{n}"))).await.replayed);
    }
    world.assert_enrolled(&sagas, &key("done"), true).await;
    world.assert_enrolled(&sagas, &key("k"), false).await;
    let other = RequestKey { fingerprint: [7; 32], ..key("k") };
    assert_eq!(world.enrol(&sagas, &other).await.result.unwrap_err().code, Code::IdempotencyKeyReused);
}

async fn processes_in_the_middle_of_a_rotation_leave_nothing_behind(rig: Rig) {
    let world = World::new(rig);
    let (slow, _) = world.process(&sealing(&[1, 2])).await;
    let (quick, db) = world.process(&sealing(&[2, 1])).await;
    // Begun under the new key, ended by a process that still seals with the old one.
    world.begin(&quick, &key("a")).await;
    world.assert_enrolled(&slow, &key("a"), false).await;
    assert_eq!(claims::reseal(&db, 10).await.unwrap(), Resealed { resealed: 1, left: 0 });
    // Begun under the old, sealed again, and ended under the old.
    world.begin(&slow, &key("b")).await;
    assert_eq!(claims::reseal(&db, 10).await.unwrap(), Resealed { resealed: 1, left: 0 });
    world.begin(&slow, &key("c")).await;
    world.assert_enrolled(&slow, &key("b"), false).await;
    world.assert_enrolled(&quick, &key("c"), false).await;
    assert_eq!(claims::reseal(&db, 10).await.unwrap(), Resealed { resealed: 2, left: 0 });
    let (new, _) = world.process(&sealing(&[2])).await;
    for name in ["a", "b", "c"] {
        world.assert_enrolled(&new, &key(name), true).await;
    }
}

async fn a_lost_key_stands_in_nobodys_way(rig: Rig) {
    let (lost, old) = (sealing(&[3]), sealing(&[1]));
    let (lost, old) = (rig.process().await.sealed_by(lost), rig.process().await.sealed_by(old));
    for n in 0..3 {
        write(&lost, &key(&format!("lost{n}"))).await.result.unwrap();
    }
    write(&old, &key("k")).await.result.unwrap();
    // What is said to have several keys, and has one that is not held.
    let sql = "UPDATE claims SET sealed_by = $1 WHERE key = 'lost0'";
    old.write(|tx| Box::pin(tx.run(sql, vec![Vec::<u8>::new().into()]))).await.unwrap();
    let ring = sealing(&[2, 1]);
    let new = rig.process().await.sealed_by(ring.clone());
    let mut resealed = 0;
    for _ in 0..3 {
        resealed += claims::reseal(&new, 1).await.unwrap().resealed;
    }
    assert_eq!(resealed, 1);
    assert_eq!(claims::reseal(&new, 1).await.unwrap(), Resealed { resealed: 0, left: 3 });
    assert!(write(&new, &key("k")).await.replayed);
    // It is found again, in the other drawer.
    ring.replace(keys(&[2, 3])).unwrap();
    assert_eq!(claims::reseal(&new, 10).await.unwrap(), Resealed { resealed: 3, left: 0 });
    ring.replace(keys(&[2])).unwrap();
    assert!(write(&new, &key("lost0")).await.replayed);
}

async fn what_was_tampered_with_stands_in_nobodys_way(rig: Rig) {
    let ring = sealing(&[1]);
    let db = rig.process().await.sealed_by(ring.clone());
    for name in ["moved", "k"] {
        write(&db, &key(name)).await.result.unwrap();
    }
    let sql = "UPDATE claims SET outcome = (SELECT outcome FROM claims WHERE key = 'k') WHERE key = 'moved'";
    db.write(|tx| Box::pin(tx.run(sql, vec![]))).await.unwrap();
    assert_eq!(
        write(&db, &key("moved")).await.result.unwrap_err().code,
        Code::Internal,
        "another row's answer"
    );
    ring.replace(keys(&[2, 1])).unwrap();
    for _ in 0..3 {
        claims::reseal(&db, 1).await.unwrap();
    }
    assert_eq!(claims::reseal(&db, 1).await.unwrap(), Resealed { resealed: 0, left: 1 });
    ring.replace(keys(&[2])).unwrap();
    assert!(write(&db, &key("k")).await.replayed);
    rig.clock.advance_ms(claims::RETENTION_MS);
    claims::purge(&db, 10).await.unwrap();
    assert_eq!(claims::reseal(&db, 1).await.unwrap().left, 0, "its time is over");
}

async fn claims_of_the_release_before_are_given_again(rig: Rig) {
    let db = rig.bare_process().await;
    db.migrate(&MIGRATIONS[..2]).await.unwrap();
    let sql = "INSERT INTO claims (principal, rpc, key, fingerprint, state, outcome, created_ms, expires_ms, attempts,
        lease_until_ms) VALUES ('p1', 'Notes/Write', 'k', $1, 'DONE', $2, 0, $3, 1, 0)";
    let values = || vec![key("k").fingerprint.to_vec().into(), b"\0old".to_vec().into(), i64::MAX.into()];
    db.write(|tx| Box::pin(tx.run(sql, values()))).await.unwrap();
    let db = rig.process().await.sealed_by(sealing(&[1]));
    let again = write(&db, &key("k")).await;
    assert_eq!((again.result.unwrap(), again.replayed), (b"old".to_vec(), true));
    let index = match db.backend() {
        Backend::Postgres => "SELECT 1 FROM pg_indexes WHERE indexname = 'claims_sealed'",
        Backend::Sqlite => "SELECT 1 FROM sqlite_master WHERE name = 'claims_sealed'",
    };
    assert!(db.read().row(index, vec![]).await.unwrap().is_some());
    let drawn = Sealing::new(vec![SealingKey::draw(&Entropy::System)]).unwrap();
    assert_eq!(claims::reseal(&db.sealed_by(drawn), 10).await.unwrap(), Resealed::default());
}
