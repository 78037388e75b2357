//! The life of a client: made, read, edited, suspended, given a new key, deleted.

use beem_signing::{KeyKind, PublicKey};
use beem_tests::{Client, Rig, eventually, on_both_shapes};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const CLIENTS: &str = "/platform/v1/clients";
const ME: &str = "/platform/v1/me";

fn at(id: &str) -> String {
    format!("{CLIENTS}/{id}")
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|t| t.ends_with('Z') && OffsetDateTime::parse(t, &Rfc3339).is_ok())
}

fn is_uuid_v7(value: &Value) -> bool {
    value.as_str().and_then(|t| t.parse::<uuid::Uuid>().ok()).is_some_and(|id| id.get_version_num() == 7)
}

async fn a_client_is_answered_whole(rig: &Rig) {
    let main = rig.client();
    let key = beem_tests::creds::new_key(KeyKind::Rsa);
    let body = json!({
        "name": "Till 7",
        "publicKey": key.public().pem(),
        "networkWhitelist": ["192.0.2.1", "2001:db8::/32", "10.0.0.0/8"],
        "roles": ["payment:viewer"],
    });
    let made = main.post(CLIENTS, &body).await.expect(201);
    assert!(is_uuid_v7(&made["id"]) && is_uuid_v7(&made["clientId"]), "{made}");
    assert_ne!(made["id"], made["clientId"]);
    assert_eq!(made["accountId"], rig.main.account_id.as_str());
    assert_eq!((&made["name"], &made["enabled"]), (&json!("Till 7"), &json!(true)));
    assert_eq!(
        PublicKey::parse_pem(made["publicKey"].as_str().unwrap()).unwrap().fingerprint(),
        made["keyFingerprint"].as_str().unwrap()
    );
    assert_eq!(
        (&made["keyAlgorithm"], &made["keyFingerprint"]),
        (&json!("rsa"), &json!(key.public().fingerprint()))
    );
    assert_eq!(made["networkWhitelist"].as_array().unwrap().len(), 3);
    assert_eq!((&made["roles"], &made["roleCount"]), (&json!(["layer1:role:payment:viewer"]), &json!(1)));
    assert!(made["rolesVersion"].is_u64() && is_time(&made["dateCreated"]));
    let me = main.get(ME).await.expect(200);
    assert_eq!(made["createdBy"], me["principalId"]);
    assert!(made.get("retiringKey").is_none() && made.get("lastUsed").is_none(), "{made}");
    assert_eq!(main.get(&at(made["id"].as_str().unwrap())).await.expect(200), made);
}

async fn absent_and_empty_lists_differ(rig: &Rig) {
    let main = rig.client();
    let key = beem_tests::creds::new_key(KeyKind::Ed25519);
    let mut body = json!({ "name": "x", "publicKey": key.public().pem() });
    let made = main.post(CLIENTS, &body).await.expect(201);
    assert_eq!(
        (&made["networkWhitelist"], &made["roles"], &made["roleCount"]),
        (&json!(["0.0.0.0/0"]), &json!([]), &json!(0))
    );
    body["networkWhitelist"] = json!([]);
    let problem = main.post(CLIENTS, &body).await.refused(400, "validation-failed");
    assert_eq!(problem["errors"][0]["field"], "networkWhitelist");
    let id = made["id"].as_str().unwrap();
    main.patch(&at(id), &json!({ "networkWhitelist": [] })).await.refused(400, "validation-failed");
    for wrong in ["10.0.0.0/33", "localhost", "", "10.0.0.1/8x"] {
        body["networkWhitelist"] = json!(["10.0.0.0/8", wrong]);
        main.post(CLIENTS, &body).await.refused(400, "validation-failed");
    }
}

/// Anything but a public key of the four algorithms is a 400 that says what was found.
async fn keys_that_are_none_are_refused_by_name(rig: &Rig) {
    let key = beem_tests::creds::new_key(KeyKind::Ed25519);
    let private = key.to_pkcs8_pem().unwrap();
    let public = key.public().pem();
    let certificate = public.replace("PUBLIC KEY", "CERTIFICATE");
    let rsa_1024 = "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDMYfnvWtC8Id5bPKae5yXSxQTt\n\
                    +Zpul6AnnZWfI2TtIarvjHBFUtXRo96y7hoL4VWOPKGCsRqMFDkrbeUjRrx8iL91\n4/srnyf6sh9c8Zk04xEOpK1ypvBz+Ks4uZObtjnnitf0NBGdjMKxveTq+VE7BWUI\n\
                    yQjtQ8mbDOsiLLvh7wIDAQAB\n-----END PUBLIC KEY-----\n";
    for (pem, says) in [
        (private.as_str(), "private"),
        (certificate.as_str(), "certificate"),
        ("junk", ""),
        ("", ""),
        (rsa_1024, "1024"),
    ] {
        let body = json!({ "name": "x", "publicKey": pem });
        let problem = rig.client().post(CLIENTS, &body).await.refused(400, "validation-failed");
        let error = &problem["errors"][0];
        assert_eq!(error["field"], "publicKey", "{problem}");
        assert!(error["detail"].as_str().unwrap().to_lowercase().contains(says), "{says}: {problem}");
        assert!(
            !problem.to_string().contains(private.lines().nth(1).unwrap()),
            "a private key is not repeated"
        );
    }
}

async fn a_patch_changes_exactly_what_it_names(rig: &Rig) {
    let main = rig.client();
    let creds = main
        .new_client(&json!({ "roles": ["hook:viewer", "user:viewer"], "networkWhitelist": ["10.0.0.0/8"] }))
        .await;
    let before = main.get(&at(&creds.id)).await.expect(200);
    let patched = |patch: Value| {
        let main = main.clone();
        let path = at(&creds.id);
        async move { main.patch(&path, &patch).await.expect(200) }
    };
    let same = |a: &Value, b: &Value, but: &[&str]| {
        for (name, value) in a.as_object().unwrap() {
            assert!(but.contains(&name.as_str()) || b[name] == *value, "{name}: {value} is now {}", b[name]);
        }
    };
    let named = patched(json!({ "name": "renamed" })).await;
    same(&before, &named, &["name"]);
    let without_roles = patched(json!({ "roles": [] })).await;
    assert_eq!((&without_roles["roles"], &without_roles["name"]), (&json!([]), &json!("renamed")));
    assert!(without_roles["rolesVersion"].as_u64() > before["rolesVersion"].as_u64());
    same(&named, &without_roles, &["roles", "roleCount", "rolesVersion"]);
    let with_role = patched(json!({ "roles": ["layer1:role:ledger:viewer"] })).await;
    assert_eq!(with_role["roles"], json!(["layer1:role:ledger:viewer"]), "lists are replaced whole");
    let disabled = patched(json!({ "enabled": false })).await;
    assert_eq!(disabled["enabled"], false);
    assert_eq!(patched(json!({})).await["enabled"], false, "an empty patch changes nothing");
    for wrong in [
        json!({ "name": null }),
        json!({ "roles": null }),
        json!({ "enabled": null }),
        json!({ "enabled": "no" }),
    ] {
        main.patch(&at(&creds.id), &wrong).await.refused(400, "validation-failed");
    }
    for unknown in ["id", "clientId", "publicKey", "present", "createdBy"] {
        let problem =
            main.patch(&at(&creds.id), &json!({ unknown: "x" })).await.refused(400, "unknown-field");
        assert_eq!(problem["errors"][0]["field"], unknown);
    }
}

async fn suspended_is_out_and_back(rig: &Rig) {
    let (main, creds) = (rig.client(), rig.new_client(&[]).await);
    let client = rig.as_client(&creds);
    client.get(ME).await.expect(200);
    main.patch(&at(&creds.id), &json!({ "enabled": false })).await.expect(200);
    for gateway in rig.everywhere(&creds) {
        let elsewhere = Client { creds: creds.clone(), ..gateway };
        eventually("a suspended client is refused", || async {
            (elsewhere.get(ME).await.code() == "principal-disabled").then_some(())
        })
        .await;
    }
    main.patch(&at(&creds.id), &json!({ "enabled": true })).await.expect(200);
    eventually("it is let in again", || async { (client.get(ME).await.status == 200).then_some(()) }).await;
}

/// At once, or with an overlap: `clientId` stays the same.
async fn a_key_is_rotated_with_and_without_overlap(rig: &Rig) {
    let (main, creds) = (rig.client(), rig.new_client(&[]).await);
    let path = format!("{}/rotate", at(&creds.id));
    let (second, third) =
        (beem_tests::creds::new_key(KeyKind::EcdsaP256), beem_tests::creds::new_key(KeyKind::Rsa));
    let (first, second) = (creds.clone(), creds.with_key(&second));
    let third = creds.with_key(&third);
    let overlap = json!({ "publicKey": second.key.public().pem(), "retireOldAfter": 3600 });
    let rotated = main.post(&path, &overlap).await.expect(200);
    assert_eq!(rotated["clientId"], creds.client_id.as_str());
    assert_eq!(
        (&rotated["keyAlgorithm"], &rotated["keyFingerprint"]),
        (&json!("ecdsa-p256"), &json!(second.key.public().fingerprint()))
    );
    let retiring = &rotated["retiringKey"];
    assert_eq!(retiring["keyFingerprint"], first.key.public().fingerprint());
    assert!(is_time(&retiring["notAfter"]), "{retiring}");
    for key in [&first, &second] {
        rig.as_client(key).get(ME).await.expect(200);
    }
    let at_once = main.post(&path, &json!({ "publicKey": third.key.public().pem() })).await.expect(200);
    assert!(at_once.get("retiringKey").is_none(), "{at_once}");
    rig.as_client(&third).get(ME).await.expect(200);
    for gone in [&first, &second] {
        eventually("an old key is refused", || async {
            (rig.as_client(gone).get(ME).await.code() == "signature-invalid").then_some(())
        })
        .await;
    }
    for seconds in [json!(604_801), json!(-1), json!("1h"), json!(1.5)] {
        let key = beem_tests::creds::new_key(KeyKind::Ed25519);
        let wrong = json!({ "publicKey": key.public().pem(), "retireOldAfter": seconds });
        main.post(&path, &wrong).await.refused(400, "validation-failed");
    }
    rig.as_client(&third).get(ME).await.expect(200);
}

async fn deleted_is_for_good(rig: &Rig) {
    let (main, creds) = (rig.client(), rig.new_client(&[]).await);
    let answer = main.delete(&at(&creds.id)).await.expect(200);
    assert_eq!((&answer["id"], &answer["enabled"]), (&json!(creds.id), &json!(false)));
    for client in rig.everywhere(&creds) {
        eventually("a deleted client is unknown", || async {
            (client.get(ME).await.code() == "client-unknown").then_some(())
        })
        .await;
    }
    let kept = main.get(&at(&creds.id)).await.expect(200);
    assert_eq!(kept["id"], creds.id.as_str(), "the record stays");
    let list = main.get(&format!("{CLIENTS}?max=500")).await.expect(200);
    assert!(
        list["content"].as_array().unwrap().iter().all(|c| c["id"] != creds.id.as_str()),
        "but it is not listed"
    );
    main.delete(&at(&creds.id)).await.expect(200);
    assert!(main.patch(&at(&creds.id), &json!({ "enabled": true })).await.status >= 400);
    assert_eq!(rig.as_client(&creds).get(ME).await.code(), "client-unknown");
}

async fn the_last_use_is_noted(rig: &Rig) {
    let (main, creds) = (rig.client(), rig.new_client(&[]).await);
    rig.as_client(&creds).get(ME).await.expect(200);
    let seen = eventually("the last use is noted", || async {
        let client = main.get(&at(&creds.id)).await.expect(200);
        client.get("lastUsed").cloned()
    })
    .await;
    assert!(is_time(&seen["time"]), "{seen}");
    assert_eq!(seen["address"], "127.0.0.1");
}

on_both_shapes!(
    a_client_is_answered_whole,
    absent_and_empty_lists_differ,
    keys_that_are_none_are_refused_by_name,
    a_patch_changes_exactly_what_it_names,
    suspended_is_out_and_back,
    a_key_is_rotated_with_and_without_overlap,
    deleted_is_for_good,
    the_last_use_is_noted,
);
