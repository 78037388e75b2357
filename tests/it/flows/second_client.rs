//! The main job: a request signed by a foreign client creates a second client, which can do just what its roles allow.

use crate::foreign::{self, Foreign, Way};
use beem_signing::{Algorithm, KeyKind};
use beem_tests::{Client, Creds, Rig, on_both_shapes};
use serde_json::{Value, json};

const CLIENTS: &str = "/platform/v1/clients";

async fn made_by(way: Way, client: &Client, roles: &[&str]) -> Creds {
    let key = beem_tests::creds::new_key(KeyKind::EcdsaP256);
    let body = json!({ "name": format!("made by {:?}", way.signer), "publicKey": key.public().pem(), "roles": roles });
    let made =
        foreign::request(client, way, "POST", CLIENTS, Some(&body), None).await.send().await.expect(201);
    let full: Vec<String> = roles.iter().map(|r| format!("layer1:role:{r}")).collect();
    assert_eq!(made["roles"], json!(full));
    assert_eq!((&made["roleCount"], &made["keyAlgorithm"]), (&json!(roles.len()), &json!("ecdsa-p256")));
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let [id, client_id, account_id] = ["id", "clientId", "accountId"].map(text);
    Creds { id, client_id, account_id, algorithm: key.kind().default_algorithm(), key }
}

/// What each request of the public contract answers to a client with these roles.
async fn can(client: &Client, some_client: &str) -> Vec<(&'static str, u16)> {
    let at = format!("{CLIENTS}/{some_client}");
    let renamed = json!({ "name": "renamed" });
    let name = json!({ "name": "Main" });
    let (key, pem) = (beem_tests::creds::new_key(KeyKind::Ed25519), Value::from);
    let new = json!({ "name": "third", "publicKey": pem(key.public().pem()) });
    vec![
        ("profile", client.get("/platform/v1/me").await.status),
        ("roles", client.get("/platform/v1/roles").await.status),
        ("account", client.get("/platform/v1/account").await.status),
        ("rename account", client.patch("/platform/v1/account", &name).await.status),
        ("list", client.get(CLIENTS).await.status),
        ("get", client.get(&at).await.status),
        ("create", client.post(CLIENTS, &new).await.status),
        ("edit", client.patch(&at, &renamed).await.status),
        (
            "rotate",
            client.post(&format!("{at}/rotate"), &json!({ "publicKey": key.public().pem() })).await.status,
        ),
        ("delete", client.delete(&at).await.status),
    ]
}

async fn a_foreign_client_creates_a_second_client_that_can_do_just_what_its_roles_allow(rig: &Rig) {
    let foreign = [
        Way { signer: Foreign::Python, algorithm: Algorithm::Ed25519, style: "authority-path-query" },
        Way { signer: Foreign::Node, algorithm: Algorithm::Ed25519, style: "target-uri" },
        Way { signer: Foreign::Documented, algorithm: Algorithm::Ed25519, style: "target-uri" },
    ];
    // Per set of roles: account name, reads and writes of clients.
    let cases: [(&[&str], u16, u16, u16, Way); 4] = [
        (&[], 403, 403, 403, foreign[0]),
        (&["client:viewer"], 403, 200, 403, foreign[1]),
        (&["client:operator"], 403, 200, 200, foreign[2]),
        (&["user:operator", "ledger:viewer"], 200, 403, 403, foreign[0]),
    ];
    for (roles, rename, read, write, way) in cases {
        let second = rig.as_client(&made_by(way, &rig.client(), roles).await);
        let victim = rig.new_client(&[]).await;
        let profile = second.get("/platform/v1/me").await.expect(200);
        assert_eq!((&profile["kind"], &profile["principalId"]), (&json!("CLIENT"), &json!(second.creds.id)));
        let create = if write == 200 { 201 } else { write };
        let wanted = vec![
            ("profile", 200),
            ("roles", 200),
            ("account", 200),
            ("rename account", rename),
            ("list", read),
            ("get", read),
            ("create", create),
            ("edit", write),
            ("rotate", write),
            ("delete", write),
        ];
        assert_eq!(can(&second, &victim.id).await, wanted, "{roles:?}");
    }
}

on_both_shapes!(a_foreign_client_creates_a_second_client_that_can_do_just_what_its_roles_allow);
