//! Every write leaves its row, a refused one too, and no row holds a key.

use crate::clients::{create, delete, enabled, named, networks, update};
use crate::keys::rotate;
use crate::on_both;
use crate::rig::{Answer, Rig};
use crate::users;
use beem_events::audit::unpushed;
use beem_proto::identity::v1 as wire;
use serde_json::json;

on_both!(every_write_leaves_a_row_without_keys, every_write_of_users_leaves_a_row);

async fn every_write_leaves_a_row_without_keys(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = create(&rig, &owner, "c", &named(&rig, "c", &["hook:viewer"])).await.unwrap().body;
    update(&rig, &owner, "u1", &networks(&made.id, &["10.0.0.0/8"])).await.unwrap();
    update(&rig, &owner, "u1", &networks(&made.id, &["10.0.0.0/8"])).await.unwrap();
    rotate(&rig, &owner, "r", &made.id, &rig.new_pem(), Some(60)).await.unwrap();
    update(&rig, &owner, "u2", &enabled(&owner.principal.to_string(), false)).await.unwrap_err();
    update(&rig, &owner, "u3", &networks(&made.id, &["x"])).await.unwrap_err();
    delete(&rig, &owner, "d", &made.id).await.unwrap();
    let operator = create(&rig, &owner, "c2", &named(&rig, "o", &["client:operator"])).await.unwrap().body;
    let operator = rig.acting(&operator);
    create(&rig, &operator, "c3", &named(&rig, "c3", &["hook:viewer"])).await.unwrap_err();
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    let told: Vec<_> = rows.iter().map(|r| (r.row.action.as_str(), r.row.outcome.as_str())).collect();
    let mut expected = vec![
        ("CreateAccount", "done"),
        ("CreateClient", "done"),
        ("UpdateClient", "done"),
        ("RotateClientKey", "done"),
        ("UpdateClient", "own-principal"),
        ("DeleteClient", "done"),
        ("CreateClient", "done"),
        ("CreateClient", "role-not-held"),
    ];
    let mut told_sorted = told.clone();
    told_sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(told_sorted, expected);
    let change = rows.iter().find(|r| r.row.action == "UpdateClient" && r.row.outcome == "done").unwrap();
    let (before, after) = (change.row.before.as_ref().unwrap(), change.row.after.as_ref().unwrap());
    assert_eq!(before["networkWhitelist"], serde_json::json!(["0.0.0.0/0"]));
    assert_eq!(after["networkWhitelist"], serde_json::json!(["10.0.0.0/8"]));
    assert_eq!((&change.row.target_type, &change.row.target_id), (&"client".to_owned(), &made.id));
    assert_eq!(change.row.actor["principalId"], owner.principal.to_string());
    assert_eq!((change.row.address.as_str(), change.row.account_id), ("203.0.113.9", Some(owner.account)));
    assert_eq!(change.row.request_id, owner.request.to_string());
    assert!(rows.iter().all(|r| !format!("{r:?}").contains("BEGIN")));
    let rotation = rows.iter().find(|r| r.row.action == "RotateClientKey").unwrap();
    assert_eq!(rotation.row.before.as_ref().unwrap()["keyFingerprint"], made.key_fingerprint);
}

async fn every_write_of_users_leaves_a_row(rig: Rig) {
    let owner = rig.owner("a").await;
    let asked = users::person("ada@example.com", &["user:operator"]);
    let ada = users::invite(&rig, &owner, "k", &asked).await.unwrap().body;
    users::update(&rig, &owner, "u1", &users::roles(&ada.id, &[])).await.unwrap();
    users::update(&rig, &owner, "u2", &users::enabled(&ada.id, false)).await.unwrap();
    users::resend(&rig, &owner, "i", &ada.id).await.unwrap();
    users::reset(&rig, &owner, "r", &ada.id).await.unwrap();
    let own = rig.acting_user(&ada);
    let refused = users::reset(&rig, &own, "r", &ada.id).await.unwrap_err();
    assert_eq!(refused.code(), "own-principal", "{}", refused.fault);
    let renamed = wire::UpdateProfileRequest {
        first_name: "Augusta".into(),
        present: crate::clients::mask(&["first_name"]),
        ..wire::UpdateProfileRequest::default()
    };
    let path = "/beem.identity.v1.Profiles/UpdateProfile";
    let _: Answer<wire::Profile> = rig.call(&own, "p", path, renamed).await.unwrap();
    users::invite_owner(&rig, &owner.account.to_string()).await.unwrap();
    users::delete(&rig, &owner, "d", &ada.id).await.unwrap();
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    let row = |action: &str, outcome: &str| {
        let of = |r: &&beem_events::audit::AuditRow| r.row.action == action && r.row.outcome == outcome;
        let found: Vec<_> = rows.iter().filter(of).map(|r| r.row.clone()).collect();
        assert!(!found.is_empty(), "{action} {outcome}");
        found
    };
    let made = &row("CreateUser", "done")[0];
    assert_eq!((made.target_type.as_str(), &made.target_id, made.before.is_none()), ("user", &ada.id, true));
    assert_eq!(made.after.as_ref().unwrap()["email"], "ada@example.com");
    let changes = row("UpdateUser", "done");
    assert_eq!(changes.len(), 2);
    let roles: Vec<_> = changes.iter().map(|c| c.before.as_ref().unwrap()["roles"].clone()).collect();
    assert!(roles.contains(&json!(["layer1:role:user:operator"])) && roles.contains(&json!([])), "{roles:?}");
    assert_eq!(row("ResetSecondFactor", "own-principal")[0].actor["principalId"], ada.id);
    let profile = &row("UpdateProfile", "done")[0];
    assert_eq!((&profile.actor["kind"], &profile.actor["name"]), (&json!("USER"), &json!("ada@example.com")));
    assert_eq!(profile.before, Some(json!({ "firstName": "Ada", "lastName": "Lovelace" })));
    assert_eq!((profile.address.as_str(), profile.key_fingerprint.as_str()), ("203.0.113.9", ""));
    let owners = &row("InviteOwner", "done")[0];
    assert_eq!((owners.actor.clone(), owners.address.as_str()), (json!({ "kind": "INSTALLATION" }), ""));
    assert!(row("DeleteUser", "done")[0].after.as_ref().unwrap()["dateDeleted"].is_string());
    assert_eq!((row("ResendInvitation", "done").len(), row("ResetSecondFactor", "done").len()), (1, 1));
}
