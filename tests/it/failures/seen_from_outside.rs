//! Row 24, a role removed still works somewhere, and row 25, a nonce burned by a bad signature.

use crate::revocation::{CLIENTS, refused_within_a_second};
use beem_proto::{Access, Contract};
use beem_roles::{Role, RoleSet};
use beem_signing::KeyKind;
use beem_tests::creds::new_key;
use beem_tests::forge::unique;
use beem_tests::{Client, Rig, on_both_shapes};
use futures::future::join_all;
use serde_json::json;
use tokio::time::Instant;

/// Every RPC that wants a role, at every gateway, after all roles were removed: those judged afresh at once, all of
/// them within a second.
async fn row_24_a_role_removed_works_nowhere(rig: &Rig) {
    let every: Vec<Role> = RoleSet::ALL.iter().collect();
    let creds = rig.new_client(&every).await;
    let victim = rig.new_client(&[]).await;
    let clients: Vec<Client> = rig.everywhere(&creds).collect();
    for client in &clients {
        client.get(CLIENTS).await.expect(200);
    }
    rig.client().patch(&format!("{CLIENTS}/{}", creds.id), &json!({ "roles": [] })).await.expect(200);
    let since = Instant::now();
    let contract = Contract::load().unwrap();
    let guarded: Vec<_> = contract.methods().filter(|m| matches!(m.access, Access::AnyOf(_))).collect();
    assert!(guarded.len() >= 6);
    for fresh in [true, false] {
        if !fresh {
            refused_within_a_second(&clients, CLIENTS, since, &[(403, "role-missing")]).await;
        }
        for method in guarded.iter().filter(|m| m.fresh == fresh) {
            for binding in &method.http {
                let target = binding.template.replace("{id}", &victim.id);
                let answers = clients
                    .iter()
                    .map(|c| async { c.forge(binding.verb.as_str(), &target).sign().send().await });
                for answer in join_all(answers).await {
                    assert_eq!(
                        (answer.status, answer.code().as_str()),
                        (403, "role-missing"),
                        "{}",
                        method.name
                    );
                }
            }
        }
    }
    // Nothing of it happened.
    rig.client().get(&format!("{CLIENTS}/{}", victim.id)).await.expect(200);
}

/// Whoever signs badly with somebody else's nonce and key takes neither from them.
async fn row_25_a_bad_signature_burns_neither_nonce_nor_key(rig: &Rig) {
    let creds = rig.new_client(&[Role::ClientOperator]).await;
    let thief = creds.with_key(&new_key(KeyKind::Ed25519));
    let (nonce, key) = (unique(), unique());
    let body = json!({ "name": unique(), "publicKey": new_key(KeyKind::Ed25519).public().pem() });
    let signed = |client: &Client| {
        let forge = client.forge("POST", CLIENTS).json(&body).keyed(&key);
        forge.with(|f| f.nonce = Some(nonce.clone())).sign()
    };
    for client in rig.everywhere(&thief) {
        for _ in 0..3 {
            signed(&client).send().await.refused(401, "signature-invalid");
        }
    }
    let own = signed(&rig.as_client(&creds)).send().await;
    assert_eq!(own.header("idempotent-replayed"), None);
    own.expect(201);
    // Used once, it is used up, at every gateway.
    for client in rig.everywhere(&creds) {
        signed(&client).send().await.refused(401, "signature-replayed");
    }
}

on_both_shapes!(row_24_a_role_removed_works_nowhere, row_25_a_bad_signature_burns_neither_nonce_nor_key);
