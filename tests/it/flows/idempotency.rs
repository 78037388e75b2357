//! `Idempotency-Key`: a repeat gives the first answer, and nothing happens twice.

use beem_signing::KeyKind;
use beem_tests::forge::unique;
use beem_tests::{Answer, Client, Rig, on_both_shapes};
use serde_json::{Value, json};

const CLIENTS: &str = "/platform/v1/clients";

fn new_client(name: &str) -> Value {
    json!({ "name": name, "publicKey": beem_tests::creds::new_key(KeyKind::Ed25519).public().pem() })
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

async fn named(client: &Client, name: &str) -> usize {
    let list = client.get(&format!("{CLIENTS}?max=500")).await.expect(200);
    list["content"].as_array().unwrap().iter().filter(|c| c["name"] == name).count()
}

async fn a_repeat_gives_the_first_answer(rig: &Rig) {
    let (client, key, name) = (rig.client(), unique(), unique());
    let body = new_client(&name);
    let first = client.keyed("POST", CLIENTS, &body, &key).await;
    let made = first.expect(201);
    assert!(!replayed(&first));
    for again in rig.everywhere(&rig.main) {
        let answer = again.keyed("POST", CLIENTS, &body, &key).await;
        assert_eq!(answer.expect(201), made);
        assert!(replayed(&answer), "{:?}", answer.headers);
        assert_ne!(answer.header("x-request-id"), first.header("x-request-id"));
    }
    // The order of a body's fields and its spaces do not make it another request: the decoded message counts.
    let spaced = format!("{{ \"publicKey\" : {} , \"name\" : {} }}", body["publicKey"], body["name"]);
    let forge = client.forge("POST", CLIENTS).json(&body).keyed(&key).with(|f| f.wire.body = spaced.into());
    assert!(replayed(&forge.sign().send().await));
    assert_eq!(named(&client, &name).await, 1);
}

async fn another_request_under_the_key_is_refused(rig: &Rig) {
    let (client, key, name) = (rig.client(), unique(), unique());
    client.keyed("POST", CLIENTS, &new_client(&name), &key).await.expect(201);
    client.keyed("POST", CLIENTS, &new_client(&name), &key).await.refused(422, "idempotency-key-reused");
    // Another RPC, another caller: another key.
    let creds = rig.new_client(&[beem_roles::Role::ClientOperator]).await;
    client
        .keyed("PATCH", &format!("{CLIENTS}/{}", creds.id), &json!({ "name": "x" }), &key)
        .await
        .expect(200);
    rig.as_client(&creds).keyed("POST", CLIENTS, &new_client("y"), &key).await.expect(201);
    // The path is part of the request.
    let other = rig.new_client(&[]).await;
    let answer =
        client.keyed("PATCH", &format!("{CLIENTS}/{}", other.id), &json!({ "name": "x" }), &key).await;
    answer.refused(422, "idempotency-key-reused");
    assert_eq!(named(&client, &name).await, 1);
}

async fn many_at_once_are_one(rig: &Rig) {
    let (key, name) = (unique(), unique());
    let body = new_client(&name);
    let clients: Vec<Client> = (0..6).flat_map(|_| rig.everywhere(&rig.main)).collect();
    let answers =
        futures::future::join_all(clients.iter().map(|c| c.keyed("POST", CLIENTS, &body, &key))).await;
    let first = answers[0].expect(201);
    assert!(
        answers.iter().all(|a| a.status == 201 && a.json() == first),
        "{:?}",
        answers.iter().map(Answer::text).collect::<Vec<_>>()
    );
    assert_eq!(
        answers.iter().filter(|a| !replayed(a)).count(),
        1,
        "one is the first, the others say that they are not"
    );
    assert_eq!(named(&rig.client(), &name).await, 1);
}

/// Failures row 4, from outside: two first uses of one key at the same time, of different requests.
async fn two_different_requests_under_one_key_at_once(rig: &Rig) {
    let (key, name) = (unique(), unique());
    let bodies: Vec<Value> = (0..6).map(|_| new_client(&name)).collect();
    let client = rig.client();
    let answers =
        futures::future::join_all(bodies.iter().map(|body| client.keyed("POST", CLIENTS, body, &key))).await;
    let made = answers.iter().filter(|a| a.status == 201).count();
    assert_eq!(made, 1);
    assert!(answers.iter().filter(|a| a.status != 201).all(|a| a.code() == "idempotency-key-reused"));
    assert_eq!(named(&client, &name).await, 1);
}

/// A business refusal is remembered like a success; one for the body's shape may be corrected.
async fn refusals_are_remembered(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let operator = owner.new_client(&json!({ "roles": ["client:operator"] })).await;
    let operator = Client { creds: operator, ..owner.clone() };
    let (key, mut body) = (unique(), new_client("x"));
    body["roles"] = json!(["hook:viewer"]);
    let first = operator.keyed("POST", CLIENTS, &body, &key).await;
    first.refused(403, "role-not-held");
    owner.patch("/platform/v1/account", &json!({ "roleGrantPolicy": "any" })).await.expect(200);
    let again = operator.keyed("POST", CLIENTS, &body, &key).await;
    again.refused(403, "role-not-held");
    assert!(replayed(&again), "{:?}", again.headers);
    operator.keyed("POST", CLIENTS, &body, &unique()).await.expect(201);
}

async fn a_repeat_after_the_roles_went_is_refused(rig: &Rig) {
    let creds = rig.new_client(&[beem_roles::Role::ClientOperator]).await;
    let (client, key, body) = (rig.as_client(&creds), unique(), new_client("x"));
    client.keyed("POST", CLIENTS, &body, &key).await.expect(201);
    rig.client().patch(&format!("{CLIENTS}/{}", creds.id), &json!({ "roles": [] })).await.expect(200);
    // CreateClient is judged afresh: no cache stands between.
    client.keyed("POST", CLIENTS, &body, &key).await.refused(403, "role-missing");
}

async fn a_read_takes_the_key_and_forgets_it(rig: &Rig) {
    let (client, key) = (rig.client(), unique());
    for _ in 0..2 {
        let answer = client.keyed("GET", "/platform/v1/me", &Value::Null, &key).await;
        answer.expect(200);
        assert!(!replayed(&answer));
    }
    client.keyed("GET", "/platform/v1/account", &Value::Null, &key).await.expect(200);
}

on_both_shapes!(
    a_repeat_gives_the_first_answer,
    another_request_under_the_key_is_refused,
    many_at_once_are_one,
    two_different_requests_under_one_key_at_once,
    refusals_are_remembered,
    a_repeat_after_the_roles_went_is_refused,
    a_read_takes_the_key_and_forgets_it,
);
