//! What has had its time: sessions, challenges, links. Time is long here, so it is moved behind the installation's back.

use beem_tests::forge::now_s;
use beem_tests::people::{ACTIVATIONS, CONFIRM_RESET, ME, RESETS, SESSIONS, USERS, new_password, new_user};
use beem_tests::{Person, Rig, on_both_peoples_shapes};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

const MINUTE_MS: i64 = 60_000;

async fn person(rig: &Rig) -> Person {
    let owner = rig.as_client(&rig.new_account());
    rig.join(&owner, &Value::Null).await
}

/// Sets columns of the rows of that address.
async fn set(rig: &Rig, table: &str, columns: &str, email: &str) {
    let whose = format!("user_id = (SELECT id FROM users WHERE email = '{email}' AND deleted_ms IS NULL)");
    let changed = rig.execute("identity", &format!("UPDATE {table} SET {columns} WHERE {whose}")).await;
    assert!(changed > 0, "{table} of {email}");
}

async fn a_session_ends_whatever_is_done_with_it(rig: &Rig) {
    let person = person(rig).await;
    let session = person.sign_in().await;
    let end_ms = (now_s() + 3) * 1_000;
    set(rig, "sessions", &format!("expires_ms = {end_ms}"), &person.email).await;
    // Used all the time, at every gateway.
    loop {
        let began_ms = now_s() * 1_000;
        for gateway in &rig.gateways {
            let answer = session.at(gateway).get(ME).await;
            if answer.status == 200 {
                assert!(began_ms <= end_ms, "let in after its end");
            } else {
                answer.refused(401, "session-invalid");
                assert!((now_s() + 1) * 1_000 >= end_ms, "refused before its end");
            }
        }
        if began_ms > end_ms + 1_000 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert!(person.sign_in().await.get(SESSIONS).await.expect(200)["content"].as_array().unwrap().len() == 1);
}

async fn a_session_nobody_used_for_long_is_over(rig: &Rig) {
    let person = person(rig).await;
    let (idle, fresh) = (person.sign_in().await, person.sign_in().await);
    let long_ago = now_s() * 1_000 - 31 * MINUTE_MS;
    // Both; the second one has been used since.
    fresh.get(ME).await.expect(200);
    set(rig, "sessions", &format!("used_ms = {long_ago}, created_ms = {long_ago}"), &person.email).await;
    for gateway in &rig.gateways {
        idle.at(gateway).get(ME).await.refused(401, "session-invalid");
    }
    // 29 minutes are not too long.
    let another = self::person(rig).await;
    let session = another.sign_in().await;
    let a_while_ago = now_s() * 1_000 - 29 * MINUTE_MS;
    set(rig, "sessions", &format!("used_ms = {a_while_ago}, created_ms = {a_while_ago}"), &another.email)
        .await;
    for gateway in &rig.gateways {
        session.at(gateway).get(ME).await.expect(200);
    }
}

async fn a_challenge_is_soon_over(rig: &Rig) {
    let person = person(rig).await;
    let challenge = person.challenge().await;
    set(rig, "challenges", &format!("expires_ms = {}", now_s() * 1_000 - 1), &person.email).await;
    person.pass(&challenge, &person.code()).await.refused(401, "credentials-invalid");
    person.sign_in().await;
}

async fn links_are_over_some_day(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let made = owner.post(USERS, &new_user(&Value::Null)).await.expect(201);
    let email = made["email"].as_str().unwrap();
    let token = rig.mailbox.token(email, 1).await;
    let body = json!({ "token": token, "password": new_password() });
    set(rig, "links", &format!("expires_ms = {}", now_s() * 1_000 - 1), email).await;
    rig.visitor().post(ACTIVATIONS, &body).await.refused(401, "credentials-invalid");
    // Another one helps.
    let at = format!("{USERS}/{}/invitation", made["id"].as_str().unwrap());
    owner.post(&at, &Value::Null).await.expect(200);
    let person = Person::activate(&rig.visitor(), email, &rig.mailbox.token(email, 2).await).await;
    rig.visitor().post(RESETS, &json!({ "email": email })).await.expect(200);
    let token = rig.mailbox.token(email, 3).await;
    set(rig, "links", &format!("expires_ms = {}", now_s() * 1_000 - 1), email).await;
    let body = json!({ "token": token, "password": new_password(), "code": person.recovery_code() });
    rig.visitor().post(CONFIRM_RESET, &body).await.refused(401, "credentials-invalid");
    person.sign_in().await;
}

on_both_peoples_shapes!(
    a_session_ends_whatever_is_done_with_it,
    a_session_nobody_used_for_long_is_over,
    a_challenge_is_soon_over,
    links_are_over_some_day,
);
