//! Sessions: who may use one, from where, until when.

use beem_roles::Role;
use beem_tests::caller::both;
use beem_tests::people::{ME, SESSIONS, own_session};
use beem_tests::{Caller, Person, Rig, Session, on_both_peoples_shapes};
use serde_json::{Value, json};

async fn person(rig: &Rig) -> Person {
    let owner = rig.as_client(&rig.new_account());
    rig.join(&owner, &json!({ "roles": [Role::UserViewer.short()] })).await
}

/// At every gateway.
async fn is(rig: &Rig, session: &Session, code: &str) {
    for gateway in &rig.gateways {
        let answer = session.at(gateway).get(ME).await;
        let code_now = if answer.status == 200 { "fine".to_owned() } else { answer.code() };
        assert_eq!(code_now, code, "{}", answer.text());
    }
}

async fn a_session_is_listed_and_ended(rig: &Rig) {
    let person = person(rig).await;
    let (one, two) = (person.sign_in().await, person.sign_in().await);
    let list = one.get(SESSIONS).await.expect(200);
    let all = list["content"].as_array().unwrap();
    assert_eq!(all.len(), 2, "{list}");
    assert_eq!((&all[0]["current"], &all[1]["current"]), (&json!(false), &json!(true)), "newest first");
    for session in all {
        assert_eq!(session["address"], person.visitor.place.as_str());
        assert_eq!(session["userAgent"], "beem-tests");
        assert!(session["createdAt"].is_string() && session["lastUsedAt"].is_string());
        assert!(!list.to_string().contains(&one.token), "no token is shown twice");
    }
    is(rig, &two, "fine").await;
    let id = all[0]["id"].as_str().unwrap();
    let ended = one.delete(&format!("{SESSIONS}/{id}")).await.expect(200);
    assert_eq!(ended["id"], id);
    two.gone("session-invalid").await;
    is(rig, &one, "fine").await;
    assert_eq!(one.get(SESSIONS).await.expect(200)["content"].as_array().unwrap().len(), 1);
    one.delete(&format!("{SESSIONS}/{}", uuid::Uuid::now_v7())).await.refused(404, "not-found");
    let own = own_session(&one).await;
    let ended = one.delete(&format!("{SESSIONS}/current")).await.expect(200);
    assert_eq!(ended["id"], own.as_str());
    one.gone("session-invalid").await;
}

async fn a_token_that_is_not_one_is_nobodys(rig: &Rig) {
    let person = person(rig).await;
    let session = person.sign_in().await;
    let token = &session.token;
    let last = if token.ends_with('A') { "B" } else { "A" };
    let tokens = [
        token[..42].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        format!("{}{last}", &token[..42]),
        token.chars().rev().collect(),
        token.to_uppercase(),
        person.challenge().await,
        beem_tests::forge::unique(),
        "x".repeat(4_000),
        String::new(),
    ];
    let mut first = None;
    for wrong in tokens {
        let answer = rig.visitor().with_token(&wrong).get(ME).await;
        let problem = answer.refused(401, "session-invalid");
        assert_eq!(&problem["detail"], first.get_or_insert_with(|| problem["detail"].clone()), "{wrong}");
    }
    session.get(ME).await.expect(200);
}

async fn a_session_is_sent_one_way(rig: &Rig) {
    let person = person(rig).await;
    let session = person.sign_in().await;
    let wire =
        |value: &str| person.visitor.wire("GET", ME, &Value::Null, None).header("authorization", value);
    for wrong in
        [session.token.clone(), format!("Basic {}", session.token), format!("Token {}", session.token)]
    {
        wire(&wrong).send().await.refused(401, "session-invalid");
    }
    let twice = wire(&format!("Bearer {}", session.token))
        .header("authorization", format!("Bearer {}", session.token));
    let twice = twice.send().await;
    assert!(matches!(twice.status, 400 | 401), "{}", twice.text());
    // RFC 9110 section 11.1: the scheme's case does not matter.
    wire(&format!("bearer {}", session.token)).send().await.expect(200);
    // Not in the query, not in a body.
    let target = format!("{ME}?access_token={}", session.token);
    person.visitor.wire("GET", &target, &Value::Null, None).send().await.refused(401, "signature-missing");
}

async fn a_signature_and_a_session_at_once_are_too_many(rig: &Rig) {
    let person = person(rig).await;
    let session = person.sign_in().await;
    let problem = both(&rig.main, &session, ME).send().await;
    problem.refused(400, "validation-failed");
    let half = session.wire("GET", ME, &Value::Null, None).header("signature-input", "sig=()");
    half.send().await.refused(400, "validation-failed");
    session.get(ME).await.expect(200);
}

async fn a_session_counts_from_its_users_networks_alone(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let person = rig.join(&owner, &json!({ "networkWhitelist": ["10.0.0.0/8", "2001:db8::/32"] })).await;
    let session = person.sign_in().await;
    session.get(ME).await.expect(200);
    session.from("2001:db8::7").get(ME).await.expect(200);
    for outside in ["192.0.2.7", "2001:db9::7", "10.1.1.1, 192.0.2.7"] {
        session.from(outside).get(ME).await.refused(403, "network-not-allowed");
    }
    // To come in from outside is not possible at all, and does not say why.
    let away = person.at(&person.visitor.from("192.0.2.8"));
    away.visitor.post(SESSIONS, &away.credentials()).await.refused(401, "credentials-invalid");
    // Between the two steps, too.
    let challenge = person.challenge().await;
    let outside = away.pass(&challenge, &person.recovery_code()).await;
    assert!(matches!(outside.status, 401 | 403), "{}", outside.text());
    session.get(ME).await.expect(200);
}

async fn what_is_done_to_a_user_is_done_to_its_sessions(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let person = rig.join(&owner, &Value::Null).await;
    let session = person.sign_in().await;
    owner.patch(&person.path(), &json!({ "enabled": false })).await.expect(200);
    beem_tests::eventually("it is refused", || async { (session.get(ME).await.status != 200).then_some(()) })
        .await;
    owner.patch(&person.path(), &json!({ "enabled": true })).await.expect(200);
    // Disabling has ended it: enabling does not bring it back.
    for gateway in &rig.gateways {
        session.at(gateway).gone("session-invalid").await;
    }
    let session = person.sign_in().await;
    is(rig, &session, "fine").await;
    owner.delete(&person.path()).await.expect(200);
    session.gone("session-invalid").await;
    person.visitor.post(SESSIONS, &person.credentials()).await.refused(401, "credentials-invalid");
}

/// A lost second factor: sessions, password and factor go, and everything begins anew by a link.
async fn a_reset_second_factor_begins_anew(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let person = rig.join(&owner, &Value::Null).await;
    let session = person.sign_in().await;
    let reset = owner.post(&format!("{}/second-factor/reset", person.path()), &Value::Null).await.expect(200);
    assert_eq!(reset["status"], "INVITED");
    session.gone("session-invalid").await;
    person.visitor.post(SESSIONS, &person.credentials()).await.refused(401, "credentials-invalid");
    let token = rig.mailbox.token(&person.email, 2).await;
    let anew = Person::activate(&person.visitor, &person.email, &token).await;
    assert_eq!(anew.id, person.id);
    assert_eq!(owner.get(&person.path()).await.expect(200)["status"], "ACTIVE");
}

on_both_peoples_shapes!(
    a_session_is_listed_and_ended,
    a_token_that_is_not_one_is_nobodys,
    a_session_is_sent_one_way,
    a_signature_and_a_session_at_once_are_too_many,
    a_session_counts_from_its_users_networks_alone,
    what_is_done_to_a_user_is_done_to_its_sessions,
    a_reset_second_factor_begins_anew,
);
