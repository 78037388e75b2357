//! What writing an outcome does, and that it does so once.

use super::{count, happen};
use crate::on_both;
use crate::receiver::{Answer, Receiver};
use crate::rig::Rig;
use beem_database::{Backend, Sql as _};
use beem_hooks::domain::{Finding, Verdict};
use beem_hooks::store::outcomes::{Outcome, Recorded, Weight, record};
use beem_ids::{DeliveryId, HookId};

on_both!(
    what_is_written_twice_counts_once,
    a_failure_says_nothing_of_what_was_replayed_meanwhile,
    what_the_receiver_before_did_is_not_held_against_the_next,
    what_the_database_does_not_take_is_kept_without_the_receivers_words,
);

async fn written(rig: &Rig, outcomes: &[Outcome]) -> Recorded {
    rig.db.write(|tx| Box::pin(record(tx, outcomes, &[]))).await.unwrap()
}

/// A delivery that has failed once, and a second failure of it that is not written yet.
async fn failure(rig: &Rig) -> Outcome {
    let receiver = Receiver::start(Answer::status(500)).await;
    let hook = rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    happen(rig, "w").await;
    count(rig, 1, "deliveries WHERE attempts = 1").await;
    let now = rig.clock.now();
    let row = rig.db.read().row("SELECT id FROM deliveries", vec![]).await.unwrap().unwrap();
    Outcome {
        attempt: beem_ids::draw(now, &rig.entropy),
        delivery: DeliveryId(row.try_get("", "id").unwrap()),
        hook: hook.id.parse::<HookId>().unwrap(),
        url: hook.url,
        time: now,
        duration_ms: 7,
        ended: now,
        finding: Finding { status_code: None, error: Some("\"odd\", {\\}".into()), retry_after_s: None },
        answer: None,
        tries: 1,
        verdict: Verdict::Again(now.plus_ms(30_000)),
        weight: Weight::Counts,
    }
}

async fn what_is_written_twice_counts_once(rig: Rig) {
    let outcome = failure(&rig).await;
    let hook = outcome.hook;
    for _ in 0..2 {
        let recorded = written(&rig, std::slice::from_ref(&outcome)).await;
        assert_eq!(recorded.health[&hook].failures, 2);
        count(&rig, 1, "deliveries WHERE attempts = 2 AND tries = 2 AND status = 'PENDING'").await;
        count(&rig, 2, "attempts").await;
    }
    count(&rig, 1, "attempts WHERE error = '\"odd\", {\\}' AND duration_ms = 7").await;
    count(&rig, 1, "lanes WHERE failures = 2").await;
}

async fn a_failure_says_nothing_of_what_was_replayed_meanwhile(rig: Rig) {
    let outcome = failure(&rig).await;
    rig.clock.advance_ms(1);
    let next_ms = rig.clock.now().unix_ms() + 1_000_000;
    let replay = &format!("UPDATE deliveries SET tries = 0, next_ms = {next_ms}");
    rig.db.write(|tx| Box::pin(async move { tx.run(replay, vec![]).await })).await.unwrap();
    written(&rig, &[outcome]).await;
    count(&rig, 1, &format!("deliveries WHERE attempts = 2 AND tries = 0 AND next_ms = {next_ms}")).await;
}

async fn what_the_receiver_before_did_is_not_held_against_the_next(rig: Rig) {
    let outcome = failure(&rig).await;
    let moved = &"UPDATE hooks SET url = 'https://next.example/'";
    rig.db.write(|tx| Box::pin(async move { tx.run(moved, vec![]).await })).await.unwrap();
    written(&rig, &[outcome]).await;
    count(&rig, 2, "attempts").await;
    count(&rig, 1, "lanes WHERE failures = 1").await;
}

async fn what_the_database_does_not_take_is_kept_without_the_receivers_words(rig: Rig) {
    let no_answers = match rig.db.backend() {
        Backend::Postgres => "ALTER TABLE attempts ADD CHECK (answer IS NULL)",
        Backend::Sqlite => {
            "CREATE TRIGGER no_answers BEFORE INSERT ON attempts WHEN NEW.answer IS NOT NULL
            BEGIN SELECT RAISE(ABORT, 'no answers'); END"
        }
    };
    rig.db.write(|tx| Box::pin(async move { tx.run(no_answers, vec![]).await })).await.unwrap();
    let receiver = Receiver::start(Answer::ok()).await;
    rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    receiver.answers(Answer::with(200, &[], "words"));
    happen(&rig, "w").await;
    count(&rig, 1, "deliveries WHERE status = 'DELIVERED' AND attempts = 1").await;
    count(&rig, 1, "attempts WHERE status_code = 200 AND answer IS NULL").await;
    assert_eq!(receiver.received().len(), 1, "it is not sent again for that");
}
