//! Whoever is kept out is kept out of everything: each RPC for known callers, asked in sessions that are no good.

use crate::matrix::outside_rows::{World, methods};
use beem_proto::{Access, Method};
use beem_tests::caller::both;
use beem_tests::people::ME;
use beem_tests::{Caller as _, Rig, Session, ask, on_both_peoples_shapes};
use serde_json::{Value, json};

fn for_known_callers() -> Vec<Method> {
    methods().into_iter().filter(|m| m.access != Access::Public).collect()
}

/// Every RPC is refused so, whatever the body.
async fn refused(world: &World<'_>, session: &Session, status: u16, codes: &[&str]) {
    for method in for_known_callers() {
        let (verb, path) = world.place(&method);
        for body in [Value::Null, json!({ "nope": 1 })] {
            let answer = ask(session, verb, &path, &body).await;
            let code = answer.code();
            assert!(codes.contains(&code.as_str()), "{}: {}", method.path, answer.text());
            answer.refused(if code == "session-invalid" { 401 } else { status }, &code);
        }
    }
}

async fn a_session_from_outside_its_network_is_kept_out_of_everything(rig: &Rig) {
    let world = World::new(rig).await;
    let everything: Vec<&str> = beem_roles::Role::ALL.iter().map(|r| r.short()).collect();
    let fields = json!({ "roles": everything, "networkWhitelist": ["10.0.0.0/8"] });
    let session = rig.join(&world.owner, &fields).await.sign_in().await;
    session.get(ME).await.expect(200);
    refused(&world, &session.from("192.0.2.1"), 403, &["network-not-allowed"]).await;
    session.get(ME).await.expect(200);
}

async fn a_session_of_a_disabled_user_is_kept_out_of_everything(rig: &Rig) {
    let world = World::new(rig).await;
    let everything: Vec<&str> = beem_roles::Role::ALL.iter().map(|r| r.short()).collect();
    let spare = rig.join(&world.owner, &json!({ "roles": ["user:operator"] })).await;
    let person = rig.join(&world.owner, &json!({ "roles": everything })).await;
    let session = person.sign_in().await;
    world.owner.patch(&person.path(), &json!({ "enabled": false })).await.expect(200);
    beem_tests::eventually("it is refused", || async { (session.get(ME).await.status != 200).then_some(()) })
        .await;
    refused(&world, &session, 403, &["principal-disabled", "session-invalid"]).await;
    spare.sign_in().await.get(ME).await.expect(200);
}

/// Half signed in is not signed in, and signed in twice is not either.
async fn one_proof_at_a_time_for_everything(rig: &Rig) {
    let world = World::new(rig).await;
    let person = rig.join(&world.owner, &json!({})).await;
    let session = person.sign_in().await;
    for method in for_known_callers() {
        let (verb, path) = world.place(&method);
        let signed = world.owner.wire(verb, &path, &Value::Null, None);
        let twice = signed.header("authorization", format!("Bearer {}", session.token));
        twice.send().await.refused(400, "validation-failed");
    }
    both(&world.owner.creds, &session, ME).send().await.refused(400, "validation-failed");
    session.get(ME).await.expect(200);
}

on_both_peoples_shapes!(
    a_session_from_outside_its_network_is_kept_out_of_everything,
    a_session_of_a_disabled_user_is_kept_out_of_everything,
    one_proof_at_a_time_for_everything,
);
