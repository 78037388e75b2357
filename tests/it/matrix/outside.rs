//! Every RPC from outside, over HTTP.

use super::outside_rows::{World, methods, row};
use beem_proto::{Access, Body, Method};
use beem_roles::Role;
use beem_tests::forge::unique;
use beem_tests::{Answer, Client, Forge, Rig, Wire, on_both_shapes};
use serde_json::{Value, json};

#[test]
fn every_rpc_with_an_http_rule_has_a_row() {
    for method in methods() {
        let _ = row(&method);
    }
    assert_eq!(super::outside_rows::ROWS.len(), methods().len(), "a row of an RPC that is not there");
}

fn request(client: &Client, world: &World, method: &Method, body: &Value) -> Forge {
    let (verb, path) = world.place(method);
    let forge = client.forge(verb, &path);
    if body.is_null() { forge } else { forge.json(body) }
}

async fn send(client: &Client, world: &World, method: &Method, body: &Value) -> Answer {
    request(client, world, method, body).sign().send().await
}

fn status(method: &Method) -> u16 {
    if method.name.starts_with("Create") { 201 } else { 200 }
}

async fn a_valid_request_succeeds(rig: &Rig) {
    let mut world = World::new(rig).await;
    for method in methods() {
        let answer = send(&world.owner, &world, &method, &(row(&method).body)()).await;
        assert_eq!(answer.status, status(&method), "{}: {}", method.path, answer.text());
        world.renew().await;
    }
}

async fn no_caller_is_401(rig: &Rig) {
    let world = World::new(rig).await;
    for method in methods().iter().filter(|m| m.access != Access::Public) {
        let (verb, path) = world.place(method);
        for body in ["", "{\"nope\":"] {
            let wire =
                Wire::new(rig.gateways[0].address, verb, &path).header("content-type", "application/json");
            wire.with_body(body).send().await.refused(401, "signature-missing");
        }
    }
}

/// All roles but those named: 403 that names the ones that would do, before the body is judged.
async fn a_wrong_role_is_403(rig: &Rig) {
    let world = World::new(rig).await;
    for method in &methods() {
        let Access::AnyOf(any_of) = &method.access else { continue };
        let others: Vec<Role> = Role::ALL.into_iter().filter(|r| !any_of.has(*r)).collect();
        let wrong = world.with_roles(&others).await;
        for body in [(row(method).body)(), json!({ "nope": 1 })] {
            let problem = send(&wrong, &world, method, &body).await.refused(403, "role-missing");
            for role in any_of.full_names() {
                assert!(problem["detail"].as_str().unwrap().contains(&role), "{}: {problem}", method.path);
            }
        }
    }
}

/// Any one of the roles named allows; a caller that has only signed in may what is for all who have.
async fn each_single_role_allows(rig: &Rig) {
    let mut world = World::new(rig).await;
    let nobody = world.with_roles(&[]).await;
    for method in &methods() {
        match &method.access {
            Access::AnyOf(any_of) => {
                for role in any_of.iter() {
                    let holder = world.with_roles(&[role]).await;
                    let answer = send(&holder, &world, method, &(row(method).body)()).await;
                    assert_eq!(answer.status, status(method), "{} as {role}: {}", method.path, answer.text());
                    world.renew().await;
                }
            }
            Access::SignedIn if row(method).without_roles => {
                let answer = send(&nobody, &world, method, &(row(method).body)()).await;
                assert_eq!(answer.status, status(method), "{}: {}", method.path, answer.text());
            }
            Access::SignedIn => {
                send(&nobody, &world, method, &(row(method).body)()).await.refused(403, "role-missing");
            }
            Access::Public | Access::Internal(_) => panic!("{}: teach this test what it is", method.path),
        }
    }
}

/// As if it were not there: with all roles, in an account of one's own.
async fn another_accounts_object_is_404(rig: &Rig) {
    let world = World::new(rig).await;
    let mut asked = 0;
    for method in methods().iter().filter(|m| m.http[0].template.contains('{')) {
        send(&world.stranger, &world, method, &(row(method).body)()).await.refused(404, "not-found");
        asked += 1;
    }
    assert!(asked >= 4);
    let (_, path) = world.place(methods().iter().find(|m| m.name == "GetClient").unwrap());
    let after = world.owner.get(&path).await.expect(200);
    assert_eq!((&after["enabled"], &after["name"]), (&json!(true), &json!("made by a test")));
}

async fn an_oversize_body_is_413(rig: &Rig) {
    let world = World::new(rig).await;
    for method in &methods() {
        let forge = request(&world.owner, &world, method, &Value::Null);
        let declared = forge.clone().sign().header("content-length", (1024 * 1024 + 1).to_string());
        declared.send().await.refused(413, "body-too-large");
        let chunk = "x".repeat(64 * 1024);
        let chunks = format!("{:x}\r\n{chunk}\r\n", chunk.len()).repeat(17);
        let chunked = forge.sign().header("transfer-encoding", "chunked").with_body(chunks);
        chunked.send().await.refused(413, "body-too-large");
    }
}

async fn an_unknown_field_is_400(rig: &Rig) {
    let world = World::new(rig).await;
    for method in &methods() {
        let mut body = (row(method).body)();
        if method.http[0].body == Body::None {
            body = Value::Null;
            let (verb, path) = world.place(method);
            let wire = world.owner.forge(verb, &format!("{path}?noSuchThing=1")).sign();
            let problem = wire.send().await.refused(400, "unknown-field");
            assert_eq!(problem["errors"][0]["field"], "noSuchThing", "{}", method.path);
        }
        let mut fields = body.as_object().cloned().unwrap_or_default();
        fields.insert("noSuchThing".into(), json!({ "deep": [1] }));
        let answer = send(&world.owner, &world, method, &Value::Object(fields)).await;
        let problem = answer.refused(400, "unknown-field");
        assert_eq!(problem["errors"][0]["field"], "noSuchThing", "{}", method.path);
    }
}

/// The same key and request gives the first answer again; under another caller's key nothing is found; and another request
/// under it is refused.
async fn a_repeated_request_key_gives_the_first_answer(rig: &Rig) {
    let mut world = World::new(rig).await;
    for method in methods().iter().filter(|m| m.is_write()) {
        let (row, key) = (row(method), unique());
        let body = (row.body)();
        let keyed = |body: &Value| request(&world.owner, &world, method, body).keyed(&key).sign();
        let first = keyed(&body).send().await;
        assert_eq!(first.status, status(method), "{}: {}", method.path, first.text());
        assert_eq!(first.header("idempotent-replayed"), None, "{}", method.path);
        let again = keyed(&body).send().await;
        assert_eq!((again.status, again.json()), (first.status, first.json()), "{}", method.path);
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{}", method.path);
        let other = (row.other_body)();
        if !other.is_null() {
            keyed(&other).send().await.refused(422, "idempotency-key-reused");
        }
        world.renew().await;
        let elsewhere = request(&world.owner, &world, method, &body).keyed(&key).sign().send().await;
        if method.http[0].template.contains('{') {
            elsewhere.refused(422, "idempotency-key-reused");
        }
    }
}

on_both_shapes!(
    a_valid_request_succeeds,
    no_caller_is_401,
    a_wrong_role_is_403,
    each_single_role_allows,
    another_accounts_object_is_404,
    an_oversize_body_is_413,
    an_unknown_field_is_400,
    a_repeated_request_key_gives_the_first_answer,
);
