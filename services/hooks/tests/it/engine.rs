//! Sending: once to a receiver that acknowledges, again and again to one that does not, and never held up by another's.

mod disabling;
mod flapping;
mod isolation;
mod loss;
mod lost_lanes;
mod outcomes;
mod overlap;
mod processes;

use crate::on_both;
use crate::receiver::{Answer, Receiver};
use crate::rig::{Rig, until};
use beem_database::Sql as _;
use beem_ids::EventId;
use beem_proto::hooks::v1 as wire;
use serde_json::json;

on_both!(
    what_is_acknowledged_is_sent_once_as_the_event_is,
    what_is_not_acknowledged_is_tried_for_three_days_and_then_given_up,
    a_receiver_that_asks_for_time_gets_it,
    a_burst_is_sent_whole_a_few_at_a_time,
    an_event_that_is_no_longer_kept_ends_its_delivery,
);

const WALLET: &str = "layer1:ledger:wallet:created";

/// The waits of 3.6, in seconds.
const WAITS_S: [i64; 10] = [5, 30, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

async fn happen(rig: &Rig, entity: &str) -> EventId {
    rig.happen(rig.account(), WALLET, entity, json!({ "id": entity })).await
}

/// So many events of as many wallets, committed together.
async fn burst(rig: &Rig, count: usize) {
    let event = |n| rig.ledger.event(rig.account(), WALLET, &format!("burst-{n}"), json!({ "n": n }));
    rig.ledger.begin((0..count).map(event).collect()).await.commit().await;
}

/// Until so many rows are there, and no more.
async fn count(rig: &Rig, rows: i64, of: &str) {
    until(&format!("{rows} {of}"), async || rig.count(of).await >= rows).await;
    assert_eq!(rig.count(of).await, rows, "{of}");
}

async fn get(rig: &Rig, id: &str) -> wire::Hook {
    let asked = wire::GetHookRequest { id: id.to_owned() };
    rig.call(&rig.owner, "", "/beem.hooks.v1.Hooks/GetHook", asked).await.unwrap().body
}

/// A number of the one row there is.
async fn one(rig: &Rig, sql: &str) -> i64 {
    rig.db.read().row(sql, vec![]).await.unwrap().unwrap().try_get("", "n").unwrap()
}

/// When the one pending delivery is tried again, in milliseconds from now; and then it is then.
async fn advance_to_next(rig: &Rig) -> i64 {
    let next_ms = one(rig, "SELECT next_ms AS n FROM deliveries WHERE status = 'PENDING'").await;
    let wait_ms = next_ms - rig.clock.now().unix_ms();
    rig.clock.advance_ms(wait_ms);
    wait_ms
}

async fn what_is_acknowledged_is_sent_once_as_the_event_is(rig: Rig) {
    let receiver = Receiver::start(Answer::with(201, &[], "taken, thank you")).await;
    rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    let event = happen(&rig, "w").await;
    let received = receiver.wait_for(1).await;
    assert_eq!((received[0].method.as_str(), received[0].event_id()), ("POST", event.to_string().as_str()));
    assert_eq!(received[0].json()["data"], json!({ "id": "w" }));
    count(&rig, 1, "deliveries WHERE status = 'DELIVERED' AND attempts = 1 AND ended_ms IS NOT NULL").await;
    count(&rig, 1, "attempts WHERE status_code = 201 AND error IS NULL AND answer = 'taken, thank you'")
        .await;
    // The lane is left, and nothing is sent again.
    count(&rig, 1, "lanes WHERE owner IS NULL AND due_ms IS NULL AND leased_until_ms = 0").await;
    rig.clock.advance_ms(60_000);
    happen(&rig, "x").await;
    assert_eq!(receiver.wait_for(2).await.len(), 2);
}

async fn what_is_not_acknowledged_is_tried_for_three_days_and_then_given_up(rig: Rig) {
    let receiver = Receiver::start(Answer::status(500)).await;
    rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    happen(&rig, "w").await;
    for (attempt, wait_s) in (1..).zip(WAITS_S) {
        count(&rig, 1, &format!("deliveries WHERE status = 'PENDING' AND attempts = {attempt}")).await;
        let wait_ms = advance_to_next(&rig).await;
        assert!((wait_s * 800..=wait_s * 1200).contains(&wait_ms), "attempt {attempt}: {wait_ms} ms");
    }
    count(&rig, 1, "deliveries WHERE status = 'FAILED' AND attempts = 11 AND ended_ms IS NOT NULL").await;
    count(&rig, 11, "attempts WHERE status_code = 500 AND error = 'answered 500'").await;
    let received = receiver.received();
    assert_eq!(received.len(), 11);
    assert!(received.iter().all(|again| again.body == received[0].body));
    assert!(received.iter().all(|again| again.event_id() == received[0].event_id()));
    // Three days are not the five that disable.
    count(&rig, 1, "hooks WHERE enabled").await;
}

async fn a_receiver_that_asks_for_time_gets_it(rig: Rig) {
    let receiver = Receiver::start(Answer::ok()).await;
    receiver.first([Answer::retry_after("3600"), Answer::retry_after("1")]);
    rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    happen(&rig, "w").await;
    count(&rig, 1, "deliveries WHERE attempts = 1").await;
    assert_eq!(advance_to_next(&rig).await, 3_600_000);
    count(&rig, 1, "deliveries WHERE attempts = 2").await;
    assert!(advance_to_next(&rig).await >= 24_000, "less than the schedule is not less");
    count(&rig, 1, "deliveries WHERE attempts = 3 AND status = 'DELIVERED'").await;
}

async fn a_burst_is_sent_whole_a_few_at_a_time(rig: Rig) {
    let receiver = Receiver::start(Answer::ok()).await;
    rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    burst(&rig, 300).await;
    count(&rig, 300, "deliveries WHERE status = 'DELIVERED'").await;
    let mut events: Vec<_> = receiver.received().iter().map(|got| got.event_id().to_owned()).collect();
    events.sort();
    events.dedup();
    assert_eq!((events.len(), receiver.received().len()), (300, 300), "each once");
    assert!(receiver.most_under_way() <= 8, "{}", receiver.most_under_way());
    assert_eq!(rig.count("attempts").await, 300);
}

async fn an_event_that_is_no_longer_kept_ends_its_delivery(rig: Rig) {
    let receiver = Receiver::start(Answer::status(500)).await;
    rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    happen(&rig, "w").await;
    count(&rig, 1, "deliveries WHERE attempts = 1").await;
    rig.db.write(|tx| Box::pin(async { tx.run("DELETE FROM events", vec![]).await })).await.unwrap();
    advance_to_next(&rig).await;
    count(&rig, 1, "deliveries WHERE status = 'FAILED' AND attempts = 2").await;
    count(&rig, 1, "attempts WHERE error = 'the event is no longer kept'").await;
    // It was no fault of the receiver's.
    count(&rig, 1, "lanes WHERE failures = 1").await;
}
