//! After an outage: what a hook missed is sent again since a time, and a receiver that was gone is left alone.

use super::{WALLET_CREATED, deliveries, hook, under};
use crate::ledger::books::Purse;
use beem_receiver::{Answer, Receiver};
use beem_tests::{Rig, eventually, on_both_shapes};
use serde_json::json;
use std::collections::BTreeSet;

async fn what_was_missed_is_sent_since_a_time(rig: &Rig) {
    let purse = Purse::new(rig);
    let receiver = Receiver::start(Answer::status(200)).await;
    let before = purse.wallet("USD").await;
    let made = hook(&purse.0, &receiver.url(), &[WALLET_CREATED]).await;
    let seen = purse.wallet("USD").await;
    receiver.wait_for(1).await;
    let disabled = purse.0.patch(&under(&made, ""), &json!({ "enabled": false })).await.expect(200);
    assert_eq!((&disabled["enabled"], &disabled["disabledReason"]), (&json!(false), &json!("OPERATOR")));
    for refused in ["/test", "/replay"] {
        let body = if refused == "/test" { json!({}) } else { json!({ "since": made["dateCreated"] }) };
        purse.0.post(&under(&made, refused), &body).await.refused(422, "hook-disabled");
    }
    let missed = [purse.wallet("USD").await, purse.wallet("EUR").await];
    // Only when these have been taken in it is sure that nothing was sent because nothing was to be.
    eventually("they are events", async || {
        let events = purse.0.get("/platform/v1/events?max=500").await.expect(200);
        let known: Vec<_> =
            events["content"].as_array().unwrap().iter().map(|e| e["data"]["id"].clone()).collect();
        missed.iter().all(|wallet| known.contains(&json!(wallet))).then_some(())
    })
    .await;
    assert_eq!(deliveries(&purse.0, &made, "").await.len(), 1);
    purse.0.patch(&under(&made, ""), &json!({ "enabled": true })).await.expect(200);
    let replay =
        purse.0.post(&under(&made, "/replay"), &json!({ "since": "2020-01-01T00:00:00Z" })).await.expect(200);
    assert_eq!(replay["since"], "2020-01-01T00:00:00Z");
    let received = receiver.wait_for(4).await;
    let wallets: Vec<_> =
        received.iter().map(|event| event.json()["data"]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(wallets[0], seen);
    let rest: BTreeSet<_> = wallets[1..].iter().cloned().collect();
    assert_eq!(
        rest,
        BTreeSet::from([before, missed[0].clone(), missed[1].clone()]),
        "what was seen stays away"
    );
    eventually("all are delivered", async || {
        (deliveries(&purse.0, &made, "?status=DELIVERED").await.len() == 4).then_some(())
    })
    .await;
    assert_eq!(receiver.received().len(), 4);
    purse
        .0
        .post(&under(&made, "/replay"), &json!({ "since": "2999-01-01T00:00:00Z" }))
        .await
        .refused(400, "validation-failed");
    purse.0.post(&under(&made, "/replay"), &json!({})).await.refused(400, "validation-failed");
}

async fn a_receiver_that_is_gone_is_left_alone(rig: &Rig) {
    let purse = Purse::new(rig);
    let receiver = Receiver::start(Answer::status(410)).await;
    let made = hook(&purse.0, &receiver.url(), &["*"]).await;
    purse.wallet("USD").await;
    receiver.wait_for(1).await;
    let gone = eventually("it is disabled", async || {
        let now = purse.0.get(&under(&made, "")).await.expect(200);
        (now["enabled"] == false).then_some(now)
    })
    .await;
    assert_eq!(gone["disabledReason"], "GONE");
    eventually("its delivery has failed", async || {
        let listed = deliveries(&purse.0, &made, "").await;
        (listed[0]["status"] == "FAILED").then_some(())
    })
    .await;
    // A person with the role hears of it by mail; this account has its Owner, who has not activated, and nobody else.
    receiver.answers(Answer::status(200));
    purse.0.patch(&under(&made, ""), &json!({ "enabled": true })).await.expect(200);
    purse.wallet("EUR").await;
    receiver.wait_for(2).await;
}

on_both_shapes!(what_was_missed_is_sent_since_a_time, a_receiver_that_is_gone_is_left_alone);

/// Operators of an account hear of a hook that was disabled.
mod mails {
    use super::{hook, under};
    use beem_receiver::{Answer, Receiver};
    use beem_tests::people::new_user;
    use beem_tests::{Rig, eventually, on_both_peoples_shapes};
    use serde_json::json;

    async fn operators_are_told_by_mail(rig: &Rig) {
        let owner = rig.as_client(&rig.new_account());
        let operator = rig.join(&owner, &json!({ "roles": ["hook:operator"] })).await;
        let viewer = rig.join(&owner, &json!({ "roles": ["hook:viewer"] })).await;
        let invited = owner
            .post("/platform/v1/users", &new_user(&json!({ "roles": ["hook:operator"] })))
            .await
            .expect(201);
        let receiver = Receiver::start(Answer::status(410)).await;
        let made = hook(&owner, &format!("{}?token=hidden", receiver.url()), &["*"]).await;
        owner.post(&under(&made, "/test"), &json!({})).await.expect(200);
        let told = |address: &str| {
            rig.mailbox
                .to(address)
                .into_iter()
                .find(|letter| letter.header("subject") == "A hook was disabled")
        };
        let letter = eventually("the operator is told", async || told(&operator.email)).await;
        assert!(letter.text.contains("/events") && !letter.text.contains("hidden"), "{}", letter.text);
        assert!(told(&viewer.email).is_none() && told(invited["email"].as_str().unwrap()).is_none());
    }

    on_both_peoples_shapes!(operators_are_told_by_mail);
}
