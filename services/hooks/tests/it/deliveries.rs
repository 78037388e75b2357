//! What was and will be sent to a hook: listed, paged, filtered, sent again; and the test event.

mod again;
mod by_hand;

use crate::on_both;
use crate::receiver::{Answer, Receiver};
use crate::rig::{Refusal, Rig, until};
use beem_caller::Actor;
use beem_database::Sql as _;
use beem_events::audit::unpushed;
use beem_hooks::store;
use beem_ids::DeliveryId;
use beem_proto::hooks::v1 as wire;
use beem_proto::{AnswerJson, Contract, to_timestamp};
use serde_json::json;
use uuid::Uuid;

on_both!(
    a_test_event_is_for_its_hook_alone,
    tests_of_one_hook_count_up_and_one_key_sends_one,
    a_test_of_a_disabled_hook_is_refused,
    deliveries_page_and_new_ones_move_nothing,
    deliveries_are_filtered_by_status_and_type,
    a_wrong_filter_or_page_names_its_field,
    the_last_twenty_attempts_are_shown_and_all_of_them_listed,
    the_next_attempt_is_told_while_there_is_one,
    what_is_anothers_is_nowhere,
);

pub const WALLET: &str = "layer1:ledger:wallet:created";
pub const EXECUTED: &str = "layer1:ledger:conversion:executed";

/// Nobody listens there, and nothing is sent before the engine runs.
pub const NOWHERE: &str = "https://receiver.example/hooks";

pub async fn list(
    rig: &Rig,
    actor: &Actor,
    asked: wire::ListDeliveriesRequest,
) -> Result<wire::ListDeliveriesResponse, Refusal> {
    let answer = rig.call(actor, "", "/beem.hooks.v1.Hooks/ListDeliveries", asked).await;
    answer.map(|answer| answer.body)
}

pub fn of(hook: &wire::Hook) -> wire::ListDeliveriesRequest {
    wire::ListDeliveriesRequest { id: hook.id.clone(), ..wire::ListDeliveriesRequest::default() }
}

/// All deliveries of the hook, newest first.
pub async fn all(rig: &Rig, hook: &wire::Hook) -> Vec<wire::Delivery> {
    let asked = wire::ListDeliveriesRequest { max: Some(500), ..of(hook) };
    list(rig, &rig.owner, asked).await.unwrap().content
}

pub async fn get(rig: &Rig, actor: &Actor, hook: &str, id: &str) -> Result<wire::Delivery, Refusal> {
    let asked = wire::GetDeliveryRequest { id: hook.into(), delivery_id: id.into() };
    rig.call(actor, "", "/beem.hooks.v1.Hooks/GetDelivery", asked).await.map(|answer| answer.body)
}

async fn attempts(
    rig: &Rig,
    actor: &Actor,
    asked: wire::ListAttemptsRequest,
) -> Result<wire::ListAttemptsResponse, Refusal> {
    rig.call(actor, "", "/beem.hooks.v1.Hooks/ListAttempts", asked).await.map(|answer| answer.body)
}

pub async fn test(rig: &Rig, actor: &Actor, key: &str, hook: &str) -> Result<wire::Delivery, Refusal> {
    let asked = wire::TestHookRequest { id: hook.into() };
    rig.call(actor, key, "/beem.hooks.v1.Hooks/TestHook", asked).await.map(|answer| answer.body)
}

pub async fn enable(rig: &Rig, hook: &wire::Hook, enabled: bool) {
    let asked = wire::UpdateHookRequest {
        id: hook.id.clone(),
        enabled,
        present: Some(prost_types::FieldMask { paths: vec!["enabled".into()] }),
        ..wire::UpdateHookRequest::default()
    };
    let key = rig.key();
    rig.call::<_, wire::Hook>(&rig.owner, &key, "/beem.hooks.v1.Hooks/UpdateHook", asked).await.unwrap();
}

/// Wallets that were opened, taken in with a delivery for each hook that asks: of one millisecond.
pub async fn wallets(rig: &Rig, count: i64) {
    let before = rig.count("events").await;
    rig.run_task("hooks-intake-ledger");
    for n in before..before + count {
        rig.happen(rig.account(), WALLET, &format!("wallet {n}"), json!({ "name": format!("{n}") })).await;
    }
    until("every event is taken in", async || rig.count("events").await == before + count).await;
}

fn ids(deliveries: &[wire::Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.id.as_str()).collect()
}

pub async fn run(rig: &Rig, sql: &str, id: &str) {
    let id: Uuid = id.parse().unwrap();
    let touched = rig.db.write(|tx| Box::pin(async move { tx.run(sql, vec![id.into()]).await })).await;
    assert_eq!(touched.unwrap(), 1, "{sql}");
}

/// As the engine leaves it.
pub async fn end(rig: &Rig, delivery: &wire::Delivery, status: &str) {
    let sql =
        format!("UPDATE deliveries SET status = '{status}', next_ms = NULL, ended_ms = 7 WHERE id = $1");
    run(rig, &sql, &delivery.id).await;
}

async fn a_test_event_is_for_its_hook_alone(rig: Rig) {
    let (receiver, other) = (Receiver::start(Answer::ok()).await, Receiver::start(Answer::ok()).await);
    let hook = rig.hook(&receiver.url(), &["*"]).await;
    rig.hook(&other.url(), &["*"]).await;
    rig.run_tasks();
    let made = test(&rig, &rig.owner, &rig.key(), &hook.id).await.unwrap();
    assert_eq!((made.event.as_str(), made.status.as_str()), ("layer1:hook:test", "PENDING"));
    assert_eq!(made.next_attempt_at, Some(to_timestamp(rig.clock.now().unix_ms())));

    let got = receiver.wait_for(1).await.remove(0);
    let body = got.json();
    assert_eq!(got.event_id(), made.event_id);
    assert_eq!(body["event"], "layer1:hook:test");
    assert_eq!((&body["source"], &body["sequence"]), (&json!("hooks"), &json!(1)));
    assert_eq!(body["accountId"], rig.account().to_string());
    let json = AnswerJson::new(&Contract::load().unwrap(), "beem.hooks.v1.Hook").unwrap();
    let public = wire::Hook { signing_secret: None, ..hook.clone() };
    assert_eq!(body["data"], json.of(&public).unwrap());

    let done = async || get(&rig, &rig.owner, &hook.id, &made.id).await.unwrap();
    until("it is recorded", async || done().await.status == "DELIVERED").await;
    let done = done().await;
    assert_eq!((done.attempt_count, done.attempts.len(), done.next_attempt_at), (1, 1, None));
    assert_eq!(done.attempts[0].status_code, Some(200));
    assert_eq!(rig.count("events WHERE area = 0").await, 1, "nobody pulls it");
    // What both are sent comes to the other first.
    rig.happen(rig.account(), WALLET, "wallet", json!({})).await;
    until("both have the wallet", async || rig.count("deliveries WHERE status = 'DELIVERED'").await >= 3)
        .await;
    let events = |receiver: &Receiver| {
        receiver.received().iter().map(|got| got.json()["event"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (events(&receiver), events(&other)),
        (vec![json!("layer1:hook:test"), json!(WALLET)], vec![json!(WALLET)])
    );
    assert_eq!(rig.count("deliveries").await, 3);
}

async fn tests_of_one_hook_count_up_and_one_key_sends_one(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    let first = test(&rig, &rig.owner, "key", &hook.id).await.unwrap();
    let again = test(&rig, &rig.owner, "key", &hook.id).await.unwrap();
    assert_eq!(first, again);
    let second = test(&rig, &rig.owner, "another key", &hook.id).await.unwrap();
    assert_ne!(first.event_id, second.event_id);
    assert_eq!(rig.count("events").await, 2);
    assert_eq!(all(&rig, &hook).await.len(), 2);
    for (sequence, delivery) in [(1, &first), (2, &second)] {
        let event: Uuid = delivery.event_id.parse().unwrap();
        let row = rig.db.read().row("SELECT body FROM events WHERE event_id = $1", vec![event.into()]).await;
        let body: String = row.unwrap().unwrap().try_get("", "body").unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["sequence"], sequence);
    }
    let rows = unpushed(&rig.db, 100).await.unwrap();
    let told =
        rows.iter().map(|row| &row.row).filter(|row| row.action == "TestHook" && row.outcome == "done");
    assert_eq!(told.filter(|row| row.target_id == hook.id).count(), 2);
}

async fn a_test_of_a_disabled_hook_is_refused(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    enable(&rig, &hook, false).await;
    let refusal = test(&rig, &rig.owner, "key", &hook.id).await.unwrap_err();
    assert_eq!(refusal.code(), "hook-disabled");
    assert_eq!((rig.count("events").await, rig.count("deliveries").await), (0, 0));
    enable(&rig, &hook, true).await;
    let repeated = test(&rig, &rig.owner, "key", &hook.id).await.unwrap_err();
    assert!(repeated.replayed && repeated.code() == "hook-disabled");
    test(&rig, &rig.owner, "another key", &hook.id).await.unwrap();
    assert_eq!(rig.count("events WHERE position = 1").await, 1, "the refusal left no gap");
}

async fn deliveries_page_and_new_ones_move_nothing(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    wallets(&rig, 7).await;
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let asked = wire::ListDeliveriesRequest { max: Some(3), page_token: token, ..of(&hook) };
        let page = list(&rig, &rig.owner, asked).await.unwrap();
        seen.extend(page.content);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        rig.clock.advance_ms(1_000);
        wallets(&rig, 1).await;
    }
    let now = all(&rig, &hook).await;
    assert_eq!(now.len(), 9);
    assert_eq!(ids(&seen), ids(&now[2..]), "what came meanwhile is newer than the first page");
    assert!(now.iter().all(|delivery| delivery.hook_id == hook.id && delivery.event == WALLET));

    let asked = wire::ListDeliveriesRequest { order: "asc".into(), offset: Some(2), ..of(&hook) };
    let oldest = list(&rig, &rig.owner, asked).await.unwrap().content;
    let reversed: Vec<_> = now.iter().rev().skip(2).cloned().collect();
    assert_eq!(ids(&oldest), ids(&reversed));
}

async fn deliveries_are_filtered_by_status_and_type(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    wallets(&rig, 3).await;
    rig.happen(rig.account(), EXECUTED, "quote", json!({})).await;
    until("every event is taken in", async || rig.count("events").await == 4).await;
    test(&rig, &rig.owner, &rig.key(), &hook.id).await.unwrap();
    let everything = all(&rig, &hook).await;
    let of_wallets: Vec<_> = everything.iter().filter(|delivery| delivery.event == WALLET).collect();
    end(&rig, of_wallets[0], "FAILED").await;
    end(&rig, of_wallets[1], "DELIVERED").await;

    let found = async |status: &str, event: &str| {
        let asked = wire::ListDeliveriesRequest { status: status.into(), event: event.into(), ..of(&hook) };
        let found = list(&rig, &rig.owner, asked).await.unwrap().content;
        found.into_iter().map(|delivery| delivery.id).collect::<Vec<_>>()
    };
    assert_eq!(found("", "").await.len(), 5);
    assert_eq!(found("FAILED", "").await, [of_wallets[0].id.as_str()]);
    assert_eq!(found("DELIVERED", WALLET).await, [of_wallets[1].id.as_str()]);
    assert_eq!(found("PENDING", "").await.len(), 3);
    assert_eq!(found("PENDING", WALLET).await, [of_wallets[2].id.as_str()]);
    assert_eq!(found("", EXECUTED).await.len(), 1);
    assert_eq!(found("", "layer1:hook:test").await.len(), 1);
    assert_eq!(found("FAILED", EXECUTED).await.len(), 0);
    assert_eq!(found("", "layer1:ledger:wallet:renamed").await.len(), 0);
}

async fn a_wrong_filter_or_page_names_its_field(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    wallets(&rig, 2).await;
    let refused = async |asked: wire::ListDeliveriesRequest| {
        let refusal = list(&rig, &rig.owner, asked).await.unwrap_err();
        assert_eq!(refusal.code(), "validation-failed");
        refusal.fault.fields[0].field.clone()
    };
    let default = || of(&hook);
    assert_eq!(refused(wire::ListDeliveriesRequest { status: "DONE".into(), ..default() }).await, "status");
    assert_eq!(refused(wire::ListDeliveriesRequest { event: "Wallet!".into(), ..default() }).await, "event");
    assert_eq!(refused(wire::ListDeliveriesRequest { max: Some(501), ..default() }).await, "max");
    assert_eq!(refused(wire::ListDeliveriesRequest { order: "up".into(), ..default() }).await, "order");
    let first = wire::ListDeliveriesRequest { max: Some(1), ..default() };
    let token = list(&rig, &rig.owner, first).await.unwrap().next_page_token;
    let filtered =
        wire::ListDeliveriesRequest { page_token: token.clone(), event: WALLET.into(), ..default() };
    assert_eq!(refused(filtered).await, "pageToken");
    let other = rig.hook(NOWHERE, &["*"]).await;
    assert_eq!(refused(wire::ListDeliveriesRequest { page_token: token, ..of(&other) }).await, "pageToken");
}

/// An attempt as the engine records it, that many milliseconds after 1970.
pub async fn attempted(rig: &Rig, delivery: &str, at_ms: i64) {
    let delivery: DeliveryId = delivery.parse().unwrap();
    let id = beem_ids::draw(rig.clock.now(), &rig.entropy);
    let sql = "INSERT INTO attempts (id, delivery, time_ms, duration_ms, status_code, error, answer)
        VALUES ($1, $2, $3, 12, 500, $4, $5)";
    let values = || {
        let (error, answer) = (format!("answered 500, time {at_ms}"), format!("no {at_ms}"));
        vec![id.into(), delivery.0.into(), at_ms.into(), error.into(), answer.into()]
    };
    let count = "UPDATE deliveries SET attempts = attempts + 1 WHERE id = $1";
    let written = rig.db.write(|tx| {
        let values = values();
        Box::pin(async move {
            tx.run(sql, values).await?;
            tx.run(count, vec![delivery.0.into()]).await
        })
    });
    assert_eq!(written.await.unwrap(), 1);
}

async fn the_last_twenty_attempts_are_shown_and_all_of_them_listed(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    wallets(&rig, 3).await;
    let [many, few, none] = all(&rig, &hook).await.try_into().unwrap();
    for at in 1..=23 {
        attempted(&rig, &many.id, at / 2).await;
    }
    attempted(&rig, &few.id, 1).await;

    let [many, few, none] = [many, few, none].map(|delivery| delivery.id);
    let listed = all(&rig, &hook).await;
    for id in [&many, &few, &none] {
        let one = get(&rig, &rig.owner, &hook.id, id).await.unwrap();
        assert!(listed.contains(&one), "a list says of it what a GET says");
    }
    let shown = get(&rig, &rig.owner, &hook.id, &many).await.unwrap();
    assert_eq!((shown.attempt_count, shown.attempts.len()), (23, 20));
    let seconds = |attempt: &wire::Attempt| attempt.time.unwrap().nanos / 1_000_000;
    let times: Vec<_> = shown.attempts.iter().map(seconds).collect();
    assert_eq!(times, (4..=23).map(|at| at / 2).collect::<Vec<_>>(), "oldest first");
    assert!(shown.attempts.iter().all(|attempt| attempt.answer.is_none() && attempt.duration_ms == 12));

    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let asked = wire::ListAttemptsRequest {
            id: hook.id.clone(),
            delivery_id: many.clone(),
            max: Some(5),
            page_token: token,
            ..wire::ListAttemptsRequest::default()
        };
        let page = attempts(&rig, &rig.owner, asked).await.unwrap();
        all.extend(page.content);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(all.len(), 23);
    assert_eq!(
        all.iter().map(seconds).collect::<Vec<_>>(),
        (1..=23).rev().map(|at| at / 2).collect::<Vec<_>>()
    );
    assert!(all.iter().all(|attempt| attempt.answer == Some(format!("no {}", seconds(attempt)))));
    all.reverse();
    let without = |attempt: &wire::Attempt| wire::Attempt { answer: None, ..attempt.clone() };
    assert_eq!(all[3..].iter().map(without).collect::<Vec<_>>(), shown.attempts);
}

async fn the_next_attempt_is_told_while_there_is_one(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    wallets(&rig, 2).await;
    let [pending, ended] = all(&rig, &hook).await.try_into().unwrap();
    end(&rig, &ended, "FAILED").await;
    let next = async |delivery: &wire::Delivery| {
        let got = get(&rig, &rig.owner, &hook.id, &delivery.id).await.unwrap();
        got.next_attempt_at.map(|at| at.seconds)
    };
    assert_eq!(next(&pending).await, Some(1_800_000_000));
    assert_eq!(next(&ended).await, None);
    enable(&rig, &hook, false).await;
    assert_eq!(next(&pending).await, None, "nothing is sent to a disabled hook");
    assert!(all(&rig, &hook).await.iter().all(|delivery| delivery.next_attempt_at.is_none()));
}

async fn what_is_anothers_is_nowhere(rig: Rig) {
    let (hook, other) = (rig.hook(NOWHERE, &["*"]).await, rig.hook(NOWHERE, &["*"]).await);
    wallets(&rig, 1).await;
    let (mine, others) = (all(&rig, &hook).await.remove(0), all(&rig, &other).await.remove(0));
    let stranger = rig.stranger();
    let nowhere = async |actor: &Actor, hook: &str, delivery: &str| {
        let (id, delivery_id) = (hook.to_owned(), delivery.to_owned());
        let attempts_of = wire::ListAttemptsRequest {
            id: id.clone(),
            delivery_id: delivery_id.clone(),
            ..wire::ListAttemptsRequest::default()
        };
        let replay = wire::ReplayDeliveryRequest { id, delivery_id };
        let replayed: Result<_, Refusal> = rig
            .call::<_, wire::Delivery>(actor, &rig.key(), "/beem.hooks.v1.Hooks/ReplayDelivery", replay)
            .await;
        for refusal in [
            get(&rig, actor, hook, delivery).await.unwrap_err(),
            attempts(&rig, actor, attempts_of).await.unwrap_err(),
            replayed.unwrap_err(),
        ] {
            assert_eq!(refusal.code(), "not-found", "{hook} {delivery}");
        }
    };
    nowhere(&stranger, &hook.id, &mine.id).await;
    nowhere(&rig.owner, &hook.id, &others.id).await;
    nowhere(&rig.owner, &hook.id, "delivery").await;
    nowhere(&rig.owner, &hook.id, &rig.unknown()).await;
    nowhere(&rig.owner, "hook", &mine.id).await;

    let no_hook = async |actor: &Actor, id: &str| {
        let asked = wire::ListDeliveriesRequest { id: id.into(), ..wire::ListDeliveriesRequest::default() };
        assert_eq!(list(&rig, actor, asked).await.unwrap_err().code(), "not-found");
        assert_eq!(test(&rig, actor, &rig.key(), id).await.unwrap_err().code(), "not-found");
        let since = Some(to_timestamp(0));
        let replay = wire::ReplayHookRequest { id: id.into(), since };
        let method = "/beem.hooks.v1.Hooks/ReplayHook";
        let replayed = rig.call::<_, wire::ReplayHookResponse>(actor, &rig.key(), method, replay).await;
        assert_eq!(replayed.unwrap_err().code(), "not-found");
    };
    no_hook(&stranger, &hook.id).await;
    no_hook(&rig.owner, "hook").await;
    no_hook(&rig.owner, &rig.unknown()).await;
    assert_eq!(rig.count("replays").await, 0);
    assert_eq!(rig.count("events").await, 1);

    let asked = wire::DeleteHookRequest { id: hook.id.clone() };
    let key = rig.key();
    rig.call::<_, wire::Hook>(&rig.owner, &key, "/beem.hooks.v1.Hooks/DeleteHook", asked).await.unwrap();
    no_hook(&rig.owner, &hook.id).await;
    nowhere(&rig.owner, &hook.id, &mine.id).await;
    let id = hook.id.parse().unwrap();
    store::deliveries::get(rig.db.read(), id, mine.id.parse().unwrap()).await.unwrap();
}
