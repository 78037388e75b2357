//! What was sent and how it went, as integrators see it.

use super::{EXECUTED, KEY_ROTATED, WALLET_CREATED, deliveries, hook, under};
use crate::ledger::books::{Purse, QUOTES, id};
use beem_receiver::{Answer, Receiver};
use beem_signing::KeyKind;
use beem_tests::creds::new_key;
use beem_tests::{Rig, eventually, on_both_shapes};
use serde_json::{Value, json};

/// Refused once, acknowledged five seconds later; every attempt is there, and a replay is the same event byte for byte.
async fn attempts_are_listed_and_a_delivery_is_replayed(rig: &Rig) {
    let purse = Purse::new(rig);
    let receiver = Receiver::start(Answer::status(204)).await;
    receiver.first([Answer::with(500, &[], "try again")]);
    let made = hook(&purse.0, &receiver.url(), &[WALLET_CREATED]).await;
    purse.wallet("USD").await;
    let received = receiver.wait_for(2).await;
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(received[0].event_id(), received[1].event_id());
    let waited = received[1].at - received[0].at;
    assert!(waited.as_millis() >= 4_000, "not before four fifths of five seconds: {waited:?}");
    let delivery = delivered(&purse, &made, "").await;
    assert_eq!((&delivery["event"], &delivery["attemptCount"]), (&json!(WALLET_CREATED), &json!(2)));
    assert_eq!(delivery["eventId"], received[0].event_id());
    let attempts = delivery["attempts"].as_array().unwrap();
    assert_eq!((&attempts[0]["statusCode"], &attempts[1]["statusCode"]), (&json!(500), &json!(204)));
    assert!(attempts[0]["error"].is_string() && attempts[1].get("error").is_none(), "{delivery}");
    assert!(attempts[0]["durationMs"].is_u64() && attempts[0]["time"].is_string(), "{delivery}");
    let path = under(&made, &format!("/deliveries/{}", id(&delivery)));
    assert_eq!(purse.0.get(&path).await.expect(200), delivery);
    let every = purse.0.get(&format!("{path}/attempts?max=1&order=asc")).await.expect(200);
    assert_eq!(
        (&every["content"][0]["statusCode"], &every["content"][0]["answer"]),
        (&json!(500), &json!("try again"))
    );
    let next = every["nextPageToken"].as_str().unwrap();
    let rest = purse.0.get(&format!("{path}/attempts?max=1&order=asc&pageToken={next}")).await.expect(200);
    assert_eq!((&rest["content"][0]["statusCode"], &rest["nextPageToken"]), (&json!(204), &json!("")));

    let again = purse.0.post(&format!("{path}/replay"), &json!({})).await.expect(200);
    assert_eq!((&again["status"], &again["id"]), (&json!("PENDING"), &delivery["id"]));
    let received = receiver.wait_for(3).await;
    assert_eq!(received[0].body, received[2].body);
    assert_eq!(received[0].event_id(), received[2].event_id());
    assert_eq!(delivered(&purse, &made, "").await["attemptCount"], 3);
}

/// The one delivery of that query, once it has been acknowledged.
async fn delivered(purse: &Purse, made: &Value, query: &str) -> Value {
    eventually("it is delivered", async || {
        let mut listed = deliveries(&purse.0, made, query).await;
        assert!(listed.len() <= 1, "{listed:?}");
        listed.pop().filter(|delivery| delivery["status"] == "DELIVERED")
    })
    .await
}

async fn lists_are_filtered_and_paged(rig: &Rig) {
    let purse = Purse::new(rig);
    let receiver = Receiver::start(Answer::status(200)).await;
    let made = hook(&purse.0, &receiver.url(), &[WALLET_CREATED, EXECUTED]).await;
    let (usd, eur) = (purse.filled("USD", "10.00").await, purse.wallet("EUR").await);
    purse.execute(&id(&purse.quote(&usd, &eur, "1.08").await)).await.expect(200);
    receiver.wait_for(3).await;
    let executed = delivered(&purse, &made, &format!("?event={EXECUTED}")).await;
    assert_eq!(executed["event"], EXECUTED);
    eventually("all are delivered", async || {
        (deliveries(&purse.0, &made, "?status=DELIVERED").await.len() == 3).then_some(())
    })
    .await;
    let all = deliveries(&purse.0, &made, "?order=asc").await;
    assert_eq!(deliveries(&purse.0, &made, "?status=PENDING").await, Vec::<Value>::new());
    assert_eq!(deliveries(&purse.0, &made, &format!("?event={WALLET_CREATED}&order=asc")).await, all[..2]);
    assert_eq!(deliveries(&purse.0, &made, "?offset=1&max=1&order=asc").await, all[1..2]);
    let first = purse.0.get(&under(&made, "/deliveries?max=2&order=asc")).await.expect(200);
    let token = first["nextPageToken"].as_str().unwrap();
    let rest = deliveries(&purse.0, &made, &format!("?max=2&order=asc&pageToken={token}")).await;
    assert_eq!(rest, all[2..]);
    for wrong in ["?status=LOST", "?max=0", "?pageToken=x", "?since=1"] {
        let answer = purse.0.get(&under(&made, &format!("/deliveries{wrong}"))).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
    }
    // Nothing of it is another account's.
    let stranger = Purse::new(rig);
    for path in ["", "/deliveries", &format!("/deliveries/{}", id(&all[0]))] {
        stranger.0.get(&under(&made, path)).await.refused(404, "not-found");
    }
}

/// A client that never calls and a quote that was executed do not change behind their events: all of it is compared.
async fn what_an_event_is_about_is_whole_as_its_get_answers_it(rig: &Rig) {
    let purse = Purse::new(rig);
    let receiver = Receiver::start(Answer::status(204)).await;
    hook(&purse.0, &receiver.url(), &[KEY_ROTATED, EXECUTED]).await;
    let client = format!("/platform/v1/clients/{}", purse.0.new_client(&json!({})).await.id);
    let new = json!({ "publicKey": new_key(KeyKind::Ed25519).public().pem(), "retireOldAfter": 3600 });
    let rotated = purse.0.post(&format!("{client}/rotate"), &new).await.expect(200);
    let event = receiver.wait_for(1).await.remove(0).json();
    assert_eq!((&event["event"], &event["source"]), (&json!(KEY_ROTATED), &json!("identity")));
    assert_eq!(event["data"], purse.0.get(&client).await.expect(200));
    assert_eq!(event["data"], rotated);

    let (usd, eur) = (purse.filled("USD", "10.00").await, purse.wallet("EUR").await);
    let quote = id(&purse.quote(&usd, &eur, "1.08").await);
    let executed = purse.execute(&quote).await.expect(200);
    let event = receiver.wait_for(2).await.remove(1).json();
    assert_eq!((&event["event"], &event["source"]), (&json!(EXECUTED), &json!("ledger")));
    assert_eq!(event["data"], purse.0.get(&format!("{QUOTES}/{quote}")).await.expect(200));
    assert_eq!(event["data"], executed);
}

on_both_shapes!(
    attempts_are_listed_and_a_delivery_is_replayed,
    lists_are_filtered_and_paged,
    what_an_event_is_about_is_whole_as_its_get_answers_it,
);
