//! The writer: who comes together is committed together, whoever is not served is told so, nobody waits for ever, and a
//! lost answer is given again.

use crate::calls::{system, transfer, wallet_side};
use crate::rig::{Base, Ledger, Refusal, Reply, Rig};
use beem_ledger::LedgerSettings;
use beem_proto::ledger::v1 as wire;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const POST: &str = "/beem.ledger.v1.Postings/PostBatches";
/// Longer than anything here takes, shorter than anybody has patience.
const SOON: Duration = Duration::from_secs(30);

crate::on_both!(
    callers_who_come_together_are_committed_together,
    callers_who_keep_coming_share_groups_and_a_lone_one_does_not_wait,
    row_01_a_lost_answer_is_given_again,
    whose_deadline_passes_before_its_turn_has_done_nothing,
    a_caller_who_goes_away_does_not_undo_its_order,
    one_bad_order_fails_alone,
    a_drained_writer_finishes_what_waits_and_takes_no_more,
    a_call_larger_than_a_group_spans_several,
);

fn spend(rig: &Rig, key: &str, wallet: &str, amount: &str) -> wire::PostBatchesRequest {
    let batch = rig.batch(key, vec![transfer(wallet_side(wallet), system("FEES"), "USD", amount)]);
    wire::PostBatchesRequest { batches: vec![batch] }
}

fn only(reply: Reply<wire::PostBatchesResponse>) -> Result<wire::BatchOutcome, Refusal> {
    reply.map(|answer| answer.body.outcomes[0].clone())
}

/// How many groups were committed so far.
fn groups(ledger: &Ledger) -> u64 {
    let text = ledger.telemetry.prometheus_text();
    let lines = text.lines().filter(|line| line.starts_with("beem_ledger_groups_total"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

async fn callers_who_come_together_are_committed_together(rig: Rig) {
    let wallet = rig.funded("USD", "1000.00").await;
    let before = groups(&rig.ledger);
    let locked = rig.another().await.lock().await;
    let calls = (0..64).map(|i| {
        let asked = spend(&rig, &format!("k{i}"), &wallet, "1.00");
        rig.post_batches(asked)
    });
    let (answers, ()) = tokio::join!(join_all(calls), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        locked.let_go().await;
    });
    assert!(answers.into_iter().all(|reply| only(reply).unwrap().refused.is_empty()));
    let groups = groups(&rig.ledger) - before;
    assert!(groups <= 3, "64 orders in {groups} groups");
    assert_eq!(rig.balance(&wallet).await[0], "936.00");
    rig.assert_books().await;
}

/// As each is answered and comes again, they must not fall apart into small groups.
async fn callers_who_keep_coming_share_groups_and_a_lone_one_does_not_wait(rig: Rig) {
    const CALLERS: u64 = 64;
    const ROUNDS: u64 = 10;
    let wallet = rig.funded("USD", "1000.00").await;
    let (before, rig) = (groups(&rig.ledger), Arc::new(rig));
    let callers: Vec<_> = (0..CALLERS)
        .map(|i| {
            let (rig, wallet) = (Arc::clone(&rig), wallet.clone());
            beem_runtime::spawn(async move {
                for n in 0..ROUNDS {
                    let asked = spend(&rig, &format!("k{i}-{n}"), &wallet, "1.00");
                    assert_eq!(only(rig.post_batches(asked).await).unwrap().refused, "");
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let together = groups(&rig.ledger) - before;
    // About a dozen on an idle machine.
    assert!(together <= CALLERS * ROUNDS / 4, "{} orders in {together} groups", CALLERS * ROUNDS);
    let before = groups(&rig.ledger);
    for n in 0..ROUNDS {
        rig.post_batches(spend(&rig, &format!("lone-{n}"), &wallet, "1.00")).await.unwrap();
    }
    assert_eq!(groups(&rig.ledger) - before, ROUNDS);
    rig.assert_books().await;
}

async fn row_01_a_lost_answer_is_given_again(rig: Rig) {
    let wallet = rig.funded("USD", "10.00").await;
    let locked = rig.another().await.lock().await;
    let asked = spend(&rig, "k", &wallet, "4.00");
    let wait = Duration::from_millis(300);
    let lost = rig.impatient(&rig.payments, POST, asked.clone(), wait).await;
    assert_eq!(only(lost).unwrap_err().code(), "deadline");
    locked.let_go().await;
    let again = only(timeout(SOON, rig.post_batches(asked.clone())).await.unwrap()).unwrap();
    assert_eq!((again.refused.as_str(), again.replayed), ("", true));
    let third = only(rig.post_batches(asked).await).unwrap();
    assert_eq!((third.transfer_ids, third.replayed), (again.transfer_ids, true));
    assert_eq!(rig.balance(&wallet).await[0], "6.00");
    rig.assert_books().await;
}

async fn whose_deadline_passes_before_its_turn_has_done_nothing(rig: Rig) {
    let wallet = rig.funded("USD", "10.00").await;
    let locked = rig.another().await.lock().await;
    let (first, late) = (spend(&rig, "first", &wallet, "1.00"), spend(&rig, "late", &wallet, "4.00"));
    let (served, ()) = tokio::join!(rig.post_batches(first), async {
        // The first one stands at the database by then.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let wait = Duration::from_millis(200);
        let lost = rig.impatient(&rig.payments, POST, late.clone(), wait).await;
        assert_eq!(only(lost).unwrap_err().code(), "deadline");
        locked.let_go().await;
    });
    assert_eq!(only(served).unwrap().refused, "");
    assert_eq!(rig.balance(&wallet).await[0], "9.00");
    let again = only(rig.post_batches(late).await).unwrap();
    assert_eq!((again.refused.as_str(), again.replayed), ("", false));
    assert_eq!(rig.balance(&wallet).await[0], "5.00");
}

async fn a_caller_who_goes_away_does_not_undo_its_order(rig: Rig) {
    let wallet = rig.funded("USD", "10.00").await;
    let locked = rig.another().await.lock().await;
    let asked = spend(&rig, "k", &wallet, "4.00");
    let gone = timeout(Duration::from_millis(200), rig.post_batches(asked.clone())).await;
    assert!(gone.is_err());
    locked.let_go().await;
    assert!(only(rig.post_batches(asked).await).unwrap().replayed);
    assert_eq!(rig.balance(&wallet).await[0], "6.00");
}

async fn one_bad_order_fails_alone(rig: Rig) {
    let (good, bad) = (rig.funded("USD", "100.00").await, rig.funded("USD", "100.00").await);
    rig.refuse_changes(&bad, true).await;
    let locked = rig.another().await.lock().await;
    let calls = (0..10).map(|i| {
        let asked = spend(&rig, &format!("k{i}"), if i == 5 { &bad } else { &good }, "1.00");
        rig.post_batches(asked)
    });
    let (answers, ()) = tokio::join!(join_all(calls), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        locked.let_go().await;
    });
    for (i, reply) in answers.into_iter().enumerate() {
        match only(reply) {
            Ok(outcome) => assert_eq!((i == 5, outcome.refused.as_str()), (false, "")),
            Err(refused) => assert_eq!((i, refused.code()), (5, "internal")),
        }
    }
    rig.refuse_changes(&bad, false).await;
    let outcome = only(rig.post_batches(spend(&rig, "k5", &bad, "1.00")).await).unwrap();
    assert_eq!((outcome.refused.as_str(), outcome.replayed), ("", false));
    assert_eq!(
        (rig.balance(&good).await[0].as_str(), rig.balance(&bad).await[0].as_str()),
        ("91.00", "99.00")
    );
    rig.assert_books().await;
}

async fn a_drained_writer_finishes_what_waits_and_takes_no_more(rig: Rig) {
    let wallet = rig.funded("USD", "100.00").await;
    let locked = rig.another().await.lock().await;
    let calls = (0..10).map(|i| rig.post_batches(spend(&rig, &format!("k{i}"), &wallet, "1.00")));
    let (answers, ended, ()) = tokio::join!(
        join_all(calls),
        async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            rig.drain().await
        },
        async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            locked.let_go().await;
        }
    );
    assert!(ended);
    assert!(answers.into_iter().all(|reply| only(reply).unwrap().refused.is_empty()));
    let late = spend(&rig, "late", &wallet, "1.00");
    let refused = timeout(SOON, rig.post_batches(late.clone())).await.unwrap();
    assert_eq!(only(refused).unwrap_err().code(), "unavailable");
    let other = rig.another().await;
    assert!(!only(other.post_batches(late).await).unwrap().replayed);
    assert_eq!(rig.balance(&wallet).await[0], "89.00");
}

async fn a_call_larger_than_a_group_spans_several(rig: Rig) {
    let settings = LedgerSettings { group_size: 7, queue_size: 1000, ..LedgerSettings::default() };
    let small = rig.another_with(settings, None).await.unwrap();
    let wallet = rig.funded("USD", "100.00").await;
    let of = |key: &str, n: usize| {
        rig.batch(key, vec![transfer(wallet_side(&wallet), system("FEES"), "USD", "0.01"); n])
    };
    // 100 orders of 1 to 4 steps, one of more than a group, and some keys again.
    let mut batches: Vec<_> = (0..100).map(|i| of(&format!("k{}", i % 90), 1 + i % 90 % 4)).collect();
    batches.insert(50, of("large", 30));
    let before = groups(&small);
    let answer =
        small.post_batches(wire::PostBatchesRequest { batches: batches.clone() }).await.unwrap().body;
    assert!(groups(&small) - before > 30);
    for (batch, outcome) in batches.iter().zip(&answer.outcomes) {
        assert_eq!((outcome.refused.as_str(), outcome.transfer_ids.len()), ("", batch.transfers.len()));
    }
    assert_eq!(answer.outcomes.iter().filter(|outcome| outcome.replayed).count(), 10);
    rig.assert_books().await;
}

/// A call of as many transfers as are said, in one batch.
fn weighing(rig: &Rig, key: &str, wallet: &str, steps: usize) -> wire::PostBatchesRequest {
    let one = transfer(wallet_side(wallet), system("FEES"), "USD", "0.01");
    wire::PostBatchesRequest { batches: vec![rig.batch(key, vec![one; steps])] }
}

/// Places are steps: one call of many takes the room of many calls, and the largest call there is fits an empty queue.
async fn a_full_queue_answers_at_once(base: Base) {
    let settings = LedgerSettings { queue_size: 1000, ..LedgerSettings::default() };
    let rig = Arc::new(Rig::start_with(base, settings, None).await);
    let wallet = rig.funded("USD", "100.00").await;
    let locked = rig.another().await.lock().await;
    let mut waiting = Vec::new();
    for (steps, in_all) in [(600, 600), (399, 999), (1, 1000)] {
        let (rig, asked) = (Arc::clone(&rig), weighing(&rig, &format!("k{steps}"), &wallet, steps));
        let ledger = Arc::clone(&rig);
        waiting.push(beem_runtime::spawn(async move { only(rig.post_batches(asked).await) }));
        queued(&ledger.ledger, in_all).await;
    }
    let late = spend(&rig, "late", &wallet, "1.00");
    let refused = timeout(Duration::from_secs(1), rig.post_batches(late.clone())).await.expect("at once");
    assert_eq!(only(refused).unwrap_err().code(), "unavailable");
    locked.let_go().await;
    for reply in waiting {
        assert_eq!(reply.await.unwrap().unwrap().refused, "");
    }
    let again = only(rig.post_batches(late).await).unwrap();
    assert_eq!((again.refused.as_str(), again.replayed), ("", false));
    assert_eq!(only(rig.post_batches(weighing(&rig, "full", &wallet, 1000)).await).unwrap().refused, "");
    assert_eq!(rig.balance(&wallet).await[0], "79.00");
    queued(&rig.ledger, 0).await;
}

/// Until the gauge says that so many steps wait.
async fn queued(ledger: &Ledger, steps: u64) {
    let said = || {
        let text = ledger.telemetry.prometheus_text();
        let mut lines = text.lines().filter(|line| line.starts_with("beem_ledger_queue_orders"));
        lines.find_map(|line| line.rsplit(' ').next()?.parse().ok())
    };
    let there = async {
        while said() != Some(steps) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, there).await.unwrap_or_else(|_| panic!("{:?} wait, not {steps}", said()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_answers_at_once_sqlite() {
    a_full_queue_answers_at_once(Base::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_answers_at_once_postgres() {
    a_full_queue_answers_at_once(Base::Postgres).await;
}
