//! The users of an account, as its operators see and change them, and a person's own profile.

use beem_tests::people::{ME, USERS, new_user};
use beem_tests::{Client, Rig, on_both_peoples_shapes};
use serde_json::{Value, json};

fn owner(rig: &Rig) -> Client {
    rig.as_client(&rig.new_account())
}

async fn an_invited_user_has_all_its_fields(rig: &Rig) {
    let owner = owner(rig);
    let body = json!({
        "email": "Grace.Hopper+1@Navy.example", "firstName": "Grace", "lastName": "Hopper",
        "networkWhitelist": ["10.0.0.0/8", "2001:db8::/32"], "roles": ["layer1:role:user:viewer", "ledger:operator"],
    });
    let made = owner.post(USERS, &body).await.expect(201);
    assert_eq!(made["email"], body["email"], "as it was invited");
    assert_eq!(
        (&made["status"], &made["enabled"], &made["roleCount"]),
        (&json!("INVITED"), &json!(true), &json!(2))
    );
    let mut roles: Vec<&str> =
        made["roles"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["layer1:role:ledger:operator", "layer1:role:user:viewer"]);
    assert_eq!(made["networkWhitelist"], body["networkWhitelist"]);
    assert_eq!(made["accountId"], owner.creds.account_id.as_str());
    assert_eq!(made["createdBy"], owner.get(ME).await.expect(200)["principalId"]);
    assert!(made["dateCreated"].is_string() && made["rolesVersion"].is_number());
    assert!(made.get("lastSignIn").is_none_or(Value::is_null), "{made}");
    let at = format!("{USERS}/{}", made["id"].as_str().unwrap());
    assert_eq!(owner.get(&at).await.expect(200), made);
    // Without regard to case.
    let again = new_user(&json!({ "email": "grace.hopper+1@NAVY.EXAMPLE" }));
    owner.post(USERS, &again).await.refused(409, "email-taken");
    let default = owner.post(USERS, &new_user(&json!({ "enabled": false }))).await.expect(201);
    assert_eq!((&default["enabled"], &default["networkWhitelist"]), (&json!(false), &json!(["0.0.0.0/0"])));
}

async fn what_is_wrong_with_a_user_is_named(rig: &Rig) {
    let owner = owner(rig);
    for (field, value) in [
        ("email", json!("")),
        ("email", json!("nobody")),
        ("email", json!("a@b@c.example")),
        ("email", json!("a b@c.example")),
        ("email", json!("a@c.example\r\nBcc: x@y.example")),
        ("email", json!(format!("{}@c.example", "x".repeat(250)))),
        ("firstName", json!("")),
        ("firstName", json!("x".repeat(101))),
        ("lastName", json!("\u{0}")),
        ("networkWhitelist", json!([])),
        ("networkWhitelist", json!(["10.0.0.0/33"])),
        ("roles", json!(["no:such"])),
        ("roles", json!(["user:viewer", "user:viewer"])),
    ] {
        let answer = owner.post(USERS, &new_user(&json!({ field: value }))).await;
        if field == "roles" && answer.status == 201 {
            continue;
        }
        let problem = answer.refused(400, "validation-failed");
        let named = problem["errors"][0]["field"].as_str().unwrap();
        assert!(named.starts_with(field), "{field} {value}: {problem}");
    }
    let made = owner.post(USERS, &new_user(&json!({}))).await.expect(201);
    let at = format!("{USERS}/{}", made["id"].as_str().unwrap());
    for body in [
        json!({ "email": "other@people.example" }),
        json!({ "status": "ACTIVE" }),
        json!({ "lastName": null }),
    ] {
        let answer = owner.patch(&at, &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    owner.patch(&at, &json!({ "networkWhitelist": [] })).await.refused(400, "validation-failed");
}

async fn exactly_the_fields_present_change(rig: &Rig) {
    let owner = owner(rig);
    let made = owner.post(USERS, &new_user(&json!({ "roles": ["user:viewer"] }))).await.expect(201);
    let at = format!("{USERS}/{}", made["id"].as_str().unwrap());
    let mut wanted = made.clone();
    for (field, value) in [
        ("firstName", json!("Augusta")),
        ("lastName", json!("King")),
        ("networkWhitelist", json!(["192.0.2.0/24"])),
        ("enabled", json!(false)),
        ("roles", json!([])),
    ] {
        let now = owner.patch(&at, &json!({ field: value })).await.expect(200);
        wanted[field] = value;
        wanted["roleCount"] = json!(wanted["roles"].as_array().unwrap().len());
        wanted["rolesVersion"] = now["rolesVersion"].clone();
        assert_eq!(now, wanted);
        assert_eq!(owner.get(&at).await.expect(200), wanted);
    }
    let deleted = owner.delete(&at).await.expect(200);
    assert!(deleted["dateDeleted"].is_string(), "{deleted}");
    assert_eq!(owner.get(&at).await.expect(200), deleted, "the record stays");
    assert_eq!(owner.delete(&at).await.status, 200, "deleting twice is deleting once");
}

async fn users_are_listed_page_by_page(rig: &Rig) {
    let owner = owner(rig);
    let mut ids = Vec::new();
    for _ in 0..7 {
        let made = owner.post(USERS, &new_user(&json!({}))).await.expect(201);
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    owner.delete(&format!("{USERS}/{}", ids.remove(3))).await.expect(200);
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = owner.get(&format!("{USERS}?max=3&order=asc&pageToken={token}")).await.expect(200);
        let content = page["content"].as_array().unwrap();
        assert!(content.len() <= 3);
        seen.extend(content.iter().map(|u| u["id"].as_str().unwrap().to_owned()));
        page["nextPageToken"].as_str().unwrap().clone_into(&mut token);
        if token.is_empty() {
            break;
        }
    }
    // The Owner is the first.
    assert_eq!(seen[1..], ids);
    let newest = owner.get(USERS).await.expect(200);
    assert_eq!(newest["content"][0]["id"], ids[5].as_str());
    owner.get(&format!("{USERS}?max=501")).await.refused(400, "validation-failed");
}

async fn a_person_names_itself(rig: &Rig) {
    let owner = owner(rig);
    let person =
        rig.join(&owner, &json!({ "roles": ["user:viewer"], "networkWhitelist": ["10.0.0.0/8"] })).await;
    let session = person.sign_in().await;
    let me = session.get(ME).await.expect(200);
    assert_eq!(
        me,
        json!({
            "principalId": person.id, "kind": "USER", "username": person.email, "email": person.email,
            "accountId": person.account_id, "roles": ["layer1:role:user:viewer"],
            "networkWhitelist": ["10.0.0.0/8"], "rolesVersion": me["rolesVersion"],
            "firstName": "Ada", "lastName": "Lovelace",
        })
    );
    let now = session.patch(ME, &json!({ "lastName": "King" })).await.expect(200);
    assert_eq!((&now["firstName"], &now["lastName"]), (&json!("Ada"), &json!("King")));
    for body in [json!({ "firstName": "" }), json!({ "lastName": null })] {
        assert_eq!(session.patch(ME, &body).await.status, 400);
    }
    session.patch(ME, &json!({ "roles": [] })).await.refused(400, "unknown-field");
    assert_eq!(owner.get(&person.path()).await.expect(200)["lastName"], "King");
    owner.patch(ME, &json!({ "firstName": "x" })).await.refused(403, "session-required");
}

on_both_peoples_shapes!(
    an_invited_user_has_all_its_fields,
    what_is_wrong_with_a_user_is_named,
    exactly_the_fields_present_change,
    users_are_listed_page_by_page,
    a_person_names_itself,
);
