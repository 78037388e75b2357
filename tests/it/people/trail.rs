//! The audit trail from outside: found by who, what and when, page by page, one's own account alone.

use beem_tests::people::{AUDIT, USERS, new_user};
use beem_tests::{Client, Rig, eventually, on_both_peoples_shapes, trail};
use serde_json::{Value, json};

async fn rows(client: &Client, query: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} rows of {query}"), || async {
        let rows = trail(client, query).await;
        assert!(rows.len() <= count, "{rows:#?}");
        (rows.len() == count).then_some(rows)
    })
    .await
}

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|r| r["id"].as_str().unwrap()).collect()
}

async fn rows_are_found_by_who_what_and_when(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let mine = owner.get("/platform/v1/me").await.expect(200)["principalId"].as_str().unwrap().to_owned();
    let other =
        Client { creds: owner.new_client(&json!({ "roles": ["user:operator"] })).await, ..owner.clone() };
    for _ in 0..3 {
        owner.post(USERS, &new_user(&json!({}))).await.expect(201);
    }
    other.post(USERS, &new_user(&json!({}))).await.expect(201);
    let made = rows(&owner, "action=CreateUser", 4).await;
    assert!(made.iter().all(|r| r["action"] == "CreateUser" && r["outcome"] == "done"));
    let own = rows(&owner, &format!("actor={mine}&action=CreateUser"), 3).await;
    for row in &own {
        assert_eq!(
            row["actor"],
            json!({ "principalId": mine, "kind": "CLIENT", "name": owner.creds.client_id })
        );
        assert_eq!(row["keyFingerprint"], owner.creds.key.public().fingerprint().to_string());
    }
    let theirs = rows(&owner, &format!("actor={}", other.creds.id), 1).await;
    assert_eq!(theirs[0]["id"], made[0]["id"], "newest first");
    // Pages of one are the same rows.
    let paged = trail(&owner, "action=CreateUser&max=1").await;
    assert_eq!(ids(&paged), ids(&made));
    let mut oldest = trail(&owner, "action=CreateUser&order=asc&max=3").await;
    oldest.reverse();
    assert_eq!(ids(&oldest), ids(&made));
    // From this time on, before that time.
    let time = |row: &Value| row["time"].as_str().unwrap().to_owned();
    let (first, last) = (time(&made[3]), time(&made[0]));
    let from = trail(&owner, &format!("action=CreateUser&from={last}")).await;
    assert!(ids(&from).contains(&made[0]["id"].as_str().unwrap()));
    let before = trail(&owner, &format!("action=CreateUser&to={first}")).await;
    assert!(before.is_empty(), "{before:?}");
    let all = trail(&owner, &format!("action=CreateUser&from={first}&to=2999-01-01T00:00:00Z")).await;
    assert_eq!(ids(&all), ids(&made));
    assert!(trail(&owner, "action=NoSuchThing").await.is_empty());
    for wrong in ["actor=nobody", "from=yesterday", "max=501", "order=sideways", "what=1"] {
        let answer = owner.get(&format!("{AUDIT}?{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
    }
}

async fn an_account_sees_its_own_rows_alone(rig: &Rig) {
    let (one, two) = (rig.as_client(&rig.new_account()), rig.as_client(&rig.new_account()));
    let made = one.post(USERS, &new_user(&json!({}))).await.expect(201);
    rows(&one, "action=CreateUser", 1).await;
    assert!(trail(&two, "action=CreateUser").await.is_empty());
    let mine = one.get("/platform/v1/me").await.expect(200)["principalId"].as_str().unwrap().to_owned();
    assert!(trail(&two, &format!("actor={mine}")).await.is_empty());
    let theirs = trail(&two, "").await;
    assert!(!json!(theirs).to_string().contains(made["id"].as_str().unwrap()));
}

/// Before and after tell what changed, and no more than that.
async fn a_row_tells_what_changed(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let made = owner.post(USERS, &new_user(&json!({ "roles": ["hook:viewer"] }))).await.expect(201);
    let at = format!("{USERS}/{}", made["id"].as_str().unwrap());
    owner.patch(&at, &json!({ "firstName": "Augusta", "enabled": false })).await.expect(200);
    owner.delete(&at).await.expect(200);
    let changed = &rows(&owner, "action=UpdateUser", 1).await[0];
    assert_eq!(
        (&changed["before"]["firstName"], &changed["after"]["firstName"]),
        (&json!("Ada"), &json!("Augusta"))
    );
    assert_eq!((&changed["before"]["enabled"], &changed["after"]["enabled"]), (&json!(true), &json!(false)));
    assert_eq!(changed["target"], json!({ "type": "user", "id": made["id"] }));
    let deleted = &rows(&owner, "action=DeleteUser", 1).await[0];
    assert_eq!((&deleted["target"]["id"], &deleted["outcome"]), (&made["id"], &json!("done")));
    // A repeat that was answered from memory is no second deed.
    let body = new_user(&json!({}));
    for _ in 0..2 {
        owner.keyed("POST", USERS, &body, "once").await.expect(201);
    }
    rows(&owner, "action=CreateUser", 2).await;
}

/// Whatever was refused to somebody known is there, by its code; what nobody known tried is not.
async fn refusals_are_rows(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let person = rig.join(&owner, &json!({ "networkWhitelist": ["10.0.0.0/8"] })).await;
    let session = person.sign_in().await;
    let client = Client { creds: owner.new_client(&json!({})).await, ..owner.clone() };
    session.get(USERS).await.refused(403, "role-missing");
    session.from("192.0.2.1").get(USERS).await.refused(403, "network-not-allowed");
    client.get("/platform/v1/sessions").await.refused(403, "session-required");
    owner
        .patch(&format!("/platform/v1/clients/{}", client.creds.id), &json!({ "enabled": false }))
        .await
        .expect(200);
    eventually("it is disabled", || async {
        (client.get("/platform/v1/me").await.code() == "principal-disabled").then_some(())
    })
    .await;
    rig.visitor().with_token(&session.token.to_uppercase()).get(USERS).await.refused(401, "session-invalid");
    let of = async |actor: &str, outcome: &str| {
        eventually(outcome, || async {
            let rows = trail(&owner, &format!("actor={actor}")).await;
            rows.into_iter().find(|r| r["outcome"] == outcome)
        })
        .await
    };
    let row = of(&person.id, "role-missing").await;
    assert_eq!((&row["action"], &row["actor"]["name"]), (&json!("ListUsers"), &json!(person.email)));
    let row = of(&person.id, "network-not-allowed").await;
    assert_eq!((&row["address"], &row["action"]), (&json!("192.0.2.1"), &json!("ListUsers")));
    of(&client.creds.id, "session-required").await;
    of(&client.creds.id, "principal-disabled").await;
    assert!(trail(&owner, "").await.iter().all(|r| r["outcome"] != "session-invalid"));
}

on_both_peoples_shapes!(
    rows_are_found_by_who_what_and_when,
    an_account_sees_its_own_rows_alone,
    a_row_tells_what_changed,
    refusals_are_rows,
);
