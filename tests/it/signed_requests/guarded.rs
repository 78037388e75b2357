//! Behind a trusted proxy and with low limits: whose address counts, and how often one may call.

use super::ME;
use beem_clock::Entropy;
use beem_signing::KeyKind;
use beem_tests::forge::unique;
use beem_tests::rig::{GUARDED_ADDRESS_PER_S, GUARDED_CLIENT_PER_S};
use beem_tests::{Answer, Client, Creds, Forge, Rig, Wire, on_both_guarded_shapes};
use serde_json::json;

/// An address nobody else calls from.
fn somewhere() -> String {
    let [a, b, c] = Entropy::System.bytes::<3>();
    format!("10.{a}.{b}.{c}")
}

/// From that address, as the proxy tells it.
async fn from(client: &Client, forwarded: &str) -> Answer {
    client.forge("GET", ME).sign().header("x-forwarded-for", forwarded).send().await
}

/// A client of an account of its own, so that no other test shares its limits, allowed from these networks alone.
async fn allowed_from(rig: &Rig, networks: &[&str]) -> Client {
    let owner = rig.as_client(&rig.new_account());
    let key = beem_tests::creds::new_key(KeyKind::Ed25519);
    let body = json!({ "name": "guarded", "publicKey": key.public().pem(), "networkWhitelist": networks });
    let forge = owner.forge("POST", "/platform/v1/clients").json(&body).sign();
    let made = forge.header("x-forwarded-for", somewhere()).send().await.expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let creds = Creds {
        id: text("id"),
        client_id: text("clientId"),
        account_id: text("accountId"),
        algorithm: key.kind().default_algorithm(),
        key,
    };
    rig.as_client(&creds)
}

/// `X-Forwarded-For` is walked from right to left past trusted hops; what a caller writes itself stands on the left.
async fn a_trusted_proxy_says_who_calls(rig: &Rig) {
    let client = allowed_from(rig, &["203.0.113.0/24"]).await;
    for inside in ["203.0.113.5", "198.51.100.1, 203.0.113.5", "203.0.113.9, 127.0.0.1"] {
        from(&client, inside).await.expect(200);
    }
    for outside in ["198.51.100.1", "203.0.113.5, 198.51.100.1"] {
        from(&client, outside).await.refused(403, "network-not-allowed");
    }
    // Nobody said anything: the proxy itself calls.
    client.forge("GET", ME).sign().send().await.refused(403, "network-not-allowed");
}

async fn mapped_addresses_are_the_ipv4_addresses_they_are(rig: &Rig) {
    let client = allowed_from(rig, &["203.0.113.5", "2001:db8::/32"]).await;
    from(&client, "::ffff:203.0.113.5").await.expect(200);
    from(&client, "2001:db8:1::1").await.expect(200);
    from(&client, "::ffff:203.0.113.6").await.refused(403, "network-not-allowed");
    from(&client, "2001:db9::1").await.refused(403, "network-not-allowed");
}

/// The fields of draft-ietf-httpapi-ratelimit-headers, and RFC 9110 section 10.2.3.
fn told_when(answer: &Answer) {
    answer.refused(429, "rate-limited");
    let seconds: u32 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let field = answer.header("ratelimit").unwrap_or_else(|| panic!("no RateLimit in {:?}", answer.headers));
    assert!(field.contains("r=0"), "{field}");
}

async fn one_client_has_its_own_limit(rig: &Rig) {
    let (busy, calm) = (rig.as_client(&rig.new_account()), rig.as_client(&rig.new_account()));
    let answer = from(&busy, &somewhere()).await;
    answer.expect(200);
    let field = answer.header("ratelimit").expect("RateLimit on an answer");
    assert!(field.contains("r="), "{field}");
    let burst = GUARDED_CLIENT_PER_S * 4;
    let places: Vec<String> = (0..burst).map(|_| somewhere()).collect();
    let answers = futures::future::join_all(places.iter().map(|place| from(&busy, place))).await;
    let refused: Vec<_> = answers.iter().filter(|a| a.status != 200).collect();
    assert!(!refused.is_empty() && refused.len() < answers.len(), "{} of {burst}", refused.len());
    refused.iter().for_each(|a| told_when(a));
    from(&calm, &somewhere()).await.expect(200);
    // A limit passes by itself.
    beem_tests::eventually("the busy client is let in again", || async {
        (from(&busy, &somewhere()).await.status == 200).then_some(())
    })
    .await;
}

/// Judged before anything is verified: whoever signs badly is counted, and pages too.
async fn one_address_has_its_own_limit(rig: &Rig) {
    let (client, place) = (rig.as_client(&rig.new_account()), somewhere());
    let bad = |f: &mut Forge| f.keyid = "nobody".into();
    let wires: Vec<_> = (0..GUARDED_ADDRESS_PER_S * 4)
        .map(|_| client.forge("GET", ME).with(bad).sign().header("x-forwarded-for", &place))
        .collect();
    let answers = futures::future::join_all(wires.iter().map(Wire::send)).await;
    let refused: Vec<_> = answers.iter().filter(|a| a.status != 401).collect();
    assert!(!refused.is_empty() && refused.len() < answers.len(), "{} of {}", refused.len(), answers.len());
    refused.iter().for_each(|a| told_when(a));
    from(&client, &somewhere()).await.expect(200);
}

/// Failures row 25, its other half: bad signatures under somebody's keyid leave that client its quota.
async fn row_25_a_bad_signature_uses_up_no_quota(rig: &Rig) {
    let client = rig.as_client(&rig.new_account());
    let wrong = client.creds.with_key(&beem_tests::creds::new_key(KeyKind::Ed25519));
    let thief = Client { creds: wrong, ..client.clone() };
    let places: Vec<String> = (0..GUARDED_CLIENT_PER_S * 6).map(|_| somewhere()).collect();
    let answers = futures::future::join_all(places.iter().map(|place| from(&thief, place))).await;
    answers.iter().for_each(|a| {
        a.refused(401, "signature-invalid");
    });
    // All of the burst is still there.
    for _ in 0..GUARDED_CLIENT_PER_S * 2 {
        from(&client, &somewhere()).await.expect(200);
    }
}

/// Every gateway serves the same origin and knows what the others have seen.
async fn a_captured_write_is_refused_at_every_gateway(rig: &Rig) {
    let owner = rig.new_account();
    for nonce in [None, Some(unique())] {
        let key = beem_tests::creds::new_key(KeyKind::Ed25519);
        let body = json!({ "name": "captured", "publicKey": key.public().pem() });
        let forge = rig.as_client(&owner).forge("POST", "/platform/v1/clients").json(&body);
        let wire = forge.with(|f| f.nonce = nonce).sign();
        let at = |client: &Client| {
            let address = client.gateway.address;
            Wire { address, ..wire.clone() }.header("x-forwarded-for", somewhere())
        };
        at(&rig.as_client(&owner)).send().await.expect(201);
        for client in rig.everywhere(&owner) {
            at(&client).send().await.refused(401, "signature-replayed");
        }
    }
}

on_both_guarded_shapes!(
    a_captured_write_is_refused_at_every_gateway,
    a_trusted_proxy_says_who_calls,
    mapped_addresses_are_the_ipv4_addresses_they_are,
    one_client_has_its_own_limit,
    one_address_has_its_own_limit,
    row_25_a_bad_signature_uses_up_no_quota,
);
