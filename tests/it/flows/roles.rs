//! The profile and the catalogue of roles: the same words everywhere.

use beem_roles::Role;
use beem_tests::{Rig, on_both_shapes};
use serde_json::json;

async fn a_profile_says_who_calls(rig: &Rig) {
    let creds = rig.new_client(&[Role::HookViewer, Role::UserViewer]).await;
    let client = rig.as_client(&creds);
    let profile = client.get("/platform/v1/me").await.expect(200);
    assert_eq!(profile["principalId"], creds.id.as_str());
    assert_eq!(profile["kind"], "CLIENT");
    assert_eq!(profile["username"], creds.client_id.as_str());
    assert_eq!(profile["accountId"], creds.account_id.as_str());
    assert_eq!(profile["roles"], json!(["layer1:role:user:viewer", "layer1:role:hook:viewer"]));
    assert_eq!(profile["networkWhitelist"], json!(["0.0.0.0/0"]));
    assert!(profile["rolesVersion"].is_u64());
    assert!(profile.get("email").is_none(), "a client has no e-mail address");
    let main = rig.client().get("/platform/v1/me").await.expect(200);
    let all: Vec<String> = Role::ALL.iter().map(|r| r.full()).collect();
    assert_eq!(main["roles"], json!(all));
    assert_eq!(main["accountId"], profile["accountId"]);
}

async fn the_catalogue_has_fifteen_roles_and_seven_bundles(rig: &Rig) {
    let list = rig.as_client(&rig.new_client(&[]).await).get("/platform/v1/roles").await.expect(200);
    let roles = list["roles"].as_array().unwrap();
    let ids: Vec<&str> = roles.iter().map(|r| r["id"].as_str().unwrap()).collect();
    let all: Vec<String> = Role::ALL.iter().map(|r| r.full()).collect();
    assert_eq!(ids, all);
    for role in roles {
        assert!(["VIEWER", "OPERATOR", "APPROVER"].contains(&role["level"].as_str().unwrap()), "{role}");
        for text in ["area", "description", "useCase", "apiEffect", "uiEffect"] {
            assert!(role[text].as_str().is_some_and(|t| !t.is_empty()), "{text} of {role}");
        }
        assert_eq!(role.as_object().unwrap().len(), 7, "{role}");
    }
    let bundles = list["bundles"].as_array().unwrap();
    assert_eq!(bundles.len(), 7);
    for bundle in bundles {
        assert!(bundle["scenario"].as_str().is_some_and(|t| !t.is_empty()));
        let held = bundle["roles"].as_array().unwrap();
        assert!(!held.is_empty() && held.iter().all(|r| ids.contains(&r.as_str().unwrap())), "{bundle}");
        // Each says when further roles must be held to grant it: a whole set needs none beyond its own.
        if held.len() < 15 {
            assert!(bundle["note"].as_str().is_some_and(|t| !t.is_empty()), "{bundle}");
        }
    }
}

/// Short or full on the way in, full on the way out, whatever their order and however often.
async fn roles_have_two_spellings_and_one_answer(rig: &Rig) {
    let made = rig
        .client()
        .new_client(&json!({ "roles": ["hook:viewer", "layer1:role:user:viewer", "user:viewer"] }))
        .await;
    let client = rig.client().get(&format!("/platform/v1/clients/{}", made.id)).await.expect(200);
    assert_eq!(client["roles"], json!(["layer1:role:user:viewer", "layer1:role:hook:viewer"]));
    assert_eq!(client["roleCount"], 2);
    let key = beem_tests::creds::new_key(beem_signing::KeyKind::Ed25519);
    let body = json!({ "name": "x", "publicKey": key.public().pem(), "roles": ["user:viewer", "user:root"] });
    let problem = rig.client().post("/platform/v1/clients", &body).await.refused(400, "validation-failed");
    assert_eq!(problem["errors"][0]["field"], "roles[1]");
}

/// No one hands out or takes over what they do not hold; removing, narrowing and disabling need only the operator role.
async fn nobody_hands_out_what_they_do_not_hold(rig: &Rig) {
    let operator = rig.as_client(&rig.new_client(&[Role::ClientOperator]).await);
    let strong = rig.new_client(&[Role::LedgerOperator]).await;
    let key = beem_tests::creds::new_key(beem_signing::KeyKind::Ed25519);
    let with = |roles: &[&str]| json!({ "name": "x", "publicKey": key.public().pem(), "roles": roles });
    let refused = |answer: beem_tests::Answer| answer.refused(403, "role-not-held");
    refused(operator.post("/platform/v1/clients", &with(&["ledger:viewer"])).await);
    operator.post("/platform/v1/clients", &with(&["client:operator"])).await.expect(201);
    let at = format!("/platform/v1/clients/{}", strong.id);
    refused(operator.patch(&at, &json!({ "roles": ["ledger:operator", "hook:viewer"] })).await);
    refused(operator.post(&format!("{at}/rotate"), &json!({ "publicKey": key.public().pem() })).await);
    operator.patch(&at, &json!({ "networkWhitelist": ["10.0.0.0/8"] })).await.expect(200);
    refused(operator.patch(&at, &json!({ "networkWhitelist": ["10.0.0.0/8", "11.0.0.0/8"] })).await);
    operator.patch(&at, &json!({ "enabled": false })).await.expect(200);
    refused(operator.patch(&at, &json!({ "enabled": true })).await);
    operator.patch(&at, &json!({ "roles": [] })).await.expect(200);
    // Now it holds nothing that the operator does not.
    operator.patch(&at, &json!({ "enabled": true })).await.expect(200);
}

async fn nobody_changes_their_own_access(rig: &Rig) {
    let creds = rig.new_client(&[Role::ClientOperator, Role::HookViewer]).await;
    let (own, at) = (rig.as_client(&creds), format!("/platform/v1/clients/{}", creds.id));
    for patch in [
        json!({ "roles": [] }),
        json!({ "enabled": false }),
        json!({ "networkWhitelist": ["127.0.0.1"] }),
        json!({ "name": "still me", "enabled": true }),
    ] {
        own.patch(&at, &patch).await.refused(403, "own-principal");
    }
    own.delete(&at).await.refused(403, "own-principal");
    assert_eq!(own.patch(&at, &json!({ "name": "still me" })).await.expect(200)["name"], "still me");
    let after = own.get(&at).await.expect(200);
    assert_eq!((&after["enabled"], &after["roleCount"]), (&json!(true), &json!(2)));
}

on_both_shapes!(
    a_profile_says_who_calls,
    the_catalogue_has_fifteen_roles_and_seven_bundles,
    roles_have_two_spellings_and_one_answer,
    nobody_hands_out_what_they_do_not_hold,
    nobody_changes_their_own_access,
);
