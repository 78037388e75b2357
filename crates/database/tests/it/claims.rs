//! Rows 1 to 7 of the failures that lose or double money, through the claim primitive.

use crate::cut::Wire;
use crate::rig::{Kind, Rig, in_seconds, key, note, noted, on_both, polled};
use beem_database::claims::{self, Outcome, RequestKey, fingerprint};
use beem_database::{Backend, Database, OrFault as _, Sql as _};
use beem_fault::{Code, Fault};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

on_both!(
    row_1_a_write_dropped_at_any_await_and_repeated_happens_once,
    row_2_ids_drawn_in_the_claim_are_the_same_in_every_answer,
    row_3_the_same_key_with_another_request_is_refused,
    row_4_twenty_first_uses_at_once_have_one_effect_and_one_answer,
    row_4_the_second_waits_no_longer_than_its_deadline,
    row_5_the_same_key_twice_in_one_batch_has_one_effect,
    row_6_a_refusal_stands_when_the_reason_is_gone,
    row_7_an_internal_error_does_not_burn_the_key,
    effect_keys_are_remembered_for_ever_and_request_keys_for_a_day,
    principals_and_rpcs_do_not_share_keys,
);

async fn write(db: &Database, key: &RequestKey, text: &str) -> Outcome {
    claims::once(db, key, in_seconds(10), |tx| Box::pin(note(tx, text))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_1_a_commit_whose_answer_was_lost_is_not_written_again() {
    let rig = Rig::new(Kind::Postgres);
    let direct = rig.process().await;
    let (before, host) = rig.url.split_once("host=").unwrap();
    let wire = Wire::to(std::path::Path::new(host));
    let url = format!("{before}host={}", wire.folder().display());
    let db = rig.through(url).bare_process().await;
    wire.arm();
    let lost = write(&db, &key("k"), "paid").await;
    assert!(wire.was_cut());
    assert_eq!(lost.result.unwrap_err().code, Code::Unavailable);
    let again = write(&db, &key("k"), "paid").await;
    assert_eq!((again.result.unwrap(), again.replayed), (b"noted paid".to_vec(), true));
    assert_eq!(noted(&direct, "paid").await, 1);
}

async fn row_1_a_write_dropped_at_any_await_and_repeated_happens_once(rig: Rig) {
    let (one, two) = (rig.process().await, rig.process().await);
    let mut dropped = 0;
    for polls in 1..300 {
        let text = format!("after {polls}");
        let done = polled(write(&one, &key(&text), &text), polls).await;
        let repeat = if polls % 2 == 0 { &one } else { &two };
        let again = write(repeat, &key(&text), &text).await;
        assert_eq!(again.result.unwrap(), format!("noted {text}").into_bytes());
        assert_eq!(noted(&one, &text).await, 1, "{text}");
        match done {
            None => dropped += 1,
            // Where the database answers before anybody looks, a write may end at its first poll.
            Some(first) => {
                assert!(!first.replayed && again.replayed);
                if dropped > 0 {
                    return;
                }
            }
        }
    }
    panic!("it never ended after it was dropped");
}

async fn row_2_ids_drawn_in_the_claim_are_the_same_in_every_answer(rig: Rig) {
    let db = rig.process().await;
    let key = &key("k");
    let draw = || {
        claims::once(&db, key, in_seconds(10), |tx| {
            Box::pin(async move {
                let id = beem_ids::AccountId::draw(tx.now(), tx.entropy()).to_string();
                note(tx, "drawn").await?;
                Ok(id.into_bytes())
            })
        })
    };
    let (first, second) = (draw().await, draw().await);
    assert_eq!(first.result.unwrap(), second.result.unwrap());
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(noted(&db, "drawn").await, 1);
}

async fn row_3_the_same_key_with_another_request_is_refused(rig: Rig) {
    let db = rig.process().await;
    write(&db, &key("k"), "first").await.result.unwrap();
    let other = RequestKey { fingerprint: fingerprint("Notes/Write", b"other"), ..key("k") };
    let refused = write(&db, &other, "second").await;
    assert_eq!(refused.result.unwrap_err().code, Code::IdempotencyKeyReused);
    assert_eq!(noted(&db, "second").await, 0);
    assert!(write(&db, &key("k"), "first").await.replayed, "and the first answer stands");
    let effect =
        |print| claims::once_for_ever(&db, "e", print, in_seconds(10), |tx| Box::pin(note(tx, "effect")));
    effect([1; 32]).await.result.unwrap();
    assert_eq!(effect([2; 32]).await.result.unwrap_err().code, Code::IdempotencyKeyReused);
}

async fn row_4_twenty_first_uses_at_once_have_one_effect_and_one_answer(rig: Rig) {
    let processes = [rig.process().await, rig.process().await];
    for round in 0..3 {
        let mut tasks = Vec::new();
        for n in 0..20 {
            let db = processes[n % 2].clone();
            tasks.push(tokio::spawn(async move {
                let answer = claims::once(&db, &key(&format!("k{round}")), in_seconds(20), |tx| {
                    Box::pin(async move {
                        note(tx, &format!("round {round}")).await?;
                        Ok(format!("by {n}").into_bytes())
                    })
                })
                .await;
                (answer.result.unwrap(), answer.replayed)
            }));
        }
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        assert!(answers.iter().all(|a| a.0 == answers[0].0), "{answers:?}");
        assert_eq!(answers.iter().filter(|a| !a.1).count(), 1, "one is the first");
        assert_eq!(noted(&processes[0], &format!("round {round}")).await, 1);
    }
}

async fn row_4_the_second_waits_no_longer_than_its_deadline(rig: Rig) {
    let (one, two) = (rig.process().await, rig.process().await);
    let (started, mut has_started) = tokio::sync::mpsc::channel::<()>(1);
    let (release, released) = tokio::sync::watch::channel(false);
    let (started, released) = (&started, &released);
    let slow_key = key("k");
    let slow = claims::once(&one, &slow_key, in_seconds(20), |tx| {
        Box::pin(async move {
            let answer = note(tx, "slow").await?;
            started.send(()).await.map_err(Fault::internal)?;
            released.clone().wait_for(|r| *r).await.map_err(Fault::internal)?;
            Ok(answer)
        })
    });
    let others = async {
        has_started.recv().await.unwrap();
        let soon = || tokio::time::Instant::now() + Duration::from_millis(300);
        let impatient = |db: Database| async move {
            claims::once(&db, &key("k"), soon(), |tx| Box::pin(note(tx, "slow")))
                .await
                .result
                .unwrap_err()
                .code
        };
        assert_eq!(impatient(one.clone()).await, Code::RequestInProgress);
        let elsewhere = impatient(two.clone()).await;
        match two.backend() {
            Backend::Postgres => assert_eq!(elsewhere, Code::RequestInProgress),
            // The writer of another process waits for the whole file, and cannot tell for whom.
            Backend::Sqlite => assert_eq!(elsewhere, Code::Deadline),
        }
        release.send(true).unwrap();
    };
    let (slow, ()) = tokio::join!(slow, others);
    assert!(!slow.replayed);
    slow.result.unwrap();
    assert!(write(&two, &key("k"), "slow").await.replayed);
    assert_eq!(noted(&one, "slow").await, 1);
}

async fn row_5_the_same_key_twice_in_one_batch_has_one_effect(rig: Rig) {
    let db = rig.process().await;
    let keys = ["a", "b", "a", "refused", "refused"];
    let batch = db.write(|tx| {
        Box::pin(async move {
            let mut outcomes = Vec::new();
            for key in keys {
                let outcome = claims::once_within(tx, key, [0; 32], |tx| {
                    Box::pin(async move {
                        let answer = note(tx, key).await?;
                        if key == "refused" {
                            Err(Fault::new(Code::InsufficientFunds, "no"))
                        } else {
                            Ok(answer)
                        }
                    })
                });
                outcomes.push(outcome.await?);
            }
            Ok(outcomes)
        })
    });
    let outcomes = batch.await.unwrap();
    let replayed: Vec<_> = outcomes.iter().map(|o| o.replayed).collect();
    assert_eq!(replayed, [false, false, true, false, true]);
    assert_eq!(outcomes[0].result.as_ref().unwrap(), outcomes[2].result.as_ref().unwrap());
    assert_eq!((noted(&db, "a").await, noted(&db, "b").await, noted(&db, "refused").await), (1, 1, 0));
}

async fn row_6_a_refusal_stands_when_the_reason_is_gone(rig: Rig) {
    let db = rig.process().await;
    let funds = &AtomicU32::new(0);
    let pay = |key: RequestKey| {
        let db = &db;
        async move {
            claims::once(db, &key, in_seconds(10), |tx| {
                Box::pin(async move {
                    let answer = note(tx, "paid").await?;
                    if funds.load(Ordering::SeqCst) == 0 {
                        return Err(Fault::field_as(Code::InsufficientFunds, "amount", "not enough"));
                    }
                    Ok(answer)
                })
            })
            .await
        }
    };
    let first = pay(key("k")).await;
    assert_eq!(first.result.unwrap_err().code, Code::InsufficientFunds);
    assert_eq!(noted(&db, "paid").await, 0, "the effect is undone");
    funds.store(1, Ordering::SeqCst);
    let late = pay(key("k")).await;
    let fault = late.result.unwrap_err();
    assert_eq!(
        (fault.code, fault.fields[0].field.as_str(), late.replayed),
        (Code::InsufficientFunds, "amount", true)
    );
    assert_eq!(noted(&db, "paid").await, 0);
    pay(key("k2")).await.result.unwrap();
    assert_eq!(noted(&db, "paid").await, 1);
}

async fn row_7_an_internal_error_does_not_burn_the_key(rig: Rig) {
    let db = rig.process().await;
    for code in
        [Code::Internal, Code::Unavailable, Code::Deadline, Code::RateLimited, Code::ChangedConcurrently]
    {
        let name = &format!("{code}");
        let key = &key(name);
        let broken = claims::once(&db, key, in_seconds(10), |tx| {
            Box::pin(async move {
                note(tx, name).await?;
                Err(Fault::new(code, "broken"))
            })
        });
        assert_eq!(broken.await.result.unwrap_err().code, code);
        assert_eq!(noted(&db, name).await, 0);
        let healed = write(&db, key, name).await;
        assert!(!healed.replayed);
        healed.result.unwrap();
        assert_eq!(noted(&db, name).await, 1);
    }
    // A statement that fails is an internal error as well, and leaves nothing.
    let sql = &key("sql");
    let broken = claims::once(&db, sql, in_seconds(10), |tx| {
        Box::pin(async move { tx.run("INSERT INTO nowhere (x) VALUES (1)", vec![]).await.map(|_| vec![]) })
    });
    assert_eq!(broken.await.result.unwrap_err().code, Code::Internal);
    assert!(!write(&db, &key("sql"), "sql").await.replayed);
}

async fn effect_keys_are_remembered_for_ever_and_request_keys_for_a_day(rig: Rig) {
    let db = rig.process().await;
    let effect =
        || claims::once_for_ever(&db, "e", [0; 32], in_seconds(10), |tx| Box::pin(note(tx, "effect")));
    effect().await.result.unwrap();
    for n in 0..3 {
        write(&db, &key(&format!("k{n}")), "request").await.result.unwrap();
    }
    rig.clock.advance_ms(claims::RETENTION_MS - 1);
    assert!(write(&db, &key("k0"), "request").await.replayed);
    assert!(claims::is_known(&db, &key("k0")).await.unwrap());
    assert!(!claims::is_known(&db, &key("never")).await.unwrap());
    assert_eq!(claims::purge(&db, 100).await.unwrap(), 0);
    rig.clock.advance_ms(1);
    assert!(!claims::is_known(&db, &key("k0")).await.unwrap(), "past its time");
    let anew = RequestKey { fingerprint: [9; 32], ..key("k0") };
    assert!(!write(&db, &anew, "request").await.replayed, "used anew, even for another request");
    assert_eq!(noted(&db, "request").await, 4);
    assert_eq!(claims::purge(&db, 1).await.unwrap(), 1, "bounded");
    assert_eq!(claims::purge(&db, 100).await.unwrap(), 1, "not the one used anew");
    rig.clock.advance_ms(1000 * claims::RETENTION_MS);
    assert!(effect().await.replayed);
    assert_eq!(noted(&db, "effect").await, 1);
    let left = db.read().row("SELECT count(*) AS n FROM claims", vec![]).await.unwrap().unwrap();
    assert_eq!(left.try_get::<i64>("", "n").or_fault().unwrap(), 1);
}

async fn principals_and_rpcs_do_not_share_keys(rig: Rig) {
    let db = rig.process().await;
    let keys = [
        key("k"),
        RequestKey { principal: "p2".into(), ..key("k") },
        RequestKey { rpc: "Notes/Other".into(), ..key("k") },
    ];
    for key in &keys {
        assert!(!claims::is_known(&db, key).await.unwrap());
        assert!(!write(&db, key, "shared").await.replayed);
    }
    assert_eq!(noted(&db, "shared").await, 3);
}
