//! The account and who may change what of it.

use beem_roles::Role;
use beem_signing::KeyKind;
use beem_tests::{Client, Rig, on_both_shapes};
use serde_json::{Value, json};

const ACCOUNT: &str = "/platform/v1/account";

/// An account of the test's own.
fn owner(rig: &Rig) -> Client {
    rig.as_client(&rig.new_account())
}

async fn with(owner: &Client, roles: &[Role]) -> Client {
    let roles: Vec<&str> = roles.iter().map(|r| r.short()).collect();
    Client { creds: owner.new_client(&json!({ "roles": roles })).await, ..owner.clone() }
}

async fn an_account_has_its_settings(rig: &Rig) {
    let owner = owner(rig);
    let account = owner.get(ACCOUNT).await.expect(200);
    assert_eq!(account["id"], owner.creds.account_id.as_str());
    assert!(account["name"].as_str().unwrap().starts_with("account-"));
    assert_eq!(account["roleGrantPolicy"], "held");
    assert_eq!(account["networkFeePayer"], "MERCHANT");
    assert!(account["baseCurrency"].as_str().is_some_and(|c| c.len() >= 3));
    let changed = json!({ "name": "Köln", "baseCurrency": "EUR", "networkFeePayer": "RECIPIENT" });
    let after = owner.patch(ACCOUNT, &changed).await.expect(200);
    for (field, value) in changed.as_object().unwrap() {
        assert_eq!(&after[field], value);
    }
    assert_eq!(owner.get(ACCOUNT).await.expect(200), after);
    assert_eq!(after["roleGrantPolicy"], "held", "what was absent stays");
}

async fn each_setting_has_its_own_roles(rig: &Rig) {
    let owner = owner(rig);
    let viewer = with(&owner, &[Role::UserViewer]).await;
    let users = with(&owner, &[Role::UserOperator]).await;
    let approvals = with(&owner, &[Role::ApprovalSettingsOperator]).await;
    let almost: Vec<Role> = Role::ALL.into_iter().filter(|r| *r != Role::HookViewer).collect();
    let almost = with(&owner, &almost).await;
    let name = json!({ "name": "renamed" });
    let currency = json!({ "baseCurrency": "GBP" });
    let payer = json!({ "networkFeePayer": "RECIPIENT" });
    let policy = json!({ "roleGrantPolicy": "any" });
    let both = json!({ "name": "renamed", "baseCurrency": "GBP" });
    let cases: [(&Client, &Value, u16); 16] = [
        (&viewer, &name, 403),
        (&viewer, &currency, 403),
        (&viewer, &payer, 403),
        (&viewer, &policy, 403),
        (&users, &name, 200),
        (&users, &currency, 403),
        (&users, &payer, 403),
        (&users, &both, 403),
        (&approvals, &name, 403),
        (&approvals, &currency, 200),
        (&approvals, &payer, 200),
        (&approvals, &policy, 403),
        (&approvals, &both, 403),
        (&almost, &policy, 403),
        (&almost, &both, 200),
        (&owner, &policy, 200),
    ];
    for (client, patch, status) in cases {
        let answer = client.patch(ACCOUNT, patch).await;
        assert_eq!(answer.status, status, "{patch}: {}", answer.text());
        if status == 403 {
            answer.refused(403, "role-missing");
        }
    }
    let missing = almost.patch(ACCOUNT, &policy).await.refused(403, "role-missing");
    assert!(missing["detail"].as_str().unwrap().contains("layer1:role:hook:viewer"), "{missing}");
    viewer.get(ACCOUNT).await.expect(200);
}

/// Under `any`, an operator may hand out what it does not hold.
async fn the_grant_policy_decides_who_hands_out_roles(rig: &Rig) {
    let owner = owner(rig);
    let operator = with(&owner, &[Role::ClientOperator]).await;
    let key = beem_tests::creds::new_key(KeyKind::Ed25519);
    let body = json!({ "name": "x", "publicKey": key.public().pem(), "roles": ["ledger:operator"] });
    operator.post("/platform/v1/clients", &body).await.refused(403, "role-not-held");
    owner.patch(ACCOUNT, &json!({ "roleGrantPolicy": "any" })).await.expect(200);
    operator.post("/platform/v1/clients", &body).await.expect(201);
    owner.patch(ACCOUNT, &json!({ "roleGrantPolicy": "held" })).await.expect(200);
    operator.post("/platform/v1/clients", &body).await.refused(403, "role-not-held");
}

async fn wrong_settings_are_named(rig: &Rig) {
    let owner = owner(rig);
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("n".repeat(101))),
        ("baseCurrency", json!("usd")),
        ("roleGrantPolicy", json!("HELD")),
        ("roleGrantPolicy", json!("none")),
        ("networkFeePayer", json!("merchant")),
        ("name", Value::Null),
        ("name", json!(1)),
    ] {
        let problem = owner.patch(ACCOUNT, &json!({ field: value })).await.refused(400, "validation-failed");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    owner.patch(ACCOUNT, &json!({ "id": "x" })).await.refused(400, "unknown-field");
    let problem = owner.patch(ACCOUNT, &json!({ "present": "name" })).await.refused(400, "unknown-field");
    assert_eq!(problem["errors"][0]["field"], "present");
}

/// Nothing is shared between accounts.
async fn accounts_do_not_see_each_other(rig: &Rig) {
    let (one, two) = (owner(rig), owner(rig));
    let (mine, theirs) = (one.new_client(&json!({})).await, two.new_client(&json!({})).await);
    assert_ne!(mine.account_id, theirs.account_id);
    let list = one.get("/platform/v1/clients").await.expect(200);
    let ids: Vec<&str> =
        list["content"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&mine.id.as_str()) && !ids.contains(&theirs.id.as_str()));
    assert_eq!(ids.len(), 2, "the first client and the one that was made");
    let at = format!("/platform/v1/clients/{}", theirs.id);
    one.get(&at).await.refused(404, "not-found");
    one.patch(&at, &json!({ "name": "mine" })).await.refused(404, "not-found");
    one.delete(&at).await.refused(404, "not-found");
    assert_eq!(two.get(&at).await.expect(200)["enabled"], true);
    // A page token of another account's list means nothing here.
    two.new_client(&json!({})).await;
    let token =
        two.get("/platform/v1/clients?max=1").await.expect(200)["nextPageToken"].as_str().unwrap().to_owned();
    one.get(&format!("/platform/v1/clients?max=1&pageToken={token}")).await.refused(400, "validation-failed");
}

on_both_shapes!(
    an_account_has_its_settings,
    each_setting_has_its_own_roles,
    the_grant_policy_decides_who_hands_out_roles,
    wrong_settings_are_named,
    accounts_do_not_see_each_other,
);
