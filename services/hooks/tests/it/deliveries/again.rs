//! Sending again: one delivery, whatever became of it, and everything since a time.

use super::{NOWHERE, all, enable, end, get, run, wallets};
use crate::on_both;
use crate::receiver::{Answer, Receiver};
use crate::rig::{Reply, Rig, until};
use beem_events::audit::unpushed;
use beem_proto::hooks::v1 as wire;
use beem_proto::to_timestamp;
use prost_types::FieldMask;

on_both!(
    what_was_delivered_is_sent_again_byte_for_byte,
    what_has_failed_or_waits_is_sent_at_once,
    one_key_replays_once,
    to_a_disabled_hook_nothing_is_sent_again,
    what_is_no_longer_kept_cannot_be_sent_again,
    what_is_no_longer_asked_for_goes_to_nobody_else,
    a_replay_says_since_when,
    a_hook_gets_what_was_before_it,
);

pub async fn again(rig: &Rig, hook: &wire::Hook, key: &str, delivery: &str) -> Reply<wire::Delivery> {
    let asked = wire::ReplayDeliveryRequest { id: hook.id.clone(), delivery_id: delivery.into() };
    rig.call(&rig.owner, key, "/beem.hooks.v1.Hooks/ReplayDelivery", asked).await
}

async fn since(rig: &Rig, hook: &wire::Hook, since_ms: Option<i64>) -> Reply<wire::ReplayHookResponse> {
    let asked = wire::ReplayHookRequest { id: hook.id.clone(), since: since_ms.map(to_timestamp) };
    let key = rig.key();
    rig.call(&rig.owner, &key, "/beem.hooks.v1.Hooks/ReplayHook", asked).await
}

async fn status(rig: &Rig, hook: &wire::Hook, delivery: &str) -> String {
    get(rig, &rig.owner, &hook.id, delivery).await.unwrap().status
}

async fn what_was_delivered_is_sent_again_byte_for_byte(rig: Rig) {
    let receiver = Receiver::start(Answer::ok()).await;
    let hook = rig.hook(&receiver.url(), &["*"]).await;
    wallets(&rig, 1).await;
    rig.run_tasks_but(&["hooks-audit", "hooks-intake-ledger"]);
    let first = receiver.wait_for(1).await.remove(0);
    let delivery = all(&rig, &hook).await.remove(0).id;
    until("it is recorded", async || status(&rig, &hook, &delivery).await == "DELIVERED").await;

    let replayed = again(&rig, &hook, "key", &delivery).await.unwrap().body;
    assert_eq!((replayed.id.as_str(), replayed.status.as_str()), (delivery.as_str(), "PENDING"));
    assert_eq!((replayed.attempt_count, replayed.attempts.len()), (1, 1), "what was is not forgotten");
    assert_eq!(replayed.next_attempt_at, Some(to_timestamp(rig.clock.now().unix_ms())));
    let second = receiver.wait_for(2).await.remove(1);
    assert_eq!((first.event_id(), &first.body), (second.event_id(), &second.body));
    until("it is recorded", async || status(&rig, &hook, &delivery).await == "DELIVERED").await;
    let done = get(&rig, &rig.owner, &hook.id, &delivery).await.unwrap();
    assert_eq!((done.attempt_count, done.attempts.len()), (2, 2));

    let rows = unpushed(&rig.db, 100).await.unwrap();
    let row = &rows.iter().find(|row| row.row.action == "ReplayDelivery").unwrap().row;
    assert_eq!((row.target_id.as_str(), row.outcome.as_str()), (delivery.as_str(), "done"));
    let [before, after] = [&row.before, &row.after].map(|state| state.as_ref().unwrap()["status"].clone());
    assert_eq!((before, after), ("DELIVERED".into(), "PENDING".into()));
}

async fn what_has_failed_or_waits_is_sent_at_once(rig: Rig) {
    let receiver = Receiver::start(Answer::ok()).await;
    let hook = rig.hook(&receiver.url(), &["*"]).await;
    wallets(&rig, 2).await;
    let [failed, waiting] = all(&rig, &hook).await.try_into().unwrap();
    end(&rig, &failed, "FAILED").await;
    let later =
        "UPDATE deliveries SET tries = 9, attempts = 9, next_ms = 1800000000000 + 86400000 WHERE id = $1";
    run(&rig, later, &waiting.id).await;
    let of_hook = "UPDATE lanes SET due_ms = NULL WHERE hook = $1";
    run(&rig, of_hook, &hook.id).await;
    for delivery in [&failed, &waiting] {
        let answer = again(&rig, &hook, &rig.key(), &delivery.id).await.unwrap().body;
        assert_eq!(answer.status, "PENDING");
        assert_eq!(answer.next_attempt_at, Some(to_timestamp(rig.clock.now().unix_ms())));
    }
    assert_eq!(rig.count("deliveries WHERE tries = 0 AND ended_ms IS NULL").await, 2);
    rig.run_tasks_but(&["hooks-audit", "hooks-intake-ledger"]);
    let got = receiver.wait_for(2).await;
    let mut events: Vec<_> = got.iter().map(|one| one.event_id()).collect();
    events.sort_unstable();
    let mut expected = [failed.event_id.as_str(), waiting.event_id.as_str()];
    expected.sort_unstable();
    assert_eq!(events, expected);
    for delivery in [&failed, &waiting] {
        until("it is recorded", async || status(&rig, &hook, &delivery.id).await == "DELIVERED").await;
    }
}

async fn one_key_replays_once(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    wallets(&rig, 1).await;
    let delivery = all(&rig, &hook).await.remove(0);
    end(&rig, &delivery, "FAILED").await;
    let first = again(&rig, &hook, "key", &delivery.id).await.unwrap();
    end(&rig, &delivery, "DELIVERED").await;
    let repeated = again(&rig, &hook, "key", &delivery.id).await.unwrap();
    assert!(!first.replayed && repeated.replayed);
    assert_eq!(first.body, repeated.body);
    assert_eq!(status(&rig, &hook, &delivery.id).await, "DELIVERED");
}

async fn to_a_disabled_hook_nothing_is_sent_again(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    wallets(&rig, 1).await;
    let delivery = all(&rig, &hook).await.remove(0);
    end(&rig, &delivery, "FAILED").await;
    enable(&rig, &hook, false).await;
    let refusal = again(&rig, &hook, &rig.key(), &delivery.id).await.unwrap_err();
    assert_eq!(refusal.code(), "hook-disabled");
    assert_eq!(since(&rig, &hook, Some(0)).await.unwrap_err().code(), "hook-disabled");
    assert_eq!(status(&rig, &hook, &delivery.id).await, "FAILED");
    assert_eq!(rig.count("replays").await, 0);
}

async fn what_is_no_longer_kept_cannot_be_sent_again(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    wallets(&rig, 1).await;
    let delivery = all(&rig, &hook).await.remove(0);
    end(&rig, &delivery, "FAILED").await;
    run(&rig, "DELETE FROM events WHERE event_id = $1", &delivery.event_id).await;
    let refusal = again(&rig, &hook, &rig.key(), &delivery.id).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.fault.detail.as_str()), ("not-found", "its event is no longer kept"));
    assert_eq!(status(&rig, &hook, &delivery.id).await, "FAILED", "nothing waits that cannot be sent");
}

async fn a_replay_says_since_when(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    let now = rig.clock.now().unix_ms();
    for wrong in [None, Some(now + 1)] {
        let refusal = since(&rig, &hook, wrong).await.unwrap_err();
        assert_eq!((refusal.code(), refusal.fields()), ("validation-failed", vec!["since"]));
    }
    let answer = since(&rig, &hook, Some(now)).await.unwrap().body;
    assert_eq!((answer.since, answer.until), (Some(to_timestamp(now)), Some(to_timestamp(now))));
    let answer = since(&rig, &hook, Some(now - 5_500)).await.unwrap().body;
    assert_eq!((answer.since, answer.until), (Some(to_timestamp(now - 5_500)), Some(to_timestamp(now))));
}

async fn a_hook_gets_what_was_before_it(rig: Rig) {
    wallets(&rig, 2).await;
    rig.clock.advance_ms(60_000);
    let noon = rig.clock.now().unix_ms();
    wallets(&rig, 3).await;
    rig.clock.advance_ms(60_000);
    let receiver = Receiver::start(Answer::ok()).await;
    let hook = rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks_but(&["hooks-audit", "hooks-intake-ledger"]);
    since(&rig, &hook, Some(noon)).await.unwrap();
    let got = receiver.wait_for(3).await;
    let names: Vec<_> =
        got.iter().map(|one| one.json()["data"]["name"].as_str().unwrap().to_owned()).collect();
    let delivered = async || all(&rig, &hook).await.iter().filter(|one| one.status == "DELIVERED").count();
    until("they are recorded", async || delivered().await == 3).await;
    assert_eq!(names.len(), 3);
    assert!(names.iter().all(|name| ["2", "3", "4"].contains(&name.as_str())), "{names:?}");

    // Acknowledged once: what is asked for again is only what was not.
    since(&rig, &hook, Some(0)).await.unwrap();
    let got = receiver.wait_for(5).await;
    until("they are recorded", async || delivered().await == 5).await;
    until("the replays have ended", async || rig.count("replays").await == 0).await;
    assert_eq!((got.len(), receiver.received().len()), (5, 5));
}

/// Somebody who may not read wallets narrows a hook to what it may read and leads it to itself: nothing of before goes there.
async fn what_is_no_longer_asked_for_goes_to_nobody_else(rig: Rig) {
    let (receiver, other) = (Receiver::start(Answer::status(500)).await, Receiver::start(Answer::ok()).await);
    let hook = rig.hook(&receiver.url(), &["layer1:ledger:wallet:created"]).await;
    wallets(&rig, 1).await;
    rig.run_tasks_but(&["hooks-audit"]);
    receiver.wait_for(1).await;
    let delivery = all(&rig, &hook).await.remove(0).id;
    let patched = async |fields: &[&str], asked: wire::UpdateHookRequest| {
        let paths = fields.iter().map(|field| (*field).to_owned()).collect();
        let asked =
            wire::UpdateHookRequest { id: hook.id.clone(), present: Some(FieldMask { paths }), ..asked };
        let done: Reply<wire::Hook> =
            rig.call(&rig.owner, &rig.key(), "/beem.hooks.v1.Hooks/UpdateHook", asked).await;
        done.unwrap()
    };
    let codes = vec!["layer1:identity:client:key-rotated".to_owned()];
    patched(&["event_codes"], wire::UpdateHookRequest { event_codes: codes, ..Default::default() }).await;
    patched(&["url"], wire::UpdateHookRequest { url: other.url(), ..Default::default() }).await;
    rig.clock.advance_ms(10_000);
    until("it has failed", async || status(&rig, &hook, &delivery).await == "FAILED").await;
    let refusal = again(&rig, &hook, "key", &delivery).await.unwrap_err();
    assert_eq!((refusal.code(), other.received().len()), ("not-found", 0));
}
