//! How it all begins: the Owner activates by the link, signs in, and invites somebody who can do just what their roles
//! allow; and the trail shows it.

use beem_tests::household::owner_of;
use beem_tests::mailbox::token_of;
use beem_tests::people::{ME, SESSIONS, USERS, new_user};
use beem_tests::{Client, Creds, Person, Rig, eventually, on_both_peoples_shapes, trail};
use serde_json::{Value, json};

const CLIENTS: &str = "/platform/v1/clients";

/// Actor, action and outcome of a row.
fn gist(row: &Value) -> (String, String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&row["actor"]["name"]), text(&row["action"]), text(&row["outcome"]))
}

async fn an_owner_invites_somebody_who_is_refused_what_their_roles_do_not_allow(rig: &Rig) {
    let folder = rig.make_account();
    let client = rig.as_client(&Creds::load(&folder).unwrap().0);
    let (email, link) = owner_of(&folder);
    // The link came as a mail, too.
    let letter = rig.mailbox.wait(&email, 1).await;
    assert_eq!(letter.token(), token_of(&link));
    assert!(link.starts_with(&format!("{}/activate?token=", rig.gateways[0].url)), "{link}");
    let owner = Person::activate(&rig.visitor(), &email, &token_of(&link)).await;
    let session = owner.sign_in().await;
    let me = session.get(ME).await.expect(200);
    assert_eq!((&me["kind"], &me["username"], &me["email"]), (&json!("USER"), &json!(email), &json!(email)));
    assert_eq!(me["roles"].as_array().unwrap().len(), 15);

    let fields = json!({ "roles": ["user:operator", "client:viewer"], "firstName": "Zoë" });
    let made = session.post(USERS, &new_user(&fields)).await.expect(201);
    assert_eq!(
        (&made["status"], &made["roleCount"], &made["createdBy"]),
        (&json!("INVITED"), &json!(2), &json!(owner.id))
    );
    let address = made["email"].as_str().unwrap();
    let letter = rig.mailbox.wait(address, 1).await;
    assert!(!made.to_string().contains(&letter.token()), "the answer does not hold the link");
    assert!(letter.html.contains(&letter.token()) && letter.text.contains("Zoë"), "{letter:?}");
    let second = Person::activate(&rig.visitor(), address, &letter.token()).await;
    let hers = second.sign_in().await;
    let seen = session.get(&second.path()).await.expect(200);
    assert_eq!(seen["status"], "ACTIVE");
    assert_eq!(seen["lastSignIn"]["address"], second.visitor.place.as_str());

    hers.get(CLIENTS).await.expect(200);
    hers.post(CLIENTS, &json!({})).await.refused(403, "role-missing");
    let invited = new_user(&json!({ "roles": ["ledger:operator"] }));
    hers.post(USERS, &invited).await.refused(403, "role-not-held");
    hers.patch(&second.path(), &json!({ "roles": ["ledger:operator"] })).await.refused(403, "own-principal");
    session.patch(&second.path(), &json!({ "roles": ["client:viewer"] })).await.expect(200);
    let id = own_row(&session.get(SESSIONS).await.expect(200));
    session.delete(&format!("{SESSIONS}/current")).await.expect(200);
    session.gone("session-invalid").await;
    the_trail_shows_it(&client, &owner, &second, &id).await;
}

fn own_row(list: &Value) -> String {
    let own = list["content"].as_array().unwrap().iter().find(|s| s["current"] == true).unwrap();
    own["id"].as_str().unwrap().to_owned()
}

async fn the_trail_shows_it(client: &Client, owner: &Person, second: &Person, session: &str) {
    let wanted: Vec<(&str, &str, &str)> = vec![
        (&owner.email, "ConfirmActivation", "done"),
        (&owner.email, "SignIn", "done"),
        (&owner.email, "CreateUser", "done"),
        (&second.email, "ConfirmActivation", "done"),
        (&second.email, "SignIn", "done"),
        (&second.email, "CreateClient", "role-missing"),
        (&second.email, "CreateUser", "role-not-held"),
        (&second.email, "UpdateUser", "own-principal"),
        (&owner.email, "UpdateUser", "done"),
        (&owner.email, "EndCurrentSession", "done"),
    ];
    let rows = eventually("the trail shows all of it", || async {
        let rows = trail(client, "order=asc").await;
        let gists: Vec<_> = rows.iter().map(gist).collect();
        let there = |(n, a, o): &(&str, &str, &str)| {
            gists.iter().any(|(name, action, outcome)| {
                (name.as_str(), action.as_str(), outcome.as_str()) == (*n, *a, *o)
            })
        };
        wanted.iter().all(there).then_some(rows)
    })
    .await;
    let row = |name: &str, action: &str| {
        rows.iter().find(|r| gist(r).0 == name && gist(r).1 == action).cloned().unwrap()
    };
    let invited = row(&owner.email, "CreateUser");
    assert_eq!(invited["target"], json!({ "type": "user", "id": second.id }));
    assert_eq!(invited["actor"]["principalId"], owner.id.as_str());
    assert_eq!(invited["actor"]["kind"], "USER");
    assert_eq!(invited["address"], owner.visitor.place.as_str());
    assert_eq!(invited["keyFingerprint"], "", "a session has none");
    assert_eq!(invited["after"]["email"], second.email.as_str());
    assert!(invited.get("before").is_none_or(Value::is_null), "{invited}");
    let changed = row(&owner.email, "UpdateUser");
    let roles = |which: &str| changed[which]["roles"].to_string();
    assert!(
        roles("before").contains("user:operator") && !roles("after").contains("user:operator"),
        "{changed}"
    );
    let refused = row(&second.email, "CreateClient");
    assert_eq!(refused["target"], json!({ "type": "rpc", "id": "CreateClient" }));
    assert_eq!(refused["address"], second.visitor.place.as_str());
    assert_eq!(row(&owner.email, "EndCurrentSession")["target"], json!({ "type": "session", "id": session }));
    assert_eq!(row(&second.email, "ConfirmActivation")["target"]["id"], second.id.as_str());
    let times: Vec<&str> = rows.iter().map(|r| r["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "oldest first");
    for one in &rows {
        assert!(one["requestId"].is_string() && one["id"].is_string(), "{one}");
    }
}

on_both_peoples_shapes!(an_owner_invites_somebody_who_is_refused_what_their_roles_do_not_allow);

/// The first start of all: the link is in `owner.json` and in a mail; what it led to outlives the process.
#[tokio::test]
async fn embedded_the_first_start_invites_the_owner() {
    let mut rig = Rig::start_embedded(&[]);
    let folder = rig.embedded_mut().data_dir().join("credentials");
    let (email, link) = owner_of(&folder);
    assert_eq!(rig.mailbox.wait(&email, 1).await.token(), token_of(&link));
    let owner = Person::activate(&rig.visitor(), &email, &token_of(&link)).await;
    let session = owner.sign_in().await;
    let before = session.get(ME).await.expect(200);
    for kill in [false, true] {
        if kill {
            rig.embedded_mut().process.kill();
        } else {
            assert!(rig.embedded_mut().process.stop().unwrap().success());
        }
        rig.embedded_mut().start_again().unwrap();
        assert_eq!(session.get(ME).await.expect(200), before);
        owner.sign_in().await.get(ME).await.expect(200);
    }
    assert_eq!(rig.mailbox.to(&email).len(), 1, "a later start invites nobody");
}
