//! Every write leaves its row, a refused one too, and no row holds a key.

use crate::clients::{create, delete, enabled, named, networks, update};
use crate::keys::rotate;
use crate::on_both;
use crate::rig::Rig;
use beem_events::audit::unpushed;

on_both!(every_write_leaves_a_row_without_keys);

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
