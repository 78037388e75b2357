//! Nobody raises themselves: not by their own hand, not by a client's, not with a link that has had its time.

use beem_tests::people::{ACTIVATIONS, CONFIRM, USERS, begin, new_password, new_user};
use beem_tests::{Client, Household, Person, Rig, Session, ask, on_both_peoples_shapes};
use serde_json::{Value, json};

const CLIENTS: &str = "/platform/v1/clients";

/// An operator of users, signed in, and whoever made it.
async fn operator(rig: &Rig) -> (Client, Person, Session) {
    let owner = rig.as_client(&rig.new_account());
    let roles = json!({ "roles": ["user:operator", "client:operator", "user:viewer"] });
    let operator = rig.join(&owner, &roles).await;
    let session = operator.sign_in().await;
    (owner, operator, session)
}

/// The user is as before.
async fn unchanged(owner: &Client, person: &Person, roles: usize) {
    let now = owner.get(&person.path()).await.expect(200);
    assert_eq!(
        (&now["roleCount"], &now["enabled"], &now["status"]),
        (&json!(roles), &json!(true), &json!("ACTIVE"))
    );
    assert!(now.get("dateDeleted").is_none_or(Value::is_null), "{now}");
}

async fn nobody_changes_their_own_access(rig: &Rig) {
    let (owner, operator, session) = operator(rig).await;
    let path = operator.path();
    for body in [
        json!({ "roles": ["user:operator", "client:operator", "user:viewer", "ledger:operator"] }),
        json!({ "roles": ["user:operator"] }),
        json!({ "roles": [] }),
        json!({ "networkWhitelist": ["0.0.0.0/0"] }),
        json!({ "networkWhitelist": ["10.0.0.0/8"] }),
        json!({ "enabled": false }),
        json!({ "enabled": true }),
        json!({ "firstName": "x", "enabled": false }),
    ] {
        session.patch(&path, &body).await.refused(403, "own-principal");
    }
    unchanged(&owner, &operator, 3).await;
    assert_eq!(owner.get(&path).await.expect(200)["firstName"], "Ada", "nothing of a refused change happens");
}

async fn nobody_deletes_themselves(rig: &Rig) {
    let (owner, operator, session) = operator(rig).await;
    session.delete(&operator.path()).await.refused(403, "own-principal");
    unchanged(&owner, &operator, 3).await;
}

/// The way for those who lost it is not a way around it.
async fn nobody_resets_their_own_second_factor(rig: &Rig) {
    let (owner, operator, session) = operator(rig).await;
    let at = format!("{}/second-factor/reset", operator.path());
    session.post(&at, &Value::Null).await.refused(403, "own-principal");
    let at = format!("{}/invitation", operator.path());
    let refused = session.post(&at, &Value::Null).await;
    assert!(matches!(refused.code().as_str(), "own-principal" | "user-active"), "{}", refused.text());
    unchanged(&owner, &operator, 3).await;
    operator.sign_in().await;
    assert_eq!(rig.mailbox.to(&operator.email).len(), 1, "no link was mailed");
}

async fn nobody_hands_out_or_takes_over_what_they_do_not_hold(rig: &Rig) {
    let (owner, _, session) = operator(rig).await;
    let body = new_user(&json!({ "roles": ["user:viewer", "ledger:viewer"] }));
    session.post(USERS, &body).await.refused(403, "role-not-held");
    // Nobody was made and nobody was told: the address is still free.
    let made =
        session.post(USERS, &new_user(&json!({ "email": body["email"], "roles": [] }))).await.expect(201);
    rig.mailbox.wait(body["email"].as_str().unwrap(), 1).await;
    let at = format!("{USERS}/{}", made["id"].as_str().unwrap());
    session.patch(&at, &json!({ "roles": ["ledger:viewer"] })).await.refused(403, "role-not-held");
    session.patch(&at, &json!({ "roles": ["client:operator"] })).await.expect(200);

    let rich =
        rig.join(&owner, &json!({ "roles": ["ledger:operator"], "networkWhitelist": ["10.0.0.0/8"] })).await;
    let path = rich.path();
    session.patch(&path, &json!({ "networkWhitelist": ["0.0.0.0/0"] })).await.refused(403, "role-not-held");
    let reset = format!("{path}/second-factor/reset");
    session.post(&reset, &Value::Null).await.refused(403, "role-not-held");
    // What takes away needs the operator's role alone.
    session.patch(&path, &json!({ "networkWhitelist": ["10.0.0.0/9"] })).await.expect(200);
    session.patch(&path, &json!({ "enabled": false })).await.expect(200);
    session.patch(&path, &json!({ "enabled": true })).await.refused(403, "role-not-held");
    session.patch(&path, &json!({ "roles": [] })).await.expect(200);
    session.patch(&path, &json!({ "enabled": true })).await.expect(200);

    let waiting = owner.post(USERS, &new_user(&json!({ "roles": ["ledger:operator"] }))).await.expect(201);
    let at = format!("{USERS}/{}/invitation", waiting["id"].as_str().unwrap());
    session.post(&at, &Value::Null).await.refused(403, "role-not-held");
    assert_eq!(rig.mailbox.to(waiting["email"].as_str().unwrap()).len(), 1);
}

/// A client holds what its maker held; it raises its maker no further.
async fn a_client_does_not_raise_its_maker(rig: &Rig) {
    let (owner, operator, session) = operator(rig).await;
    let key = beem_tests::creds::new_key(beem_signing::KeyKind::Ed25519);
    let greedy = json!({ "name": "x", "publicKey": key.public().pem(), "roles": ["user:operator", "ledger:operator"] });
    session.post(CLIENTS, &greedy).await.refused(403, "role-not-held");
    let modest = json!({ "name": "x", "publicKey": key.public().pem(), "roles": ["user:operator", "client:operator"] });
    let made = session.post(CLIENTS, &modest).await.expect(201);
    let creds = beem_tests::Creds {
        id: made["id"].as_str().unwrap().to_owned(),
        client_id: made["clientId"].as_str().unwrap().to_owned(),
        account_id: made["accountId"].as_str().unwrap().to_owned(),
        algorithm: key.kind().default_algorithm(),
        key,
    };
    let client = rig.as_client(&creds);
    let more = json!({ "roles": ["user:operator", "client:operator", "user:viewer", "ledger:operator"] });
    client.patch(&operator.path(), &more).await.refused(403, "role-not-held");
    // Its maker holds a role more than it: it may not take its maker over, either.
    let reset = format!("{}/second-factor/reset", operator.path());
    client.post(&reset, &Value::Null).await.refused(403, "role-not-held");
    let at = format!("{CLIENTS}/{}", creds.id);
    let raise = json!({ "roles": ["user:operator", "client:operator", "ledger:operator"] });
    session.patch(&at, &raise).await.refused(403, "role-not-held");
    client.patch(&at, &raise).await.refused(403, "own-principal");
    unchanged(&owner, &operator, 3).await;
}

/// Clients do not count, people who are only invited do not, disabled ones do not.
async fn an_account_keeps_its_last_operator(rig: &Rig) {
    let Household { client, owner } = rig.household().await;
    let losses = [
        ("PATCH", json!({ "roles": ["user:viewer"] })),
        ("PATCH", json!({ "enabled": false })),
        ("DELETE", Value::Null),
    ];
    let refuses = async |why: &str| {
        for (method, body) in &losses {
            let answer = ask(&client, method, &owner.path(), body).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (422, "last-operator"),
                "{why}: {}",
                answer.text()
            );
        }
    };
    refuses("alone").await;
    let fields = json!({ "roles": ["user:operator"] });
    let invited = client.post(USERS, &new_user(&fields)).await.expect(201);
    refuses("another is only invited").await;
    let email = invited["email"].as_str().unwrap();
    let second = Person::activate(&rig.visitor(), email, &rig.mailbox.token(email, 1).await).await;
    client.patch(&second.path(), &json!({ "enabled": false })).await.expect(200);
    refuses("another is disabled").await;
    client.patch(&second.path(), &json!({ "enabled": true })).await.expect(200);
    client.delete(&owner.path()).await.expect(200);
    // Now the second one is the last.
    for (method, body) in &losses {
        ask(&client, method, &second.path(), body).await.refused(422, "last-operator");
    }
    second.sign_in().await;
}

/// An account whose Owner never came: somebody has to be left who could.
async fn an_owner_who_has_not_come_yet_stays(rig: &Rig) {
    let client = rig.as_client(&rig.new_account());
    let users = client.get(USERS).await.expect(200);
    let owner = format!("{USERS}/{}", users["content"][0]["id"].as_str().unwrap());
    client.delete(&owner).await.refused(422, "last-operator");
    client.patch(&owner, &json!({ "roles": [] })).await.refused(422, "last-operator");
    client.post(USERS, &new_user(&json!({ "roles": ["user:operator"] }))).await.expect(201);
    client.delete(&owner).await.expect(200);
}

async fn dead(rig: &Rig, token: &str) {
    let body = json!({ "token": token, "password": new_password() });
    rig.visitor().post(ACTIVATIONS, &body).await.refused(401, "credentials-invalid");
    let body = json!({ "token": token, "code": "123456" });
    rig.visitor().post(CONFIRM, &body).await.refused(401, "credentials-invalid");
}

async fn an_invitation_is_good_once(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let made = owner.post(USERS, &new_user(&Value::Null)).await.expect(201);
    let email = made["email"].as_str().unwrap();
    let token = rig.mailbox.token(email, 1).await;
    let person = Person::activate(&rig.visitor(), email, &token).await;
    dead(rig, &token).await;
    person.sign_in().await;
    let resend = format!("{}/invitation", person.path());
    owner.post(&resend, &Value::Null).await.refused(422, "user-active");
}

/// A thief who began with the link does not end with it once somebody else has.
async fn the_last_beginning_of_an_activation_counts(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let made = owner.post(USERS, &new_user(&Value::Null)).await.expect(201);
    let email = made["email"].as_str().unwrap();
    let token = rig.mailbox.token(email, 1).await;
    let mut first = begin(&rig.visitor(), &token, &new_password()).await;
    let person = Person::activate(&rig.visitor(), email, &token).await;
    first.confirm(&rig.visitor(), &token).await.refused(401, "credentials-invalid");
    person.sign_in().await;
}

async fn a_resent_invitation_kills_the_earlier_one(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let made = owner.post(USERS, &new_user(&Value::Null)).await.expect(201);
    let (email, id) = (made["email"].as_str().unwrap(), made["id"].as_str().unwrap());
    let old = rig.mailbox.token(email, 1).await;
    // Half way through already.
    let mut factor = begin(&rig.visitor(), &old, &new_password()).await;
    owner.post(&format!("{USERS}/{id}/invitation"), &Value::Null).await.expect(200);
    factor.confirm(&rig.visitor(), &old).await.refused(401, "credentials-invalid");
    dead(rig, &old).await;
    let new = rig.mailbox.token(email, 2).await;
    assert_ne!(old, new);
    Person::activate(&rig.visitor(), email, &new).await;
}

async fn nobody_activates_who_is_deleted_or_disabled(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let made = owner.post(USERS, &new_user(&Value::Null)).await.expect(201);
    let (email, id) = (made["email"].as_str().unwrap(), made["id"].as_str().unwrap());
    let token = rig.mailbox.token(email, 1).await;
    let mut factor = begin(&rig.visitor(), &token, &new_password()).await;
    let at = format!("{USERS}/{id}");
    owner.delete(&at).await.expect(200);
    factor.confirm(&rig.visitor(), &token).await.refused(401, "credentials-invalid");
    dead(rig, &token).await;
    for (method, path) in [("PATCH", at.clone()), ("POST", format!("{at}/invitation"))] {
        let body = if method == "PATCH" { json!({ "firstName": "x" }) } else { Value::Null };
        ask(&owner, method, &path, &body).await.refused(422, "user-deleted");
    }
    // The address is free again, for somebody else.
    let again = owner.post(USERS, &new_user(&json!({ "email": email }))).await.expect(201);
    assert_ne!(again["id"], made["id"]);
    let token = rig.mailbox.token(email, 2).await;
    let at = format!("{USERS}/{}", again["id"].as_str().unwrap());
    owner.patch(&at, &json!({ "enabled": false })).await.expect(200);
    let body = json!({ "token": token, "password": new_password() });
    rig.visitor().post(ACTIVATIONS, &body).await.refused(401, "credentials-invalid");
    owner.patch(&at, &json!({ "enabled": true })).await.expect(200);
    Person::activate(&rig.visitor(), email, &token).await;
}

on_both_peoples_shapes!(
    nobody_changes_their_own_access,
    nobody_deletes_themselves,
    nobody_resets_their_own_second_factor,
    nobody_hands_out_or_takes_over_what_they_do_not_hold,
    a_client_does_not_raise_its_maker,
    an_account_keeps_its_last_operator,
    an_owner_who_has_not_come_yet_stays,
    an_invitation_is_good_once,
    the_last_beginning_of_an_activation_counts,
    a_resent_invitation_kills_the_earlier_one,
    nobody_activates_who_is_deleted_or_disabled,
);
