//! Events to pull: in order, by roles, from where one left off.

use super::{EVENTS, EXECUTED, KEY_ROTATED, WALLET_CREATED};
use crate::ledger::books::{Purse, id};
use beem_signing::KeyKind;
use beem_tests::creds::new_key;
use beem_tests::{Client, Rig, eventually, on_both_shapes};
use serde_json::{Value, json};

/// One page behind a token.
async fn page(client: &Client, after: &str, max: u32) -> (Vec<Value>, String, String) {
    let answer = client.get(&format!("{EVENTS}?max={max}&after={after}")).await.expect(200);
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (answer["content"].as_array().unwrap().clone(), text("nextPageToken"), text("resumeToken"))
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

async fn by_roles_in_order_and_from_where_one_left_off(rig: &Rig) {
    let purse = Purse::new(rig);
    let (empty, next, start) = page(&purse.0, "", 50).await;
    assert_eq!((empty.len(), next.as_str()), (0, ""));
    let (usd, eur) = (purse.filled("USD", "10.00").await, purse.wallet("EUR").await);
    purse.execute(&id(&purse.quote(&usd, &eur, "1.08").await)).await.expect(200);
    let client = purse.0.new_client(&json!({})).await;
    let rotate = format!("/platform/v1/clients/{}/rotate", client.id);
    for _ in 0..2 {
        let key = new_key(KeyKind::Ed25519).public().pem();
        purse.0.post(&rotate, &json!({ "publicKey": key })).await.expect(200);
    }
    let all = eventually("five events", async || {
        let (events, _, _) = page(&purse.0, &start, 50).await;
        (events.len() == 5).then_some(events)
    })
    .await;
    let of = |ty: &str| all.iter().filter(|event| event["event"] == ty).collect::<Vec<_>>();
    assert_eq!(of(WALLET_CREATED).len(), 2);
    assert_eq!(of(EXECUTED)[0]["data"]["status"], "EXECUTED");
    let sequences: Vec<_> = of(KEY_ROTATED).iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, [1, 2]);
    let mut opened = purse.0.get(&format!("/api/v1/wallets/{usd}")).await.expect(200);
    // As it was then, before anything was credited.
    opened["balance"] = json!({ "total": "0.00", "available": "0.00", "reserved": "0.00" });
    assert_eq!(of(WALLET_CREATED)[0]["data"], opened);
    // Page by page, and on behind the last page.
    let (mut after, mut paged) = (String::new(), Vec::new());
    let resume = loop {
        let (events, next, resume) = page(&purse.0, &after, 2).await;
        paged.extend(events);
        if next.is_empty() {
            break resume;
        }
        after = next;
    };
    assert_eq!(paged, all);
    purse.wallet("GBP").await;
    let (more, _, _) = eventually("one more", async || {
        let page = page(&purse.0, &resume, 50).await;
        (!page.0.is_empty()).then_some(page)
    })
    .await;
    assert_eq!(types(&more), [WALLET_CREATED]);
    // Each sees the areas that it may read.
    let seen_by = async |roles: Value| {
        let creds = purse.0.new_client(&json!({ "roles": roles })).await;
        let (events, _, token) = page(&Client { creds, ..purse.0.clone() }, "", 50).await;
        assert!(!token.is_empty());
        events
    };
    assert_eq!(seen_by(json!([])).await, Vec::<Value>::new());
    assert_eq!(types(&seen_by(json!(["ledger:viewer"])).await), [WALLET_CREATED; 3]);
    assert_eq!(types(&seen_by(json!(["conversion:operator"])).await), [EXECUTED]);
    assert_eq!(types(&seen_by(json!(["client:operator"])).await), [KEY_ROTATED; 2]);
    assert_eq!(seen_by(json!(["payment:operator", "hook:operator"])).await, Vec::<Value>::new());
    let stranger = Purse::new(rig);
    assert_eq!(page(&stranger.0, "", 50).await.0, Vec::<Value>::new());
    let foreign = stranger.0.get(&format!("{EVENTS}?after={resume}")).await;
    foreign.refused(400, "validation-failed");
    purse.0.get(&format!("{EVENTS}?after=x")).await.refused(400, "validation-failed");
}

on_both_shapes!(by_roles_in_order_and_from_where_one_left_off);
