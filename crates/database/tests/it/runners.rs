//! Who may carry a saga out: runs that stand still, runs whose lease is another's, runs that never began.

use crate::rig::{Kind, Rig, in_seconds, key, note, noted, on_both};
use beem_database::claims::{Outcome, RequestKey};
use beem_database::sagas::{Saga, SagaRun, Sagas};
use beem_database::{Backend, Database, OrFault as _, Sql as _};
use beem_fault::{Code, Fault, Result};
use futures::future::{BoxFuture, join_all};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

on_both!(
    resumed_sagas_that_write_do_not_stop_other_writes,
    a_write_under_a_stolen_lease_changes_nothing,
    a_saga_that_waited_in_vain_is_forgotten,
    a_saga_cut_off_before_it_began_is_not_carried_out_later,
    a_saga_cut_off_after_it_began_is_gone_on_with,
    a_first_request_without_a_claim_in_time_is_told_deadline,
    a_saga_that_has_ended_keeps_nothing_of_its_request,
    a_refusal_and_what_it_gives_back_are_one,
    a_run_that_could_not_renew_is_not_taken_twice_here,
    the_oldest_are_gone_on_with_first,
    runs_of_one_process_queue_for_a_thing,
);

type Told = Box<dyn for<'a> Fn(&'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> + Send + Sync>;

/// Does as told.
struct Errand {
    waits: bool,
    told: Told,
}

impl Saga for Errand {
    fn rpc(&self) -> &'static str {
        "Notes/Write"
    }

    fn waits(&self) -> bool {
        self.waits
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        (self.told)(run)
    }
}

fn sagas<F>(db: &Database, waits: bool, told: F) -> Sagas
where
    F: for<'a> Fn(&'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> + Send + Sync + 'static,
{
    Sagas::new(db.clone(), vec![Arc::new(Errand { waits, told: Box::new(told) })])
}

async fn run(sagas: &Sagas, key: &RequestKey, until: Instant) -> Outcome {
    sagas.run(key, || json!({ "drawn": "once" }), b"the request", b"the actor", until).await
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(300)
}

/// The resumer, until dropped.
struct Resumer(CancellationToken, Option<JoinHandle<()>>);

impl Resumer {
    fn of(sagas: &Sagas) -> Self {
        let (sagas, cancel) = (sagas.clone(), CancellationToken::new());
        let token = cancel.clone();
        Self(cancel, Some(tokio::spawn(async move { sagas.resume(token).await })))
    }

    async fn stop(mut self) {
        self.0.cancel();
        self.1.take().unwrap().await.unwrap();
    }
}

impl Drop for Resumer {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

async fn count(db: &Database, sql: &str) -> i64 {
    let row = db.read().row(&format!("SELECT count(*) AS n FROM {sql}"), vec![]).await.unwrap().unwrap();
    row.try_get("", "n").or_fault().unwrap()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up = in_seconds(30);
    while !holds().await {
        assert!(Instant::now() < give_up, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn resumed_sagas_that_write_do_not_stop_other_writes(rig: Rig) {
    let db = rig.process().await;
    let stop = watch::channel(false).0;
    let told = stop.subscribe();
    let sagas = sagas(&db, false, move |run| {
        let told = told.clone();
        Box::pin(async move {
            if run.attempt() == 1 {
                std::future::pending::<()>().await;
            }
            while !*told.borrow() {
                run.db().write(|tx| Box::pin(note(tx, "by a saga"))).await?;
            }
            run.finish(|_| Box::pin(async { Ok(vec![]) })).await
        })
    });
    let keys: Vec<_> = (0..20).map(|n| key(&format!("k{n}"))).collect();
    for outcome in join_all(keys.iter().map(|key| run(&sagas, key, soon()))).await {
        assert_eq!(outcome.result.unwrap_err().code, Code::Deadline);
    }
    let resumer = Resumer::of(&sagas);
    until("they are resumed", async || noted(&db, "by a saga").await > 20).await;
    // The resumer looks several times meanwhile, each time in a write of its own.
    let enough = in_seconds(4);
    while Instant::now() < enough {
        let began = Instant::now();
        db.write(|tx| Box::pin(note(tx, "by a caller"))).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(3), "waited {:?}", began.elapsed());
    }
    stop.send(true).unwrap();
    until("all of them end", async || count(&db, "claims WHERE state = 'RUNNING'").await == 0).await;
    resumer.stop().await;
}

async fn a_write_under_a_stolen_lease_changes_nothing(rig: Rig) {
    for (n, how) in ["write", "finish", "refuse"].into_iter().enumerate() {
        let (one, two) = (rig.process().await, rig.process().await);
        let gate = watch::channel(false).0;
        let (told, reached) = (gate.subscribe(), Arc::new(AtomicU32::new(0)));
        let at_gate = reached.clone();
        let slow = sagas(&one, false, move |run| {
            let (mut told, at_gate) = (told.clone(), at_gate.clone());
            Box::pin(async move {
                at_gate.fetch_add(1, Ordering::SeqCst);
                told.wait_for(|open| *open).await.map_err(Fault::internal)?;
                let gone = Fault::not_found("wallet");
                match how {
                    "write" => {
                        run.write("local", |tx| Box::pin(async { note(tx, "stolen").await.map(Some) }))
                            .await?;
                        Ok(vec![])
                    }
                    "finish" => run.finish(|tx| Box::pin(note(tx, "stolen"))).await,
                    _ => run.refuse(&gone, |tx| Box::pin(async { note(tx, "stolen").await.map(drop) })).await,
                }
            })
        });
        let quick = sagas(&two, false, |run| Box::pin(run.finish(|tx| Box::pin(note(tx, "taken over")))));
        let k = key(how);
        let first = run(&slow, &k, in_seconds(20));
        let second = async {
            until("the first waits", async || reached.load(Ordering::SeqCst) > 0).await;
            rig.clock.advance_ms(16_000);
            let second = run(&quick, &k, in_seconds(20)).await;
            gate.send(true).unwrap();
            second.result.unwrap()
        };
        let (first, answer) = tokio::join!(first, second);
        assert_eq!(first.result.unwrap_err().code, Code::RequestInProgress, "{how}");
        assert_eq!(noted(&one, "stolen").await, 0, "{how}");
        assert_eq!(noted(&one, "taken over").await, i64::try_from(n).unwrap() + 1);
        let repeat = run(&slow, &k, in_seconds(20)).await;
        assert_eq!((repeat.result.unwrap(), repeat.replayed), (answer, true));
        assert_eq!(count(&one, "saga_steps").await, 0);
    }
}

async fn a_saga_that_waited_in_vain_is_forgotten(rig: Rig) {
    let db = rig.process().await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = runs.clone();
    let sagas = sagas(&db, true, move |run| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            let taken = run.write("begin", |_| Box::pin(async move { Ok((!first).then(Vec::new)) })).await?;
            taken.ok_or_else(|| Fault::new(Code::RequestInProgress, "somebody else has it"))?;
            run.finish(|tx| Box::pin(note(tx, "done"))).await
        })
    });
    let first = run(&sagas, &key("k"), in_seconds(10)).await;
    assert_eq!(first.result.unwrap_err().code, Code::RequestInProgress);
    assert_eq!(count(&db, "claims").await, 0, "nothing is remembered");
    rig.clock.advance_ms(60_000);
    let resumer = Resumer::of(&sagas);
    let other = RequestKey { fingerprint: [9; 32], ..key("k") };
    let anew = run(&sagas, &other, in_seconds(10)).await;
    assert!(!anew.replayed);
    anew.result.unwrap();
    resumer.stop().await;
    assert_eq!((runs.load(Ordering::SeqCst), noted(&db, "done").await), (2, 1));
}

/// Waits for ever; nobody goes on with it.
fn hangs(run: &SagaRun) -> BoxFuture<'_, Result<Vec<u8>>> {
    assert_eq!(run.attempt(), 1);
    Box::pin(std::future::pending())
}

async fn a_saga_cut_off_before_it_began_is_not_carried_out_later(rig: Rig) {
    let (one, two) = (rig.process().await, rig.process().await);
    let dies = sagas(&one, true, hangs);
    let outcome = run(&dies, &key("k"), soon()).await;
    assert_eq!(outcome.result.unwrap_err().code, Code::Deadline);
    assert_eq!(count(&one, "claims").await, 1, "its process is dead");
    rig.clock.advance_ms(16_000);
    let resumer = Resumer::of(&sagas(&two, true, hangs));
    until("it is forgotten", async || count(&two, "claims").await == 0).await;
    resumer.stop().await;
    let anew = sagas(&two, true, |run| Box::pin(run.finish(|tx| Box::pin(note(tx, "anew")))));
    let answer = run(&anew, &key("k"), in_seconds(10)).await;
    assert!(!answer.replayed);
    answer.result.unwrap();
}

async fn a_saga_cut_off_after_it_began_is_gone_on_with(rig: Rig) {
    let (one, two) = (rig.process().await, rig.process().await);
    let dies = sagas(&one, true, |run| {
        Box::pin(async move {
            run.write("begin", |tx| Box::pin(async { note(tx, "taken").await.map(Some) })).await?;
            std::future::pending().await
        })
    });
    assert_eq!(run(&dies, &key("k"), soon()).await.result.unwrap_err().code, Code::Deadline);
    rig.clock.advance_ms(16_000);
    let goes_on = sagas(&two, true, |run| {
        Box::pin(async move {
            run.write("begin", |tx| Box::pin(async { note(tx, "taken").await.map(Some) })).await?;
            run.finish(|tx| Box::pin(note(tx, "done"))).await
        })
    });
    let resumer = Resumer::of(&goes_on);
    until("it ends", async || noted(&two, "done").await == 1).await;
    resumer.stop().await;
    assert_eq!(noted(&two, "taken").await, 1, "a step is taken once");
    assert!(run(&goes_on, &key("k"), in_seconds(10)).await.replayed);
}

async fn a_first_request_without_a_claim_in_time_is_told_deadline(rig: Rig) {
    let db = rig.process().await;
    let (holds, held) = (watch::channel(false).0, watch::channel(false).0);
    let (holding, until_then) = (&holds, &held.subscribe());
    let busy = db.write(|tx| {
        Box::pin(async move {
            if tx.backend() == Backend::Postgres {
                tx.run("LOCK TABLE claims IN EXCLUSIVE MODE", vec![]).await?;
            }
            holding.send_replace(true);
            until_then.clone().wait_for(|released| *released).await.map_err(Fault::internal)?;
            Ok(())
        })
    });
    let sagas = sagas(&db, false, |run| Box::pin(run.finish(|tx| Box::pin(note(tx, "done")))));
    let first = async {
        holds.subscribe().wait_for(|held| *held).await.unwrap();
        let k = key("k");
        let first = run(&sagas, &k, Instant::now() + Duration::from_secs(1));
        let second = async {
            tokio::task::yield_now().await;
            run(&sagas, &k, soon()).await.result.unwrap_err().code
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!(first.result.unwrap_err().code, Code::Deadline, "nobody else was seen");
        assert_eq!(second, Code::RequestInProgress, "the first one was");
        held.send(true).unwrap();
    };
    tokio::join!(busy, first).0.unwrap();
    run(&sagas, &key("k"), in_seconds(10)).await.result.unwrap();
    assert_eq!(noted(&db, "done").await, 1);
}

async fn a_saga_that_has_ended_keeps_nothing_of_its_request(rig: Rig) {
    let db = rig.process().await;
    let sagas = sagas(&db, false, |run| {
        Box::pin(async move {
            let kept = (run.payload(), run.actor(), run.ids()["drawn"].as_str());
            assert_eq!(kept, (b"the request".as_slice(), b"the actor".as_slice(), Some("once")));
            let refusal = Fault::not_found("wallet");
            run.refuse(&refusal, |_| Box::pin(async { Ok(()) })).await
        })
    });
    assert_eq!(run(&sagas, &key("k"), in_seconds(10)).await.result.unwrap_err().code, Code::NotFound);
    assert_eq!(count(&db, "claims WHERE state = 'DONE'").await, 1);
    let left =
        "claims WHERE payload IS NOT NULL OR actor IS NOT NULL OR ids IS NOT NULL OR owner IS NOT NULL";
    assert_eq!(count(&db, left).await, 0);
}

async fn a_refusal_and_what_it_gives_back_are_one(rig: Rig) {
    let db = rig.process().await;
    let failures = Arc::new(AtomicU32::new(2));
    let sagas = sagas(&db, true, move |run| {
        let failures = failures.clone();
        Box::pin(async move {
            run.write("begin", |_| Box::pin(async { Ok(Some(vec![])) })).await?;
            let (refusal, failures) = (Fault::new(Code::InsufficientFunds, "no"), &failures);
            let given_back = run.refuse(&refusal, |tx| {
                Box::pin(async move {
                    note(tx, "given back").await?;
                    let take = |n: u32| n.checked_sub(1);
                    match failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
                        Ok(_) => Err(Fault::unavailable("the disk is full")),
                        Err(_) => Ok(()),
                    }
                })
            });
            given_back.await
        })
    });
    let k = key("k");
    for (code, replayed, given_back) in [
        (Code::Unavailable, false, 0),
        (Code::Unavailable, false, 0),
        (Code::InsufficientFunds, false, 1),
        (Code::InsufficientFunds, true, 1),
    ] {
        let outcome = run(&sagas, &k, in_seconds(10)).await;
        assert_eq!((outcome.result.unwrap_err().code, outcome.replayed), (code, replayed));
        assert_eq!(noted(&db, "given back").await, given_back);
    }
}

async fn a_run_that_could_not_renew_is_not_taken_twice_here(rig: Rig) {
    let db = rig.process().await;
    let gate = watch::channel(false).0;
    let told = gate.subscribe();
    let sagas = sagas(&db, false, move |run| {
        let mut told = told.clone();
        Box::pin(async move {
            if run.payload() == b"the request" {
                told.wait_for(|open| *open).await.map_err(Fault::internal)?;
            } else if run.attempt() == 1 {
                std::future::pending::<()>().await;
            }
            run.finish(|tx| Box::pin(note(tx, "done"))).await
        })
    });
    let (slow, witness) = (key("slow"), key("witness"));
    let cut_off = sagas.run(&witness, || json!({}), b"witness", b"", soon());
    let first = run(&sagas, &slow, in_seconds(20));
    let second = async {
        assert_eq!(cut_off.await.result.unwrap_err().code, Code::Deadline);
        rig.clock.advance_ms(16_000);
        let resumer = Resumer::of(&sagas);
        until("the resumer has looked", async || noted(&db, "done").await == 1).await;
        // A repeat waits for it as well.
        assert_eq!(run(&sagas, &slow, soon()).await.result.unwrap_err().code, Code::RequestInProgress);
        assert_eq!(count(&db, "claims WHERE state = 'RUNNING' AND attempts = 1").await, 1);
        gate.send(true).unwrap();
        resumer
    };
    let (first, resumer) = tokio::join!(first, second);
    first.result.unwrap();
    resumer.stop().await;
    assert_eq!(noted(&db, "done").await, 2);
}

async fn the_oldest_are_gone_on_with_first(rig: Rig) {
    let (one, two) = (rig.process().await, rig.process().await);
    let dies = sagas(&one, false, hangs);
    let keys: Vec<_> = (0..20).map(|n| key(&format!("k{n}"))).collect();
    join_all(keys.iter().map(|key| run(&dies, key, Instant::now() + Duration::from_secs(2)))).await;
    // The younger their claim, the longer ago their lease has lapsed.
    let sql = "UPDATE claims SET created_ms = $2, lease_until_ms = $3 WHERE key = $1";
    for (n, key) in (0_i64..).zip(&keys) {
        let values = &vec![key.key.as_str().into(), n.into(), (100 - n).into()];
        two.write(|tx| Box::pin(async move { tx.run(sql, values.clone()).await })).await.unwrap();
    }
    let resumer = Resumer::of(&sagas(&two, false, |_| Box::pin(std::future::pending())));
    until("sixteen at once", async || count(&two, "claims WHERE attempts = 2").await == 16).await;
    resumer.stop().await;
    let youngest = "claims WHERE attempts = 1 AND key IN ('k16', 'k17', 'k18', 'k19')";
    assert_eq!(count(&two, youngest).await, 4);
}

async fn runs_of_one_process_queue_for_a_thing(rig: Rig) {
    let db = rig.process().await;
    let inside = Arc::new(AtomicU32::new(0));
    let counted = inside.clone();
    let sagas = sagas(&db, true, move |run| {
        let inside = counted.clone();
        Box::pin(async move {
            assert!(run.queue("client 7", in_seconds(20)).await);
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
            run.write("begin", |_| Box::pin(async { Ok(Some(vec![])) })).await?;
            inside.fetch_sub(1, Ordering::SeqCst);
            run.finish(|tx| Box::pin(note(tx, "done"))).await
        })
    });
    let keys: Vec<_> = (0..10).map(|n| key(&format!("k{n}"))).collect();
    for outcome in join_all(keys.iter().map(|key| run(&sagas, key, in_seconds(20)))).await {
        outcome.result.unwrap();
    }
    assert_eq!(noted(&db, "done").await, 10);
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_saga_that_does_not_come_to_its_end_is_an_error_in_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let rig = Rig::new(Kind::Sqlite);
    let db = rig.process().await;
    let sagas = sagas(&db, false, |_| Box::pin(async { Err(Fault::internal("two services disagree")) }));
    for attempt in 1..=10 {
        assert_eq!(run(&sagas, &key("k"), in_seconds(10)).await.result.unwrap_err().code, Code::Internal);
        let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(logged.matches("a saga stopped").count(), attempt.min(9), "{logged}");
        assert_eq!(logged.contains("ERROR") && logged.contains("does not come to its end"), attempt == 10);
    }
}
