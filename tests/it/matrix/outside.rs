//! Every RPC from outside, over HTTP.

use super::outside_rows::{World, methods, row};
use beem_proto::{Access, Body, Method};
use beem_roles::Role;
use beem_tests::forge::unique;
use beem_tests::people::{SESSIONS, own_session};
use beem_tests::{Caller, Rig, Session, Wire, ask, on_both_shapes};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

#[test]
fn every_rpc_with_an_http_rule_has_a_row() {
    for method in methods() {
        let _ = row(&method);
    }
    assert_eq!(super::outside_rows::ROWS.len(), methods().len(), "a row of an RPC that is not there");
}

/// Someone who may call the method as such; what it is called with is still to be seen.
struct Callers {
    client: Box<dyn Caller>,
    session: Box<dyn Caller>,
    visitor: Box<dyn Caller>,
}

impl Callers {
    async fn new(world: &World<'_>) -> Self {
        Self {
            client: Box::new(world.owner.clone()),
            session: Box::new(world.person(&[]).await.sign_in().await),
            visitor: Box::new(world.visitor()),
        }
    }

    fn of(&self, method: &Method) -> &dyn Caller {
        if method.access == Access::Public {
            return &*self.visitor;
        }
        if method.session { &*self.session } else { &*self.client }
    }
}

async fn a_valid_request_succeeds(rig: &Rig) {
    let mut world = World::new(rig).await;
    for method in methods() {
        let answer = world.valid(&method).await.wire(None).send().await;
        assert_eq!(answer.status, method.success_status(), "{}: {}", method.path, answer.text());
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

/// Guessed, cut short, of another kind: nobody, for every method.
async fn a_bearer_that_is_no_session_is_401(rig: &Rig) {
    let world = World::new(rig).await;
    let person = world.person(&[]).await;
    let (session, challenge) = (person.sign_in().await, person.challenge().await);
    let short: String = session.token.chars().take(42).collect();
    let guess = session.token.chars().rev().collect::<String>();
    for method in methods().iter().filter(|m| m.access != Access::Public) {
        let (verb, path) = world.place(method);
        for token in [&challenge, &short, &guess, ""] {
            let somebody = world.visitor().with_token(token);
            ask(&somebody, verb, &path, &Value::Null).await.refused(401, "session-invalid");
        }
    }
}

/// All roles but those named: 403 that names the ones that would do, before the body is judged.
async fn a_wrong_role_is_403(rig: &Rig) {
    let world = World::new(rig).await;
    let nobody = world.person(&[]).await.sign_in().await;
    for method in &methods() {
        let Access::AnyOf(any_of) = &method.access else { continue };
        let others: Vec<Role> = Role::ALL.into_iter().filter(|r| !any_of.has(*r)).collect();
        let wrong = world.with_roles(&others).await;
        let (verb, path) = world.place(method);
        let callers: [&dyn Caller; 2] = [&wrong, &nobody];
        for caller in callers {
            for body in [world.body(method), json!({ "nope": 1 })] {
                let problem = ask(caller, verb, &path, &body).await.refused(403, "role-missing");
                for role in any_of.full_names() {
                    assert!(
                        problem["detail"].as_str().unwrap().contains(&role),
                        "{}: {problem}",
                        method.path
                    );
                }
            }
        }
    }
}

/// What is for people is for no client, whatever its roles.
async fn a_client_where_a_person_is_asked_for_is_403(rig: &Rig) {
    let world = World::new(rig).await;
    let mut asked = 0;
    for method in methods().iter().filter(|m| m.session) {
        let (verb, path) = world.place(method);
        for body in [json!({}), json!({ "nope": 1 })] {
            ask(&world.owner, verb, &path, &body).await.refused(403, "session-required");
        }
        asked += 1;
    }
    assert_eq!(asked, 6);
}

/// Any one of the roles named allows, a client and a person alike; a caller that has only signed in may what is for all
/// who have.
async fn each_single_role_allows(rig: &Rig) {
    let mut world = World::new(rig).await;
    let mut sessions: BTreeMap<Role, Session> = BTreeMap::new();
    for method in methods() {
        let Access::AnyOf(any_of) = &method.access else { continue };
        for role in any_of.iter().collect::<Vec<_>>() {
            if let Entry::Vacant(none) = sessions.entry(role) {
                none.insert(world.person(&[role]).await.sign_in().await);
            }
        }
    }
    let nobody = world.with_roles(&[]).await;
    let anybody = world.person(&[]).await.sign_in().await;
    for method in &methods() {
        match &method.access {
            Access::AnyOf(any_of) => {
                for role in any_of.iter() {
                    let client = world.with_roles(&[role]).await;
                    let holders: [&dyn Caller; 2] = [&client, &sessions[&role]];
                    for holder in holders {
                        let (verb, path) = world.place(method);
                        let answer = ask(holder, verb, &path, &world.body(method)).await;
                        let status = answer.status;
                        assert_eq!(
                            status,
                            method.success_status(),
                            "{} as {role}: {}",
                            method.path,
                            answer.text()
                        );
                        world.renew().await;
                    }
                }
            }
            Access::SignedIn if method.session => {}
            Access::SignedIn => {
                let (verb, path) = world.place(method);
                let callers: [&dyn Caller; 2] = [&nobody, &anybody];
                for caller in callers {
                    let answer = ask(caller, verb, &path, &world.body(method)).await;
                    if row(method).without_roles {
                        assert_eq!(
                            answer.status,
                            method.success_status(),
                            "{}: {}",
                            method.path,
                            answer.text()
                        );
                    } else {
                        answer.refused(403, "role-missing");
                    }
                }
            }
            Access::Public => {}
            Access::Internal(_) => panic!("{}: teach this test what it is", method.path),
        }
    }
}

/// As if it were not there: with all roles, in an account of one's own.
async fn another_accounts_object_is_404(rig: &Rig) {
    let world = World::new(rig).await;
    let [one, other] = [world.person(&[]).await.sign_in().await, world.person(&[]).await.sign_in().await];
    let mut asked = 0;
    // Some name it in their path, some in their body.
    let names = |m: &Method| {
        m.http[0].template.contains('{') || ["CreateQuote", "CreateCredit"].contains(&m.name.as_str())
    };
    for method in methods().iter().filter(|m| names(m) && !m.session) {
        let (verb, path) = world.place(method);
        ask(&world.stranger, verb, &path, &world.body(method)).await.refused(404, "not-found");
        asked += 1;
    }
    assert!(asked >= 16);
    // A session is its user's alone, in the same account too.
    let theirs = own_session(&other).await;
    one.delete(&format!("{SESSIONS}/{theirs}")).await.refused(404, "not-found");
    other.get(SESSIONS).await.expect(200);
    for (rpc, name) in [("GetClient", "name"), ("GetUser", "firstName")] {
        let (_, path) = world.place(methods().iter().find(|m| m.name == rpc).unwrap());
        let after = world.owner.get(&path).await.expect(200);
        let wanted = if rpc == "GetClient" { "made by a test" } else { "Ada" };
        assert_eq!((&after["enabled"], &after[name]), (&json!(true), &json!(wanted)));
    }
}

async fn an_oversize_body_is_413(rig: &Rig) {
    let world = World::new(rig).await;
    let callers = Callers::new(&world).await;
    for method in &methods() {
        let (verb, path) = world.place(method);
        let wire = || callers.of(method).wire(verb, &path, &Value::Null, None);
        let declared = wire().header("content-length", (1024 * 1024 + 1).to_string());
        declared.send().await.refused(413, "body-too-large");
        let chunk = "x".repeat(64 * 1024);
        let chunks = format!("{:x}\r\n{chunk}\r\n", chunk.len()).repeat(17);
        let chunked = wire().header("transfer-encoding", "chunked").with_body(chunks);
        chunked.send().await.refused(413, "body-too-large");
    }
}

async fn an_unknown_field_is_400(rig: &Rig) {
    let world = World::new(rig).await;
    let callers = Callers::new(&world).await;
    for method in &methods() {
        let (verb, path) = world.place(method);
        let mut body = world.body(method);
        if method.http[0].body == Body::None {
            body = Value::Null;
            let target = format!("{path}?noSuchThing=1");
            let problem = ask(callers.of(method), verb, &target, &body).await.refused(400, "unknown-field");
            assert_eq!(problem["errors"][0]["field"], "noSuchThing", "{}", method.path);
        }
        let mut fields = body.as_object().cloned().unwrap_or_default();
        fields.insert("noSuchThing".into(), json!({ "deep": [1] }));
        let answer = ask(callers.of(method), verb, &path, &Value::Object(fields)).await;
        let problem = answer.refused(400, "unknown-field");
        assert_eq!(problem["errors"][0]["field"], "noSuchThing", "{}", method.path);
    }
}

/// The same key and request gives the first answer again, secrets included; and another request under it is refused.
async fn a_repeated_request_key_gives_the_first_answer(rig: &Rig) {
    let mut world = World::new(rig).await;
    for method in methods().iter().filter(|m| m.is_write() && m.access != Access::Public) {
        let (valid, key) = (world.valid(method).await, unique());
        let first = valid.wire(Some(&key)).send().await;
        assert_eq!(first.status, method.success_status(), "{}: {}", method.path, first.text());
        assert_eq!(first.header("idempotent-replayed"), None, "{}", method.path);
        let again = valid.wire(Some(&key)).send().await;
        if method.name == "EndCurrentSession" && again.status == 401 {
            // The gateway has heard of it already: nobody is left to ask twice.
            again.refused(401, "session-invalid");
            continue;
        }
        assert_eq!((again.status, again.json()), (first.status, first.json()), "{}", method.path);
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{}", method.path);
        if !valid.other_body.is_null() {
            valid.other_wire(&key).send().await.refused(422, "idempotency-key-reused");
        }
        world.renew().await;
        if method.http[0].template.contains('{') && !method.session {
            let (verb, path) = world.place(method);
            let elsewhere = valid.caller.wire(verb, &path, &valid.body, Some(&key)).send().await;
            elsewhere.refused(422, "idempotency-key-reused");
        }
    }
}

/// Nobody is known who could have a key: each attempt stands for itself.
async fn a_request_key_of_a_visitor_is_ignored(rig: &Rig) {
    let world = World::new(rig).await;
    for method in methods().iter().filter(|m| m.access == Access::Public) {
        let (valid, key) = (world.valid(method).await, unique());
        let first = valid.wire(Some(&key)).send().await;
        assert_eq!(first.status, 200, "{}: {}", method.path, first.text());
        let again = valid.wire(Some(&key)).send().await;
        assert_eq!(again.header("idempotent-replayed"), None, "{}", method.path);
        if method.name.starts_with("Confirm") || method.name == "PassSecondFactor" {
            again.refused(401, "credentials-invalid");
        }
    }
}

on_both_shapes!(
    a_valid_request_succeeds,
    no_caller_is_401,
    a_bearer_that_is_no_session_is_401,
    a_wrong_role_is_403,
    a_client_where_a_person_is_asked_for_is_403,
    each_single_role_allows,
    another_accounts_object_is_404,
    an_oversize_body_is_413,
    an_unknown_field_is_400,
    a_repeated_request_key_gives_the_first_answer,
    a_request_key_of_a_visitor_is_ignored,
);
