//! Effect keys by the batch: one effect and one answer each, whoever else uses the key and in whatever way.

use crate::rig::{Kind, Rig, in_seconds, note, noted, on_both};
use beem_database::claims::effects::{self, LARGEST_BATCH, Settled};
use beem_database::claims::{self, Outcome};
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::{Code, Fault, Result};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

on_both!(
    a_batch_is_remembered_and_answered_again,
    refusals_are_remembered_whole,
    what_is_no_outcome_is_not_remembered,
    a_thousand_keys_at_once_and_no_more,
    keys_are_taken_literally,
    bulk_and_single_keys_are_the_same_keys,
    an_unfinished_effect_of_this_transaction_is_not_an_answer,
    two_processes_race_for_the_same_keys,
);

/// A group commit as a service does it: the known ones answered, the rest decided, written and remembered.
async fn commit(tx: &Tx<'_>, batch: &[(&str, [u8; 32])]) -> Result<Vec<Outcome>> {
    let keys: Vec<_> = batch.iter().map(|(key, _)| *key).collect();
    let known = effects::known(tx, &keys).await?;
    let mut fresh: HashMap<&str, ([u8; 32], Result<Vec<u8>>)> = HashMap::new();
    let mut outcomes = Vec::new();
    for &(key, print) in batch {
        let outcome = if let Some(known) = known.get(key) {
            known.answer(print)
        } else if let Some((first, result)) = fresh.get(key) {
            assert_eq!(*first, print, "no story has it otherwise");
            Outcome { result: result.clone(), replayed: true }
        } else {
            let result = if key.starts_with("refused") {
                Err(Fault::field_as(Code::InsufficientFunds, "amount", "not enough"))
            } else {
                Ok(note(tx, key).await?)
            };
            fresh.insert(key, (print, result.clone()));
            Outcome { result, replayed: false }
        };
        outcomes.push(outcome);
    }
    let settled: Vec<_> =
        fresh.iter().map(|(key, (fingerprint, result))| settled(key, *fingerprint, result)).collect();
    effects::remember(tx, &settled).await?;
    Ok(outcomes)
}

fn settled<'a>(key: &'a str, fingerprint: [u8; 32], result: &'a Result<Vec<u8>>) -> Settled<'a> {
    Settled { key, fingerprint, result }
}

async fn write(db: &Database, batch: &[(&str, [u8; 32])]) -> Vec<Outcome> {
    db.write(|tx| Box::pin(commit(tx, batch))).await.unwrap()
}

async fn remember(db: &Database, settled: &[Settled<'_>]) -> Result<()> {
    db.write(|tx| Box::pin(effects::remember(tx, settled))).await
}

async fn stored(db: &Database) -> i64 {
    let row = db.read().row("SELECT count(*) AS n FROM effects", vec![]).await.unwrap().unwrap();
    row.try_get("", "n").or_fault().unwrap()
}

async fn a_batch_is_remembered_and_answered_again(rig: Rig) {
    let db = rig.process().await;
    let batch = [("b", [1; 32]), ("a", [2; 32]), ("b", [1; 32])];
    for replayed in [[false, false, true], [true; 3]] {
        let outcomes = write(&db, &batch).await;
        assert_eq!(outcomes.iter().map(|o| o.replayed).collect::<Vec<_>>(), replayed);
        assert_eq!(outcomes[0].result.as_ref().unwrap(), b"noted b");
        assert_eq!(outcomes[1].result.as_ref().unwrap(), b"noted a");
        assert_eq!(outcomes[2].result.as_ref().unwrap(), b"noted b");
    }
    let other = write(&db, &[("a", [3; 32]), ("c", [3; 32])]).await;
    let fault = other[0].result.as_ref().unwrap_err();
    assert_eq!((fault.code, other[0].replayed), (Code::IdempotencyKeyReused, false));
    assert!(other[1].result.is_ok(), "one key of another request spoils nothing else");
    assert!(write(&db, &[("a", [2; 32])]).await[0].replayed, "and the first answer stands");
    assert_eq!((noted(&db, "a").await, noted(&db, "b").await, stored(&db).await), (1, 1, 3));
    let none = db.write(|tx| Box::pin(effects::known(tx, &[]))).await.unwrap();
    assert!(none.is_empty());
    remember(&db, &[]).await.unwrap();
}

async fn refusals_are_remembered_whole(rig: Rig) {
    let db = rig.process().await;
    for replayed in [false, true] {
        let outcome = write(&db, &[("refused", [0; 32]), ("paid", [0; 32])]).await.remove(0);
        let fault = outcome.result.unwrap_err();
        assert_eq!((fault.code, outcome.replayed), (Code::InsufficientFunds, replayed));
        assert_eq!(
            (fault.fields[0].field.as_str(), fault.fields[0].detail.as_str()),
            ("amount", "not enough")
        );
    }
}

async fn what_is_no_outcome_is_not_remembered(rig: Rig) {
    let db = rig.process().await;
    let answer = Ok(vec![]);
    for code in [
        Code::Internal,
        Code::Unavailable,
        Code::Deadline,
        Code::RequestInProgress,
        Code::ChangedConcurrently,
        Code::IdempotencyKeyReused,
    ] {
        let broken = Err(Fault::new(code, "broken"));
        let batch = [settled("a", [0; 32], &answer), settled("b", [0; 32], &broken)];
        assert_eq!(remember(&db, &batch).await.unwrap_err().code, Code::Internal, "{code}");
    }
    let twice =
        [settled("a", [0; 32], &answer), settled("b", [0; 32], &answer), settled("a", [1; 32], &answer)];
    assert_eq!(remember(&db, &twice).await.unwrap_err().code, Code::Internal);
    assert_eq!(stored(&db).await, 0, "nothing of such a batch");
}

async fn a_thousand_keys_at_once_and_no_more(rig: Rig) {
    let db = rig.process().await;
    let keys: Vec<String> = (0..=LARGEST_BATCH).map(|n| format!("transfer/{n}/debit")).collect();
    let keys: &Vec<&str> = &keys.iter().map(String::as_str).collect();
    let results: Vec<Result<Vec<u8>>> =
        keys.iter().map(|key| Ok([key.as_bytes(), &[0, 255]].concat())).collect();
    let batch: Vec<_> =
        keys.iter().zip(&results).map(|(key, result)| settled(key, [7; 32], result)).collect();
    assert_eq!(remember(&db, &batch).await.unwrap_err().code, Code::Internal, "one too many");
    remember(&db, &batch[..LARGEST_BATCH]).await.unwrap();
    let too_many = db.write(|tx| Box::pin(effects::known(tx, keys))).await;
    assert_eq!(too_many.unwrap_err().code, Code::Internal);
    let known = db.write(|tx| Box::pin(effects::known(tx, &keys[1..]))).await.unwrap();
    assert_eq!(known.len(), LARGEST_BATCH - 1, "all but the one that was not stored");
    for (key, result) in keys.iter().zip(&results).take(LARGEST_BATCH).skip(1) {
        let outcome = known[*key].answer([7; 32]);
        assert!(outcome.replayed);
        assert_eq!(&outcome.result.unwrap(), result.as_ref().unwrap());
    }
}

async fn keys_are_taken_literally(rig: Rig) {
    let db = rig.process().await;
    let keys = [
        "", "a", "A", "a ", "NULL", "null", "1", "1.0", "{}", "[\"a\"]", "a,b", "\"", "'", "\\", "é", "€/\n",
    ];
    let batch: Vec<_> = (0_u8..).zip(keys).map(|(n, key)| (key, [n; 32])).collect();
    assert!(write(&db, &batch).await.iter().all(|outcome| !outcome.replayed));
    assert!(write(&db, &batch).await.iter().all(|outcome| outcome.replayed));
    for (key, _) in batch {
        assert_eq!(noted(&db, key).await, 1);
    }
}

async fn bulk_and_single_keys_are_the_same_keys(rig: Rig) {
    let db = rig.process().await;
    let single = |key: &'static str, print| {
        let db = db.clone();
        async move {
            claims::once_for_ever(&db, key, print, in_seconds(10), |tx| {
                Box::pin(async move {
                    let answer = note(tx, key).await?;
                    if key.starts_with("refused") { Err(Fault::not_found("x")) } else { Ok(answer) }
                })
            })
            .await
        }
    };
    // Single first, then by the batch.
    single("s", [1; 32]).await.result.unwrap();
    single("refused/s", [1; 32]).await.result.unwrap_err();
    let outcomes = write(&db, &[("s", [1; 32]), ("refused/s", [1; 32]), ("s", [2; 32])]).await;
    assert_eq!(outcomes[0].result.as_ref().unwrap(), b"noted s");
    assert_eq!(outcomes[1].result.as_ref().unwrap_err().code, Code::NotFound);
    assert_eq!(outcomes[2].result.as_ref().unwrap_err().code, Code::IdempotencyKeyReused);
    assert_eq!(outcomes.iter().map(|o| o.replayed).collect::<Vec<_>>(), [true, true, false]);
    // By the batch first, then single.
    write(&db, &[("b", [1; 32]), ("refused/b", [1; 32])]).await;
    let again = single("b", [1; 32]).await;
    assert_eq!((again.result.unwrap(), again.replayed), (b"noted b".to_vec(), true));
    let refused = single("refused/b", [1; 32]).await;
    assert_eq!((refused.result.unwrap_err().code, refused.replayed), (Code::InsufficientFunds, true));
    assert_eq!(single("b", [2; 32]).await.result.unwrap_err().code, Code::IdempotencyKeyReused);
    // Both in one transaction.
    let within = db.write(|tx| {
        Box::pin(async move {
            claims::once_within(tx, "w", [0; 32], |tx| Box::pin(note(tx, "w"))).await?;
            let bulk = commit(tx, &[("w", [0; 32]), ("v", [0; 32])]).await?;
            let single = claims::once_within(tx, "v", [0; 32], |tx| Box::pin(note(tx, "v"))).await?;
            Ok((bulk[0].replayed, bulk[1].replayed, single.replayed))
        })
    });
    assert_eq!(within.await.unwrap(), (true, false, true));
    for key in ["s", "b", "w", "v"] {
        assert_eq!(noted(&db, key).await, 1, "{key}");
    }
}

async fn an_unfinished_effect_of_this_transaction_is_not_an_answer(rig: Rig) {
    let db = rig.process().await;
    let nested = db.write(|tx| {
        Box::pin(claims::once_within(tx, "outer", [0; 32], |tx| {
            Box::pin(async move { effects::known(tx, &["outer"]).await.map(|_| vec![]) })
        }))
    });
    assert_eq!(nested.await.unwrap_err().code, Code::Internal);
    assert_eq!(stored(&db).await, 0);
}

async fn two_processes_race_for_the_same_keys(rig: Rig) {
    let processes = [rig.process().await, rig.process().await];
    for round in 0..5 {
        let keys: Vec<String> = (0..40).map(|n| format!("{round}/{n}")).collect();
        let mut tasks = Vec::new();
        for n in 0..6 {
            let (db, mut keys) = (processes[n % 2].clone(), keys.clone());
            // Batches that overlap, in orders of their own.
            keys.rotate_left(n * 5);
            keys.truncate(30);
            tasks.push(tokio::spawn(async move {
                let batch: Vec<_> = keys.iter().map(|key| (key.as_str(), [0; 32])).collect();
                let outcomes = write(&db, &batch).await;
                for (key, outcome) in keys.iter().zip(&outcomes) {
                    assert_eq!(outcome.result.as_ref().unwrap(), format!("noted {key}").as_bytes());
                }
                outcomes.iter().filter(|outcome| !outcome.replayed).count()
            }));
        }
        let mut first = 0;
        for task in tasks {
            first += task.await.unwrap();
        }
        assert_eq!(first, 40, "each has one first answer");
        for key in &keys {
            assert_eq!(noted(&processes[0], key).await, 1, "{key}");
        }
    }
}

/// The loser looks before the winner has committed and inserts after: only then does the insert find out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_a_key_is_run_again_and_gives_the_winners_answer() {
    let rig = Rig::new(Kind::Postgres);
    let (winner, loser) = (&rig.process().await, &rig.process().await);
    for holds in [false, true] {
        let key = if holds { "won while it waits" } else { "won before" };
        let runs = &AtomicU32::new(0);
        let (looked, mut has_looked) = tokio::sync::mpsc::channel::<()>(8);
        let (release, released) = tokio::sync::watch::channel(false);
        let (looked, released) = (&looked, &released);
        let losing = loser.write(|tx| {
            Box::pin(async move {
                runs.fetch_add(1, Ordering::SeqCst);
                let known = effects::known(tx, &[key, "other"]).await?;
                looked.send(()).await.map_err(Fault::internal)?;
                released.clone().wait_for(|r| *r).await.map_err(Fault::internal)?;
                if let Some(known) = known.get(key) {
                    return Ok(known.answer([0; 32]));
                }
                let result = note(tx, key).await.map(|_| b"loser".to_vec());
                effects::remember(tx, &[settled(key, [0; 32], &result), settled("other", [0; 32], &result)])
                    .await?;
                Ok(Outcome { result, replayed: false })
            })
        });
        let winning = async {
            has_looked.recv().await.unwrap();
            let release = &release;
            let won = winner.write(|tx| {
                Box::pin(async move {
                    let result = note(tx, key).await.map(|_| b"winner".to_vec());
                    effects::remember(tx, &[settled(key, [0; 32], &result)]).await?;
                    if holds {
                        release.send(true).map_err(Fault::internal)?;
                        until_someone_waits(winner).await?;
                    }
                    Ok(())
                })
            });
            won.await.unwrap();
            release.send(true).unwrap();
        };
        let (outcome, ()) = tokio::join!(losing, winning);
        let outcome = outcome.unwrap();
        assert_eq!((outcome.result.unwrap(), outcome.replayed), (b"winner".to_vec(), true));
        assert_eq!(runs.load(Ordering::SeqCst), 2, "{key}");
        assert_eq!(noted(winner, key).await, 1);
        let other = winner.write(|tx| Box::pin(effects::known(tx, &["other"]))).await.unwrap();
        assert!(other.is_empty(), "nothing of the run that lost");
    }
}

/// Until a statement in this database stands behind another transaction.
async fn until_someone_waits(onlooker: &Database) -> Result<()> {
    let sql = "SELECT 1 AS one FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while onlooker.read().row(sql, vec![]).await?.is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    Ok(())
}
