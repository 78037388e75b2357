//! BEEM's documented signer, its equals in other styles, and every algorithm: signed here, judged here.

use crate::request::{NOW_S, Request, file, private, public};
use beem_clock::Entropy;
use beem_signing::{Algorithm, KeyKind, PrivateKey, Signer, Style};
use http::Method;

const URL: &str = "http://127.0.0.1:8080/api/v1/pay?max=10";

fn signer(kind: KeyKind) -> Signer {
    Signer::new("1f0c-client", PrivateKey::generate(kind, &Entropy::seeded(1)).unwrap())
}

/// The header of the contract's 2.2, letter by letter.
#[test]
fn the_documented_header_is_made_and_passes() {
    let signer = Signer::new("1f0c-client", private("test-key-rsa"));
    let posted = Request::new(Method::POST, URL, "{}").signed_by(&signer);
    assert_eq!(
        posted.headers["signature-input"],
        format!(
            r#"sig=("@method" "@target-uri" "content-digest" "date");created={NOW_S};keyid="1f0c-client";alg="rsa-v1_5-sha256""#
        )
    );
    let verified = posted.judged(signer.key.public()).unwrap();
    assert_eq!(
        verified.base,
        "\"@method\": POST\n\
         \"@target-uri\": http://127.0.0.1:8080/api/v1/pay?max=10\n\
         \"content-digest\": sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:\n\
         \"date\": Tue, 20 Apr 2021 02:07:53 GMT\n\
         \"@signature-params\": (\"@method\" \"@target-uri\" \"content-digest\" \"date\");created=1618884473;keyid=\"1f0c-client\";alg=\"rsa-v1_5-sha256\""
    );
    let got = Request::new(Method::GET, URL, "").signed_by(&signer);
    assert_eq!(
        got.headers["signature-input"],
        format!(
            r#"sig=("@method" "@target-uri" "date");created={NOW_S};keyid="1f0c-client";alg="rsa-v1_5-sha256""#
        )
    );
    assert_eq!(got.verdict(&public("test-key-rsa")), "ok");
    assert_eq!(got.judged(&public("test-key-rsa")).unwrap().algorithm, Algorithm::RsaV15Sha256);
}

#[test]
fn every_algorithm_in_both_styles() {
    for algorithm in Algorithm::ALL {
        for style in [Style::TargetUri, Style::Parts] {
            let signer = Signer { algorithm, style, label: "a-b.c".into(), ..signer(algorithm.key_kind()) };
            for url in
                [URL, "https://api.example.com", "https://api.example.com/x?", "https://[::1]:4430/%2F"]
            {
                for body in ["", "{\"a\":1}"] {
                    let request = Request::new(Method::PUT, url, body)
                        .with("idempotency-key", "order 7")
                        .signed_with(&signer, Some("n-\"1\""));
                    let verified = request
                        .judged(signer.key.public())
                        .unwrap_or_else(|e| panic!("{algorithm} {url}: {e}"));
                    assert_eq!(verified.algorithm, algorithm);
                    assert!(verified.base.contains("\"idempotency-key\": order 7\n"));
                }
            }
        }
    }
}

/// Any legal serialisation verifies, signed as the RFC wants it (strictly serialised again) or as sent, and both have
/// the replay key of the strict one.
#[test]
fn legal_spacing_does_not_matter() {
    let key = private("test-key-ed25519");
    let canonical = format!(r#"("@method" "@target-uri");created={NOW_S};keyid="k";x"#);
    let want = Request::new(Method::GET, URL, "").signed_as(&key, &canonical).judged(key.public()).unwrap();
    for spaced in [
        format!(r#"( "@method"   "@target-uri" ); created={NOW_S};  keyid="k";x"#),
        format!(r#"("@method" "@target-uri");created={NOW_S};keyid="k";x=?1"#),
    ] {
        let request = Request::new(Method::GET, URL, "").signed_as(&key, &spaced);
        assert_eq!(request.judged(key.public()).unwrap().replay_key, want.replay_key, "{spaced}");

        let as_sent = want.base.replace(&canonical, &spaced);
        let signature = key.sign(Algorithm::Ed25519, as_sent.as_bytes()).unwrap();
        let signature = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signature);
        let request = request.replacing("signature", &format!("sig=:{signature}:"));
        assert_eq!(request.judged(key.public()).unwrap().replay_key, want.replay_key, "{spaced}");
    }
}

#[test]
fn what_is_not_covered_may_change() {
    let signer = signer(KeyKind::Ed25519);
    let request = Request::new(Method::GET, URL, "").signed_by(&signer);
    let first = request.judged(signer.key.public()).unwrap();
    let relabelled = request
        .clone()
        .replacing(
            "signature-input",
            &request.headers["signature-input"].to_str().unwrap().replacen("sig=", "other=", 1),
        )
        .replacing("signature", &request.headers["signature"].to_str().unwrap().replacen("sig=", "other=", 1))
        .with("x-proxy", "1");
    let second = relabelled.judged(signer.key.public()).unwrap();
    assert_eq!(first.replay_key, second.replay_key);
    assert_eq!(first.remembered_until.unix_ms(), (NOW_S + 300) * 1000 + 1);
}

#[test]
fn structured_forms_of_fields_are_read() {
    let key = private("test-key-ed25519");
    let body = "body";
    let digest = beem_signing::digest::sha256(body.as_bytes());
    let request = || {
        Request::new(Method::POST, URL, body)
            .with("content-digest", &digest)
            .with("x-a", " one ")
            .with("x-a", "two")
            .with("x-dict", "a=1,   b=(x  y);q, c")
    };
    for (component, line) in [
        (r#""content-digest""#, format!("\"content-digest\": {digest}")),
        (r#""content-digest";sf"#, format!("\"content-digest\";sf: {digest}")),
        (r#""content-digest" "x-a";bs"#, "\"x-a\";bs: :b25l:, :dHdv:".to_owned()),
        (r#""content-digest" "x-a""#, "\"x-a\": one, two".to_owned()),
        (r#""content-digest" "x-dict";key="b""#, "\"x-dict\";key=\"b\": (x y);q".to_owned()),
        (r#""content-digest" "x-dict";key="a""#, "\"x-dict\";key=\"a\": 1".to_owned()),
        (r#""content-digest" "x-dict";key="c""#, "\"x-dict\";key=\"c\": ?1".to_owned()),
        (r#""content-digest" "@scheme""#, "\"@scheme\": http".to_owned()),
        (r#""content-digest" "@request-target""#, "\"@request-target\": /api/v1/pay?max=10".to_owned()),
        (r#""content-digest" "@query""#, "\"@query\": ?max=10".to_owned()),
    ] {
        let params = format!(r#"("@method" "@target-uri" {component});created={NOW_S};keyid="k""#);
        let signed = request().signed_as(&key, &params);
        let base = signed.judged(key.public()).unwrap_or_else(|e| panic!("{component}: {e}")).base;
        assert!(base.lines().any(|l| l == line), "{component}: {base}");
    }
}

#[test]
fn keys_and_signers_never_print_a_secret() {
    let signer = Signer::new("k", private("test-key-ed25519"));
    let printed = format!("{signer:?} {:?}", signer.key);
    assert!(printed.contains(&signer.key.public().fingerprint()));
    for secret in
        ["9f8362f87a484a954e6e740c5b4c0e84229139a20aa8ab56ff66586f6a7d29c5", "n4Ni", "J+DYvh6", "159, 131"]
    {
        assert!(!printed.contains(secret));
    }
    assert_eq!(signer.key.to_pkcs8_pem().unwrap(), file("test-key-ed25519.private.pem"));
}
