//! A webhook registered through the public API, received and verified by foreign code; keys that change under it.

use super::stranger::{Receiving, Stranger, keys};
use super::{EXECUTED, KEY_ROTATED, WALLET_CREATED, hook, under};
use crate::ledger::books::{Purse, id};
use beem_receiver::{Answer, Receiver};
use beem_tests::{Client, Rig, on_both_shapes};
use serde_json::{Map, Value, json};
use std::process::Command;

/// Schemas by type, as the catalogue has them.
async fn schemas(client: &Client) -> Value {
    let types = client.get("/platform/v1/hook-events").await.expect(200);
    let types = types["content"].as_array().unwrap().clone();
    let available = types.into_iter().filter(|ty| ty["available"] == true);
    let schemas: Map<_, _> =
        available.map(|ty| (ty["event"].as_str().unwrap().to_owned(), ty["schema"].clone())).collect();
    for event in [WALLET_CREATED, EXECUTED, KEY_ROTATED] {
        assert!(schemas.contains_key(event), "{event}");
    }
    schemas.into()
}

fn secret(hook: &Value) -> &str {
    hook["signingSecret"].as_str().unwrap()
}

/// One event of every type that is made. That a body is what its schema says, Python alone checks: see receive.mjs.
async fn strangers_receive_and_verify(rig: &Rig) {
    let purse = Purse::new(rig);
    let schemas = schemas(&purse.0).await;
    for stranger in [Stranger::Python, Stranger::Node] {
        let mut receiving = Receiving::start(stranger).await;
        let made = hook(&purse.0, &receiving.url, &["*"]).await;
        receiving.knows(&keys(&[(&made, secret(&made))], &schemas)).await;
        let usd = purse.filled("USD", "10.00").await;
        assert_eq!(receiving.verified().await.0, WALLET_CREATED);
        let eur = purse.wallet("EUR").await;
        assert_eq!(receiving.verified().await.0, WALLET_CREATED);
        purse.execute(&id(&purse.quote(&usd, &eur, "1.08").await)).await.expect(200);
        assert_eq!(receiving.verified().await.0, EXECUTED);
        let client = purse.0.new_client(&json!({})).await;
        let new = beem_tests::creds::new_key(beem_signing::KeyKind::Ed25519).public().pem();
        let rotate = format!("/platform/v1/clients/{}/rotate", client.id);
        purse.0.post(&rotate, &json!({ "publicKey": new })).await.expect(200);
        assert_eq!(receiving.verified().await.0, KEY_ROTATED);
        let test = purse.0.post(&under(&made, "/test"), &json!({})).await.expect(200);
        assert_eq!(receiving.verified().await.1, test["eventId"].as_str().unwrap());
        purse.0.delete(&under(&made, "")).await.expect(200);
    }
}

/// Old keys, then both, then the new ones: at no time is there an event that the receiver cannot verify.
async fn keys_rotate_without_a_gap(rig: &Rig) {
    let purse = Purse::new(rig);
    for stranger in [Stranger::Python, Stranger::Node] {
        let mut receiving = Receiving::start(stranger).await;
        let old = hook(&purse.0, &receiving.url, &[WALLET_CREATED]).await;
        let (none, old_keys) = (json!({}), (&old, secret(&old)));
        receiving.knows(&keys(&[old_keys], &none)).await;
        let overlap = json!({ "retireOldAfter": 3600 });
        let new = purse.0.post(&under(&old, "/rotate"), &overlap).await.expect(200);
        assert_ne!(new["publicKey"], old["publicKey"]);
        assert_eq!(new["retiringKey"]["publicKey"], old["publicKey"]);
        // The receiver has heard nothing of it yet.
        purse.wallet("EUR").await;
        receiving.verified().await;
        let new_keys = (&new, secret(&new));
        receiving.knows(&keys(&[old_keys, new_keys], &none)).await;
        purse.wallet("EUR").await;
        receiving.verified().await;
        // No overlap: whatever was there before stops at once.
        let newest = purse.0.post(&under(&old, "/rotate"), &json!({})).await.expect(200);
        assert!(newest.get("retiringKey").is_none(), "{newest}");
        receiving.knows(&keys(&[(&newest, secret(&newest))], &none)).await;
        purse.wallet("EUR").await;
        receiving.verified().await;
        receiving.knows(&keys(&[old_keys, new_keys], &none)).await;
        purse.0.post(&under(&old, "/test"), &json!({})).await.expect(200);
        assert_eq!(receiving.refused().await, "webhook-signature v1");
        purse.0.delete(&under(&old, "")).await.expect(200);
    }
}

/// With nothing but OpenSSL's command line and the hook's public key.
async fn openssl_verifies(rig: &Rig) {
    use base64::Engine as _;
    let purse = Purse::new(rig);
    let receiver = Receiver::start(Answer::status(204)).await;
    let made = hook(&purse.0, &receiver.url(), &[WALLET_CREATED]).await;
    let wallet = purse.wallet("USD").await;
    let received = receiver.wait_for(1).await.remove(0);
    let folder = tempfile::tempdir().unwrap();
    let signature = base64::engine::general_purpose::STANDARD.decode(received.header("x-signature")).unwrap();
    let text = |name: &str| made[name].as_str().unwrap().as_bytes().to_vec();
    for (name, bytes) in
        [("key.pem", text("publicKeyPem")), ("signature", signature), ("body", received.body.clone())]
    {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let verify = |body: &str| {
        let mut openssl = Command::new("openssl");
        openssl.args(["dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", body]);
        openssl.current_dir(folder.path()).output().unwrap()
    };
    let said = verify("body");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    std::fs::write(folder.path().join("other"), [&received.body[..], b" "].concat()).unwrap();
    assert!(!verify("other").status.success());
    // The object as its GET answers it.
    let event = received.json();
    assert_eq!(event["data"], purse.0.get(&format!("/api/v1/wallets/{wallet}")).await.expect(200));
    assert_eq!((&event["source"], &event["event"]), (&json!("ledger"), &json!(WALLET_CREATED)));
    assert_eq!((&event["sequence"], &event["accountId"]), (&json!(1), &json!(purse.0.creds.account_id)));
    let der = base64::engine::general_purpose::STANDARD.decode(made["publicKey"].as_str().unwrap()).unwrap();
    assert_eq!(der.len(), 294, "RSA-2048 as SubjectPublicKeyInfo");
}

on_both_shapes!(strangers_receive_and_verify, keys_rotate_without_a_gap, openssl_verifies);
