//! Who may do what with hooks, and what a hook may be.

use super::{EXECUTED, HOOKS, WALLET_CREATED, hook, nowhere, under};
use crate::ledger::books::Purse;
use beem_tests::{Client, Rig, on_both_guarded_shapes, on_both_shapes};
use serde_json::{Value, json};

fn url() -> String {
    nowhere("events")
}

fn new(url: &str, codes: &[&str]) -> Value {
    json!({ "url": url, "eventCodes": codes })
}

async fn roles_open_what_they_say(rig: &Rig) {
    let purse = Purse::new(rig);
    let made = hook(&purse.0, &url(), &["*"]).await;
    let with = async |roles: Value| {
        let creds = purse.0.new_client(&json!({ "roles": roles })).await;
        Client { creds, ..purse.0.clone() }
    };
    let viewer = with(json!(["hook:viewer", "ledger:viewer"])).await;
    for path in ["", "/deliveries"] {
        viewer.get(&under(&made, path)).await.expect(200);
    }
    viewer.post(HOOKS, &new(&url(), &["*"])).await.refused(403, "role-missing");
    for path in ["/rotate", "/test", "/replay"] {
        viewer.post(&under(&made, path), &json!({})).await.refused(403, "role-missing");
    }
    let operator = with(json!(["hook:operator", "ledger:viewer"])).await;
    let refusal =
        operator.post(HOOKS, &new(&url(), &[WALLET_CREATED, EXECUTED])).await.refused(403, "role-missing");
    assert!(refusal["detail"].as_str().unwrap().contains("layer1:role:conversion:operator"), "{refusal}");
    let own = hook(&operator, &url(), &[WALLET_CREATED]).await;
    let widened = operator.patch(&under(&own, ""), &json!({ "eventCodes": [EXECUTED] })).await;
    widened.refused(403, "role-missing");
    operator.patch(&under(&own, ""), &json!({ "eventCodes": ["*"] })).await.expect(200);
    with(json!(["ledger:operator"])).await.get(HOOKS).await.refused(403, "role-missing");
}

async fn secrets_are_shown_once_and_repeats_show_the_same(rig: &Rig) {
    let purse = Purse::new(rig);
    let body = new(&url(), &["*"]);
    let key = beem_tests::forge::unique();
    let first = purse.0.keyed("POST", HOOKS, &body, &key).await.expect(201);
    let again = purse.0.keyed("POST", HOOKS, &body, &key).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(201), first);
    assert!(first["signingSecret"].as_str().unwrap().starts_with("whsec_"));
    assert!(first["signingPublicKey"].as_str().unwrap().starts_with("whpk_"));
    let shown = purse.0.get(&under(&first, "")).await.expect(200);
    assert!(shown.get("signingSecret").is_none(), "{shown}");
    assert_eq!(shown["publicKey"], first["publicKey"]);
    let listed = purse.0.get(HOOKS).await.expect(200);
    assert_eq!(listed["content"], json!([shown]));
    let edited = purse.0.patch(&under(&first, ""), &json!({ "enabled": true })).await.expect(200);
    assert!(edited.get("signingSecret").is_none(), "{edited}");
    let deleted = purse.0.delete(&under(&first, "")).await.expect(200);
    assert_eq!(deleted["enabled"], false);
    purse.0.get(&under(&first, "")).await.refused(404, "not-found");
    assert_eq!(purse.0.get(HOOKS).await.expect(200)["content"], json!([]));
}

async fn wrong_fields_are_named(rig: &Rig) {
    let purse = Purse::new(rig);
    let fields = |problem: &Value| {
        let errors = problem["errors"].as_array().unwrap();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (body, wrong) in [
        (json!({ "url": url(), "eventCodes": [] }), vec!["eventCodes"]),
        (json!({ "url": url(), "eventCodes": ["*", "wallet"] }), vec!["eventCodes[0]", "eventCodes[1]"]),
        (json!({ "url": "http://receiver.example", "eventCodes": ["wallet"] }), vec!["url", "eventCodes[0]"]),
        (json!({ "url": url(), "eventCodes": ["*"], "type": "MAIL" }), vec!["type"]),
    ] {
        let problem = purse.0.post(HOOKS, &body).await.refused(400, "validation-failed");
        assert_eq!(fields(&problem), wrong, "{body}");
    }
    purse
        .0
        .post(HOOKS, &json!({ "url": url(), "eventCodes": ["*"], "events": [] }))
        .await
        .refused(400, "unknown-field");
    let made = hook(&purse.0, &url(), &["*"]).await;
    for (body, field) in [
        (json!({ "eventCodes": [] }), "eventCodes"),
        (json!({ "url": "https://10.0.0.1/" }), "url"),
        (json!({ "url": "" }), "url"),
    ] {
        let problem = purse.0.patch(&under(&made, ""), &body).await.refused(400, "validation-failed");
        assert_eq!(fields(&problem), [field]);
    }
    let rotate = json!({ "retireOldAfter": 604_801 });
    let problem = purse.0.post(&under(&made, "/rotate"), &rotate).await.refused(400, "validation-failed");
    assert_eq!(fields(&problem), ["retireOldAfter"]);
}

/// Of these none is ever called, whoever allows loopback.
const REFUSED: [&str; 12] = [
    "http://receiver.example/",
    "ftp://receiver.example/",
    "https://user:word@receiver.example/",
    "https://10.1.2.3/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[fd00:ec2::254]/",
    "https://[::ffff:192.168.0.1]/",
    "https://0xa9fea9fe/",
    "https://100.64.0.1/",
    "https://168.63.129.16/",
    "not a url",
    "",
];

async fn row_26_no_hook_leads_into_a_private_network(rig: &Rig) {
    let purse = Purse::new(rig);
    for url in REFUSED {
        let answer = purse.0.post(HOOKS, &new(url, &["*"])).await;
        assert_eq!(answer.status, 400, "{url}: {}", answer.text());
    }
}

/// Where nobody has allowed it, this machine is a private network, too. Few requests: the limits are low here.
async fn row_26_this_machine_is_private_by_default(rig: &Rig) {
    let client = rig.as_client(&rig.new_account());
    for url in ["https://localhost/", "https://127.1/", "http://127.0.0.1:8080/", "https://[::1]/"] {
        let answer = client.post(HOOKS, &new(url, &["*"])).await;
        assert_eq!(answer.status, 400, "{url}: {}", answer.text());
    }
}

on_both_shapes!(
    roles_open_what_they_say,
    secrets_are_shown_once_and_repeats_show_the_same,
    wrong_fields_are_named,
    row_26_no_hook_leads_into_a_private_network,
);
on_both_guarded_shapes!(row_26_this_machine_is_private_by_default);
