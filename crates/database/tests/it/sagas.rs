//! A payment across two services: reserve there, send there, book here. Dropped everywhere, resumed anywhere.

use crate::rig::{Rig, in_seconds, key, note, noted, on_both, polled};
use beem_clock::Clock;
use beem_database::claims::{self, Outcome, RequestKey, fingerprint};
use beem_database::sagas::{Saga, SagaRun, Sagas};
use beem_database::{Database, OrFault as _, Sql as _};
use beem_fault::{Code, Fault, Result};
use futures::future::BoxFuture;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

on_both!(
    row_1_a_saga_dropped_at_any_await_ends_once_in_the_same_process,
    row_2_a_saga_dropped_at_any_await_is_taken_over_by_another_process_with_the_same_ids,
    row_3_a_saga_refuses_another_request_under_its_key,
    row_4_twenty_first_uses_of_a_saga_have_one_effect_and_one_answer,
    row_6_a_refused_saga_is_remembered_with_its_undoing,
    row_7_a_failing_saga_is_tried_again_until_it_ends,
    two_runners_of_one_saga_have_one_end,
    a_deadline_leaves_the_saga_to_the_resumer,
    a_refused_last_step_leaves_nothing,
    a_panicking_saga_does_not_stop_the_resumer,
);

/// How the callees behave.
#[derive(Default)]
struct Weather {
    failures: AtomicU32,
    panics: AtomicU32,
    no_funds: AtomicU32,
    no_booking: AtomicU32,
    calls: AtomicU32,
}

struct Pay {
    /// The other service's own database.
    remote: Database,
    weather: Arc<Weather>,
    /// The run waits before its last step until this is true.
    gate: watch::Receiver<bool>,
}

impl Pay {
    async fn call(&self, effect_key: String, step: &str) -> Result<Vec<u8>> {
        self.weather.calls.fetch_add(1, Ordering::SeqCst);
        if take_one(&self.weather.failures) {
            return Err(Fault::unavailable("the other service is away"));
        }
        if take_one(&self.weather.panics) {
            panic!("as told");
        }
        let no_funds = step == "reserve" && take_one(&self.weather.no_funds);
        let effect = &effect_key;
        claims::once_for_ever(&self.remote, effect, fingerprint(step, b""), in_seconds(10), |tx| {
            Box::pin(async move {
                let answer = note(tx, effect).await?;
                if no_funds { Err(Fault::new(Code::InsufficientFunds, "no funds")) } else { Ok(answer) }
            })
        })
        .await
        .result
    }
}

fn take_one(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

impl Saga for Pay {
    fn rpc(&self) -> &'static str {
        "Notes/Write"
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let reserved = run.step("reserve", || self.call(run.effect_key("reserve"), "reserve")).await;
            if let Err(fault) = reserved {
                if fault.is_refusal() {
                    run.step("undo", || self.call(run.effect_key("undo"), "undo")).await?;
                }
                return Err(fault);
            }
            run.step("send", || self.call(run.effect_key("send"), "send")).await?;
            self.gate.clone().wait_for(|open| *open).await.map_err(Fault::internal)?;
            let id = run.ids()["payment"].as_str().unwrap_or_default();
            run.finish(|tx| {
                Box::pin(async move {
                    let answer = note(tx, id).await?;
                    if take_one(&self.weather.no_booking) {
                        return Err(Fault::not_found("wallet"));
                    }
                    Ok(answer)
                })
            })
            .await
        })
    }
}

/// A world with one remote service and as many processes as needed.
struct World {
    rig: Rig,
    _remote_rig: Rig,
    remote: Database,
    weather: Arc<Weather>,
    gate: watch::Sender<bool>,
    drawn: AtomicU32,
}

impl World {
    async fn new(rig: Rig) -> Self {
        let kind =
            if rig.url.starts_with("sqlite") { crate::rig::Kind::Sqlite } else { crate::rig::Kind::Postgres };
        let remote_rig = Rig::new(kind);
        let remote = remote_rig.process().await;
        let gate = watch::channel(true).0;
        Self { rig, _remote_rig: remote_rig, remote, weather: Arc::default(), gate, drawn: AtomicU32::new(0) }
    }

    async fn process(&self) -> (Sagas, Database) {
        let db = self.rig.process().await;
        let pay =
            Pay { remote: self.remote.clone(), weather: self.weather.clone(), gate: self.gate.subscribe() };
        (Sagas::new(db.clone(), vec![Arc::new(pay)]), db)
    }

    /// Ids differ in every attempt: only those of the first may be used.
    async fn pay(&self, sagas: &Sagas, key: &RequestKey) -> Outcome {
        let n = self.drawn.fetch_add(1, Ordering::SeqCst);
        let name = key.key.clone();
        let ids = move || json!({ "payment": format!("payment {name} drawn {n}") });
        sagas.run(key, ids, b"request", b"actor", in_seconds(20)).await
    }

    /// Exactly one of each effect, whatever happened.
    async fn assert_once(&self, db: &Database, key: &RequestKey, answer: &[u8]) {
        let text = String::from_utf8(answer.to_vec()).unwrap();
        let payment = text.strip_prefix("noted ").unwrap();
        let local = db.read().rows(
            "SELECT text FROM notes WHERE text LIKE $1",
            vec![format!("payment {} drawn %", key.key).into()],
        );
        let local: Vec<String> = texts(local.await.unwrap());
        assert_eq!(local, [payment], "booked once, as answered");
        let sql = "SELECT saga_id, attempts FROM claims WHERE key = $1 AND state = 'DONE'";
        let row = db.read().row(sql, vec![key.key.as_str().into()]).await.unwrap().unwrap();
        let saga: uuid::Uuid = row.try_get("", "saga_id").or_fault().unwrap();
        for step in ["reserve", "send"] {
            assert_eq!(noted(&self.remote, &format!("Notes/Write:{saga}:{step}")).await, 1, "{step}");
        }
        let steps = db.read().rows("SELECT step FROM saga_steps WHERE saga_id = $1", vec![saga.into()]);
        assert!(steps.await.unwrap().is_empty(), "a saga that has ended leaves no steps");
    }
}

fn texts(rows: Vec<sea_orm::QueryResult>) -> Vec<String> {
    rows.iter().map(|row| row.try_get("", "text").or_fault().unwrap()).collect()
}

async fn row_1_a_saga_dropped_at_any_await_ends_once_in_the_same_process(rig: Rig) {
    let world = World::new(rig).await;
    let (sagas, db) = world.process().await;
    let cancel = CancellationToken::new();
    let resumer = tokio::spawn({
        let (sagas, cancel) = (sagas.clone(), cancel.clone());
        async move { sagas.resume(cancel).await }
    });
    let mut ended = false;
    for polls in 1..400 {
        let key = key(&format!("k{polls}"));
        let done = polled(world.pay(&sagas, &key), polls).await;
        let again = world.pay(&sagas, &key).await;
        let answer = again.result.unwrap();
        world.assert_once(&db, &key, &answer).await;
        if let Some(first) = done {
            assert_eq!((first.result.unwrap(), again.replayed), (answer, true));
            ended = true;
            break;
        }
    }
    assert!(ended);
    cancel.cancel();
    resumer.await.unwrap();
}

async fn row_2_a_saga_dropped_at_any_await_is_taken_over_by_another_process_with_the_same_ids(rig: Rig) {
    let world = World::new(rig).await;
    let (one, _) = world.process().await;
    let (two, db) = world.process().await;
    for polls in 1..400 {
        let key = key(&format!("k{polls}"));
        let done = polled(world.pay(&one, &key), polls).await;
        // The first process is dead: its lease lapses.
        world.rig.clock.advance_ms(16_000);
        let again = world.pay(&two, &key).await;
        let answer = again.result.unwrap();
        world.assert_once(&db, &key, &answer).await;
        if let Some(first) = done {
            assert_eq!((first.result.unwrap(), again.replayed), (answer, true));
            return;
        }
    }
    panic!("it never ended");
}

async fn row_3_a_saga_refuses_another_request_under_its_key(rig: Rig) {
    let world = World::new(rig).await;
    let (sagas, db) = world.process().await;
    let answer = world.pay(&sagas, &key("k")).await.result.unwrap();
    let other = RequestKey { fingerprint: [7; 32], ..key("k") };
    assert_eq!(world.pay(&sagas, &other).await.result.unwrap_err().code, Code::IdempotencyKeyReused);
    world.assert_once(&db, &key("k"), &answer).await;
}

async fn row_4_twenty_first_uses_of_a_saga_have_one_effect_and_one_answer(rig: Rig) {
    let world = Arc::new(World::new(rig).await);
    let processes = [world.process().await, world.process().await];
    let mut tasks = Vec::new();
    for n in 0..20 {
        let (world, sagas) = (world.clone(), processes[n % 2].0.clone());
        tasks.push(tokio::spawn(async move {
            let outcome = world.pay(&sagas, &key("k")).await;
            (outcome.result.unwrap(), outcome.replayed)
        }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    assert!(answers.iter().all(|a| a.0 == answers[0].0));
    assert_eq!(answers.iter().filter(|a| !a.1).count(), 1);
    world.assert_once(&processes[0].1, &key("k"), &answers[0].0).await;
    assert_eq!(world.weather.calls.load(Ordering::SeqCst), 2);
}

async fn row_6_a_refused_saga_is_remembered_with_its_undoing(rig: Rig) {
    let world = World::new(rig).await;
    let (sagas, db) = world.process().await;
    world.weather.no_funds.store(1, Ordering::SeqCst);
    let first = world.pay(&sagas, &key("k")).await;
    assert_eq!((first.result.unwrap_err().code, first.replayed), (Code::InsufficientFunds, false));
    let late = world.pay(&sagas, &key("k")).await;
    assert_eq!((late.result.unwrap_err().code, late.replayed), (Code::InsufficientFunds, true));
    assert_eq!(world.weather.calls.load(Ordering::SeqCst), 2, "reserve, undo, and nothing again");
    assert!(db.read().rows("SELECT text FROM notes", vec![]).await.unwrap().is_empty());
}

async fn row_7_a_failing_saga_is_tried_again_until_it_ends(rig: Rig) {
    let world = World::new(rig).await;
    let (sagas, db) = world.process().await;
    world.weather.failures.store(4, Ordering::SeqCst);
    let first = world.pay(&sagas, &key("k")).await;
    assert_eq!(first.result.unwrap_err().code, Code::Unavailable);
    // A repeat goes on at once, whatever the back-off says.
    assert_eq!(world.pay(&sagas, &key("k")).await.result.unwrap_err().code, Code::Unavailable);
    // And without one, the resumer of any process does.
    let (other, _) = world.process().await;
    resume_until(&world.rig.clock, &other, &db, "k").await;
    let answer = world.pay(&sagas, &key("k")).await;
    assert!(answer.replayed);
    world.assert_once(&db, &key("k"), &answer.result.unwrap()).await;
}

/// Runs the resumer while time passes, until the claim is DONE.
async fn resume_until(clock: &Clock, sagas: &Sagas, db: &Database, key: &str) {
    let cancel = CancellationToken::new();
    let ended = async {
        let sql = "SELECT state FROM claims WHERE key = $1 AND state = 'DONE'";
        while db.read().row(sql, vec![key.into()]).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            clock.advance_ms(1000);
        }
        cancel.cancel();
    };
    let both = async { tokio::join!(sagas.resume(cancel.clone()), ended) };
    tokio::time::timeout(Duration::from_secs(30), both).await.expect("it ends");
}

async fn two_runners_of_one_saga_have_one_end(rig: Rig) {
    let world = World::new(rig).await;
    let (slow, db) = world.process().await;
    let (quick, _) = world.process().await;
    world.gate.send(false).unwrap();
    let (paused, k) = (CancellationToken::new(), key("k"));
    let first = async {
        let outcome = world.pay(&slow, &k).await;
        paused.cancel();
        outcome
    };
    let second = async {
        let sent = "SELECT step FROM saga_steps WHERE step = 'send'";
        while db.read().row(sent, vec![]).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        // The first runner hangs for longer than its lease, and wakes when the second is at its last step.
        world.rig.clock.advance_ms(16_000);
        let second = world.pay(&quick, &k);
        let open = async {
            let taken = "SELECT attempts FROM claims WHERE attempts = 2";
            while db.read().row(taken, vec![]).await.unwrap().is_none() {
                tokio::task::yield_now().await;
            }
            world.gate.send(true).unwrap();
        };
        tokio::join!(second, open).0
    };
    let (first, second) = tokio::join!(first, second);
    let answer = second.result.unwrap();
    world.assert_once(&db, &k, &answer).await;
    assert_eq!(first.result.unwrap_err().code, Code::RequestInProgress, "its fence is old");
    assert!(paused.is_cancelled());
}

async fn a_deadline_leaves_the_saga_to_the_resumer(rig: Rig) {
    let world = World::new(rig).await;
    let (sagas, db) = world.process().await;
    world.gate.send(false).unwrap();
    let soon = tokio::time::Instant::now() + Duration::from_millis(300);
    let ids = || json!({ "payment": "payment k drawn 0" });
    let outcome = sagas.run(&key("k"), ids, b"", b"", soon).await;
    assert_eq!(outcome.result.unwrap_err().code, Code::Deadline);
    world.gate.send(true).unwrap();
    // No time passes: what this process dropped is taken up before its lease lapses.
    resume_until(&Clock::System, &sagas, &db, "k").await;
    assert_eq!(noted(&db, "payment k drawn 0").await, 1);
}

async fn a_refused_last_step_leaves_nothing(rig: Rig) {
    let world = World::new(rig).await;
    let (sagas, db) = world.process().await;
    world.weather.no_booking.store(1, Ordering::SeqCst);
    for replayed in [false, true] {
        let outcome = world.pay(&sagas, &key("k")).await;
        assert_eq!((outcome.result.unwrap_err().code, outcome.replayed), (Code::NotFound, replayed));
    }
    assert!(db.read().rows("SELECT text FROM notes", vec![]).await.unwrap().is_empty());
}

async fn a_panicking_saga_does_not_stop_the_resumer(rig: Rig) {
    let world = World::new(rig).await;
    let (sagas, db) = world.process().await;
    world.weather.panics.store(2, Ordering::SeqCst);
    assert_eq!(world.pay(&sagas, &key("k")).await.result.unwrap_err().code, Code::Internal);
    resume_until(&world.rig.clock, &sagas, &db, "k").await;
    let answer = world.pay(&sagas, &key("k")).await;
    world.assert_once(&db, &key("k"), &answer.result.unwrap()).await;
}
