//! What takes more than one request to show: replays, nonces, and that a bad signature uses nothing up.

use super::{CLIENTS, ME};
use beem_signing::KeyKind;
use beem_tests::forge::{now_s, unique};
use beem_tests::{Client, Forge, Rig, Wire, on_both_shapes};
use serde_json::json;

fn post(client: &Client, name: &str) -> Forge {
    let key = beem_tests::creds::new_key(KeyKind::Ed25519);
    client.forge("POST", CLIENTS).json(&json!({ "name": name, "publicKey": key.public().pem() }))
}

/// How many clients of that name there are.
async fn count(rig: &Rig, name: &str) -> usize {
    let list = rig.client().get(&format!("{CLIENTS}?max=500")).await.expect(200);
    list["content"].as_array().unwrap().iter().filter(|c| c["name"] == name).count()
}

async fn a_captured_write_has_one_effect(rig: &Rig) {
    for nonce in [None, Some(unique())] {
        let name = unique();
        let wire = post(&rig.client(), &name).with(|f| f.nonce = nonce).sign();
        wire.send().await.expect(201);
        for _ in 0..3 {
            wire.send().await.refused(401, "signature-replayed");
        }
        assert_eq!(count(rig, &name).await, 1);
    }
}

async fn a_captured_write_sent_many_times_at_once_has_one_effect(rig: &Rig) {
    let name = unique();
    let wire = post(&rig.client(), &name).with(|f| f.nonce = None).sign();
    let answers = futures::future::join_all((0..12).map(|_| wire.send())).await;
    let made = answers.iter().filter(|a| a.status == 201).count();
    assert_eq!(made, 1, "{:?}", answers.iter().map(|a| (a.status, a.code())).collect::<Vec<_>>());
    assert!(answers.iter().filter(|a| a.status != 201).all(|a| a.code() == "signature-replayed"));
    assert_eq!(count(rig, &name).await, 1);
}

/// The replay key is of keyid and base: neither another label nor another spelling of the header makes it a new request.
async fn a_captured_write_under_another_label_is_the_same(rig: &Rig) {
    let wire = post(&rig.client(), &unique()).with(|f| f.nonce = None).sign();
    wire.send().await.expect(201);
    let renamed = |v: String| v.replacen("sig=", "again=", 1);
    let again = wire.clone().change("signature", renamed).change("signature-input", renamed);
    again.send().await.refused(401, "signature-replayed");
    let beside = wire.change("signature-input", |v| format!("x=();keyid=\"x\", {v}"));
    beside.change("signature", |v| format!("x=:AAAA:, {v}")).send().await.refused(401, "signature-replayed");
}

/// P-256 signatures are drawn anew each time: the same base under two signatures is one request.
async fn two_signatures_of_one_base_are_one_request(rig: &Rig) {
    let creds =
        rig.client().new_client_of(KeyKind::EcdsaP256, &json!({ "roles": ["client:operator"] })).await;
    let forge = post(&rig.as_client(&creds), &unique()).with(|f| f.nonce = None);
    let (one, two) = (forge.clone().sign(), forge.sign());
    assert_ne!(one.value("signature"), two.value("signature"));
    assert_eq!(one.value("signature-input"), two.value("signature-input"));
    one.send().await.expect(201);
    two.send().await.refused(401, "signature-replayed");
}

/// BEEM's deterministic signer has no nonce, so two equal GETs in one second are legitimate.
async fn equal_reads_may_be_repeated(rig: &Rig) {
    let wire = rig.client().forge("GET", ME).with(|f| f.nonce = None).sign();
    for _ in 0..3 {
        wire.send().await.expect(200);
    }
}

async fn a_nonce_is_single_use_on_reads_too(rig: &Rig) {
    let wire = rig.client().forge("GET", ME).sign();
    wire.send().await.expect(200);
    wire.send().await.refused(401, "signature-replayed");
}

/// Single use per client: on another request, and another method; another client's equal nonce is another nonce.
async fn a_nonce_belongs_to_its_client(rig: &Rig) {
    let nonce = unique();
    let with = |f: &mut Forge| f.nonce = Some(nonce.clone());
    let other = rig.as_client(&rig.new_client(&[]).await);
    rig.client().forge("GET", ME).with(with).sign().send().await.expect(200);
    rig.client()
        .forge("GET", "/platform/v1/roles")
        .with(with)
        .sign()
        .send()
        .await
        .refused(401, "signature-replayed");
    post(&rig.client(), "x").with(with).sign().send().await.refused(401, "signature-replayed");
    other.forge("GET", ME).with(with).sign().send().await.expect(200);
}

/// Failures row 25: a nonce burned by a bad signature locks the real caller out.
async fn row_25_a_bad_signature_burns_no_nonce(rig: &Rig) {
    let client = rig.client();
    let good = post(&client, &unique()).sign();
    let wrong = client.creds.with_key(&beem_tests::creds::new_key(KeyKind::Ed25519));
    let thief = Client { creds: wrong, ..client.clone() };
    let nonce =
        good.value("signature-input").split("nonce=\"").nth(1).unwrap().trim_end_matches('"').to_owned();
    for _ in 0..3 {
        let forged = thief.forge("GET", ME).with(|f| f.nonce = Some(nonce.clone()));
        forged.sign().send().await.refused(401, "signature-invalid");
    }
    // The real request, spoiled on its way in every manner that is judged before the nonce.
    let spoiled: [fn(Wire) -> Wire; 3] = [
        |w| w.change("signature", |v| v.replacen("sig=:", "sig=:AAAA", 1)),
        |w| w.with_body("{}"),
        |w| w.change("signature-input", |v| v.replacen("\"date\"", "\"x-none\"", 1)),
    ];
    for spoil in spoiled {
        assert_eq!(spoil(good.clone()).send().await.status, 401);
    }
    good.send().await.expect(201);
    good.send().await.refused(401, "signature-replayed");
}

/// A caller that is refused after its signature held used its nonce up at most, never its request: signed anew, it passes.
async fn a_request_refused_for_its_body_may_be_signed_anew(rig: &Rig) {
    let (client, name) = (rig.client(), unique());
    let bad = client.forge("POST", CLIENTS).json(&json!({ "name": name }));
    bad.sign().send().await.refused(400, "validation-failed");
    post(&client, &name).with(|f| f.created = Some(now_s())).sign().send().await.expect(201);
}

on_both_shapes!(
    a_captured_write_has_one_effect,
    a_captured_write_sent_many_times_at_once_has_one_effect,
    a_captured_write_under_another_label_is_the_same,
    two_signatures_of_one_base_are_one_request,
    equal_reads_may_be_repeated,
    a_nonce_is_single_use_on_reads_too,
    a_nonce_belongs_to_its_client,
    row_25_a_bad_signature_burns_no_nonce,
    a_request_refused_for_its_body_may_be_signed_anew,
);
