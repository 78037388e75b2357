//! Each row a request that must be refused, with its code: headers, components, coverage, time, digest, algorithm.

use crate::request::{NOW_S, Request, private, public};
use beem_clock::Entropy;
use beem_signing::{Candidates, KeyKind, MAX_COMPONENTS, MAX_LABELS, PrivateKey, Signer, digest};
use http::Method;

const URL: &str = "http://127.0.0.1:8080/api/v1/pay?max=10";
const PARAMS: &str = r#"("@method" "@target-uri");created=1618884473;keyid="k""#;

fn get() -> Request {
    Request::new(Method::GET, URL, "")
}

/// Signed in good faith with these parameters, so that nothing but the row's own fault refuses it.
fn signed_as(request: Request, params: &str) -> &'static str {
    let key = private("test-key-ed25519");
    request.signed_as(&key, params).verdict(key.public())
}

#[test]
fn headers_that_do_not_fit_together() {
    let key = private("test-key-ed25519");
    let good = get().signed_as(&key, PARAMS);
    assert_eq!(good.verdict(key.public()), "ok");
    let input = format!("sig={PARAMS}");
    let signature = good.headers["signature"].to_str().unwrap().to_owned();
    for (name, request, want) in [
        ("neither header", good.clone().without("signature").without("signature-input"), "signature-missing"),
        ("no signature", good.clone().without("signature"), "signature-invalid"),
        ("no input", good.clone().without("signature-input"), "signature-invalid"),
        ("empty input", good.clone().replacing("signature-input", ""), "signature-invalid"),
        ("empty signature", good.clone().replacing("signature", ""), "signature-invalid"),
        (
            "no partner for the input",
            good.clone().replacing("signature", &signature.replacen("sig", "gis", 1)),
            "signature-invalid",
        ),
        (
            "a second input alone",
            good.clone().with("signature-input", &input.replacen("sig", "two", 1)),
            "signature-invalid",
        ),
        ("a second signature alone", good.clone().with("signature", "two=:AAAA:"), "signature-invalid"),
        (
            "the label twice, one line",
            good.clone().replacing("signature-input", &format!("{input}, {input}")),
            "signature-invalid",
        ),
        ("the label twice, two lines", good.clone().with("signature-input", &input), "signature-invalid"),
        ("the signature twice", good.clone().with("signature", &signature), "signature-invalid"),
        (
            "a trailing comma",
            good.clone().replacing("signature-input", &format!("{input},")),
            "signature-invalid",
        ),
    ] {
        assert_eq!(request.verdict(key.public()), want, "{name}");
    }
}

#[test]
fn headers_that_are_malformed() {
    let key = private("test-key-ed25519");
    let good = get().signed_as(&key, PARAMS);
    let input = format!("sig={PARAMS}");
    for (name, request, want) in [
        (
            "an upper-case label",
            good.clone().replacing("signature-input", &input.replacen("sig", "Sig", 1)),
            "signature-invalid",
        ),
        ("not a list", good.clone().replacing("signature-input", "sig=1"), "signature-invalid"),
        ("no value", good.clone().replacing("signature-input", "sig"), "signature-invalid"),
        (
            "junk after the list",
            good.clone().replacing("signature-input", &format!("{input} x")),
            "signature-invalid",
        ),
        (
            "an open list",
            good.clone().replacing("signature-input", "sig=(\"@method\";created=1"),
            "signature-invalid",
        ),
        (
            "an open string",
            good.clone().replacing("signature-input", "sig=(\"@method);created=1"),
            "signature-invalid",
        ),
        ("a signature as token", good.clone().replacing("signature", "sig=abc"), "signature-invalid"),
        ("a signature as string", good.clone().replacing("signature", "sig=\"abc\""), "signature-invalid"),
        ("a signature as list", good.clone().replacing("signature", "sig=(:AAAA:)"), "signature-invalid"),
        ("not base64", good.clone().replacing("signature", "sig=:A*:"), "signature-invalid"),
        ("an open byte sequence", good.clone().replacing("signature", "sig=:AAAA"), "signature-invalid"),
        ("no bytes", good.clone().replacing("signature", "sig=::"), "signature-invalid"),
        ("too few bytes", good.clone().replacing("signature", "sig=:AAAA:"), "signature-invalid"),
        (
            "zero bytes",
            good.clone().replacing("signature", &format!("sig=:{}==:", "A".repeat(86))),
            "signature-invalid",
        ),
    ] {
        assert_eq!(request.verdict(key.public()), want, "{name}");
    }
}

#[test]
fn bounds_hold() {
    let labels = |count: usize, text: &str| {
        let members: Vec<String> = (0..count).map(|i| format!("s{i}={text}")).collect();
        members.join(", ")
    };
    let request = |count| {
        get().with("signature-input", &labels(count, PARAMS)).with("signature", &labels(count, ":AAAA:"))
    };
    assert_eq!(Candidates::parse(&request(MAX_LABELS).headers).unwrap().iter().count(), MAX_LABELS);
    assert!(Candidates::parse(&request(MAX_LABELS + 1).headers).is_err());

    let fields = |count: usize| (0..count).map(|i| format!(" \"x-{i}\"")).collect::<String>();
    let with_fields = |count: usize| {
        let request = (0..count).fold(get(), |r, i| r.with(&format!("x-{i}"), "1"));
        let params = format!(r#"("@method" "@target-uri"{});created={NOW_S};keyid="k""#, fields(count));
        let key = private("test-key-ed25519");
        let unsigned =
            request.with("signature-input", &format!("sig={params}")).with("signature", "sig=:AAAA:");
        if Candidates::parse(&unsigned.headers).is_err() {
            "refused"
        } else {
            unsigned.signed_as(&key, &params).verdict(key.public())
        }
    };
    assert_eq!(with_fields(MAX_COMPONENTS - 2), "ok");
    assert_eq!(with_fields(MAX_COMPONENTS - 1), "refused");
}

#[test]
fn parameters_of_the_wrong_kind() {
    let long = "k".repeat(256);
    for params in [
        r#"("@method" "@target-uri");created="1618884473";keyid="k""#,
        r#"("@method" "@target-uri");created=1618884473.0;keyid="k""#,
        r#"("@method" "@target-uri");created;keyid="k""#,
        r#"("@method" "@target-uri");created=@1618884473;keyid="k""#,
        r#"("@method" "@target-uri");created=1618884473;expires=soon;keyid="k""#,
        r#"("@method" "@target-uri");created=1618884473;keyid=k"#,
        r#"("@method" "@target-uri");created=1618884473;keyid=:AAAA:"#,
        r#"("@method" "@target-uri");created=1618884473"#,
        r#"("@method" "@target-uri");created=1618884473;keyid="k";nonce=1"#,
        r#"("@method" "@target-uri");created=1618884473;keyid="k";alg=ed25519"#,
        r#"("@method" "@target-uri");created=1618884473;keyid="k";tag"#,
        r#"("@method" "@target-uri");created=1618884473;created=1618884473;keyid="k""#,
        r#"("@method" "@target-uri");created=1618884473;keyid="k";keyid="other""#,
        &format!(r#"("@method" "@target-uri");created=1618884473;keyid="{long}""#),
        &format!(r#"("@method" "@target-uri");created=1618884473;keyid="k";nonce="{long}""#),
    ] {
        let request = get().with("signature-input", &format!("sig={params}")).with("signature", "sig=:AAAA:");
        assert_eq!(request.verdict(&public("test-key-ed25519")), "signature-invalid", "{params}");
    }
}

#[test]
fn components_that_cannot_be_judged() {
    for component in [
        "\"@method\"",
        "\"x-a\" \"x-a\"",
        "\"x-a\";sf \"x-a\";sf=?1",
        "\"x-dict\";key=\"a\";sf \"x-dict\";sf;key=\"a\"",
        "\"X-A\"",
        "\"\"",
        "\"x a\"",
        "token",
        "7",
        "\"@status\"",
        "\"@signature-params\"",
        "\"@nothing\"",
        "\"@path\";req",
        "\"@path\";sf",
        "\"x-a\";req",
        "\"x-a\";tr",
        "\"x-a\";unknown",
        "\"x-a\";sf",
        "\"x-a\";sf=?0",
        "\"x-a\";bs;sf",
        "\"x-a\";bs;key=\"a\"",
        "\"x-a\";key=a",
        "\"x-dict\";key=\"missing\"",
        "\"x-broken\";key=\"a\"",
        "\"x-missing\"",
        "\"x-missing\";bs",
        "\"x-foreign\"",
        "\"@query-param\"",
        "\"@query-param\";name=max",
        "\"@query-param\";name=\"max\";req",
        "\"@query-param\";name=\"missing\"",
        "\"@query-param\";name=\"twice\"",
        "\"@query-param\";name=\"%6dax\"",
    ] {
        let mut request = Request::new(Method::GET, &format!("{URL}&twice=1&twice=2"), "")
            .with("x-a", "1")
            .with("x-dict", "a=1")
            .with("x-broken", "a=(")
            .with("signature", "sig=:AAAA:")
            .with(
                "signature-input",
                &format!(r#"sig=("@method" "@target-uri" {component});created={NOW_S};keyid="k""#),
            );
        request.headers.insert("x-foreign", http::HeaderValue::from_bytes("ä".as_bytes()).unwrap());
        let refused = request.judged(&public("test-key-ed25519")).unwrap_err();
        assert_eq!(refused.code().as_str(), "signature-invalid", "{component}");
        assert!(
            !refused.detail.contains("does not verify"),
            "{component} must be refused for itself: {refused}"
        );
    }
}

#[test]
fn coverage() {
    let body = || Request::new(Method::POST, URL, "{}").with("content-digest", &digest::sha256(b"{}"));
    let plain = || Request::new(Method::POST, "http://127.0.0.1:8080/api", "");
    let keyed = || get().with("idempotency-key", "7");
    for (request, components, want) in [
        (get(), r#""@method" "@target-uri""#, "ok"),
        (get(), r#""@method" "@authority" "@path" "@query""#, "ok"),
        (plain(), r#""@method" "@authority" "@path""#, "ok"),
        (body(), r#""@method" "@target-uri" "content-digest""#, "ok"),
        (body(), r#""@method" "@target-uri" "content-digest";bs"#, "ok"),
        (keyed(), r#""@method" "@target-uri" "idempotency-key""#, "ok"),
        (get(), "", "signature-coverage"),
        (get(), r#""@target-uri""#, "signature-coverage"),
        (get(), r#""@method""#, "signature-coverage"),
        (get(), r#""@method" "@path" "@query""#, "signature-coverage"),
        (get(), r#""@method" "@authority" "@query""#, "signature-coverage"),
        (get(), r#""@method" "@authority" "@path""#, "signature-coverage"),
        (get(), r#""@method" "@authority" "@path" "@query-param";name="max""#, "signature-coverage"),
        (get(), r#""@method" "@authority" "@request-target""#, "signature-coverage"),
        (get(), r#""@method" "@request-target" "@scheme""#, "signature-coverage"),
        (body(), r#""@method" "@target-uri""#, "signature-coverage"),
        (body(), r#""@method" "@target-uri" "content-digest";key="sha-256""#, "signature-coverage"),
        (body().without("content-digest"), r#""@method" "@target-uri""#, "signature-coverage"),
        (keyed(), r#""@method" "@target-uri""#, "signature-coverage"),
    ] {
        let params = format!(r#"({components});created={NOW_S};keyid="k""#);
        assert_eq!(signed_as(request, &params), want, "{components}");
    }
}

#[test]
fn time() {
    for (times, date, want) in [
        (format!("created={NOW_S}"), None, "ok"),
        (format!("created={}", NOW_S - 300), None, "ok"),
        (format!("created={}", NOW_S + 60), None, "ok"),
        (format!("created={NOW_S};expires={NOW_S}"), None, "ok"),
        (format!("created={NOW_S}"), Some("Tue, 20 Apr 2021 02:07:54 GMT"), "ok"),
        ("x".to_owned(), None, "signature-expired"),
        (format!("expires={}", NOW_S + 9), None, "signature-expired"),
        (format!("created={}", NOW_S - 301), None, "signature-expired"),
        (format!("created={}", NOW_S + 61), None, "signature-expired"),
        ("created=0".to_owned(), None, "signature-expired"),
        ("created=-999999999999999".to_owned(), None, "signature-expired"),
        ("created=999999999999999".to_owned(), None, "signature-expired"),
        (format!("created={NOW_S};expires={}", NOW_S - 1), None, "signature-expired"),
        (format!("created={};expires={}", NOW_S - 9, NOW_S - 1), None, "signature-expired"),
        (format!("created={NOW_S}"), Some("Tue, 20 Apr 2021 02:07:55 GMT"), "signature-expired"),
        (format!("created={NOW_S}"), Some("2021-04-20T02:07:53Z"), "signature-expired"),
    ] {
        let (request, component) = match date {
            Some(date) => (get().with("date", date), " \"date\""),
            None => (get(), ""),
        };
        let params = format!(r#"("@method" "@target-uri"{component});{times};keyid="k""#);
        assert_eq!(signed_as(request, &params), want, "{times} {date:?}");
    }
    // A date that is not covered says nothing.
    assert_eq!(signed_as(get().with("date", "long ago"), PARAMS), "ok");
    let twice =
        get().with("date", "Tue, 20 Apr 2021 02:07:53 GMT").with("date", "Tue, 20 Apr 2021 02:07:53 GMT");
    let params = format!(r#"("@method" "@target-uri" "date");created={NOW_S};keyid="k""#);
    assert_eq!(signed_as(twice, &params), "signature-invalid");
}

#[test]
fn digests() {
    let params = format!(r#"("@method" "@target-uri" "content-digest");created={NOW_S};keyid="k""#);
    let with = |value: &str, body: &str| Request::new(Method::POST, URL, body).with("content-digest", value);
    for (request, want) in [
        (with(&digest::sha256(b"{}"), "{}"), "ok"),
        (with(&digest::sha512(b"{}"), "{}"), "ok"),
        (with(&digest::sha256(b"{}"), "{ }"), "digest-mismatch"),
        (with(&format!("{}, {}", digest::sha256(b"{}"), digest::sha512(b"[]")), "{}"), "digest-mismatch"),
        (with("md5=:AAAA:", "{}"), "digest-mismatch"),
        (with("sha-256=RBNvo1WzZ4oRRq0W9", "{}"), "digest-mismatch"),
        (with("SHA-256=:AAAA:", "{}"), "digest-mismatch"),
        (with(&digest::sha256(b"{}"), ""), "digest-mismatch"),
    ] {
        assert_eq!(signed_as(request.clone(), &params), want, "{:?}", request.headers);
    }
    // Judged although the signature does not cover it: a bodiless request with a wrong one.
    assert_eq!(signed_as(with(&digest::sha256(b"{}"), ""), PARAMS), "digest-mismatch");
}

#[test]
fn algorithms_that_disagree() {
    let keys = ["test-key-ed25519", "test-key-rsa", "test-key-ecc-p256"];
    for (signs, judges) in keys.iter().flat_map(|a| keys.iter().map(move |b| (a, b))) {
        let key = private(signs);
        let alg = key.kind().default_algorithm();
        let named = get().signed_as(&key, &format!("{PARAMS};alg=\"{alg}\""));
        let unnamed = get().signed_as(&key, PARAMS);
        let want = if signs == judges { "ok" } else { "signature-invalid" };
        assert_eq!(named.verdict(&public(judges)), want, "{signs} {judges}");
        assert_eq!(unnamed.verdict(&public(judges)), want, "{signs} {judges}");
    }
    let key = private("test-key-rsa");
    for alg in ["rsa-pss-sha512", "ed25519", "none", "hmac-sha256", "RSA-V1_5-SHA256", ""] {
        let request = get().signed_as(&key, &format!("{PARAMS};alg=\"{alg}\""));
        assert_eq!(request.verdict(key.public()), "signature-invalid", "signed with v1.5, says {alg}");
    }
}

#[test]
fn a_changed_request_is_refused() {
    let signer = Signer::new("k", PrivateKey::generate(KeyKind::EcdsaP256, &Entropy::System).unwrap());
    let good = Request::new(Method::POST, URL, "{}").with("idempotency-key", "7").signed_by(&signer);
    let judge = |request: Request| request.verdict(signer.key.public());
    assert_eq!(judge(good.clone()), "ok");
    let target = |url: &str| {
        let other = Request::new(Method::POST, url, "{}");
        Request { origin: other.origin, path: other.path, query: other.query, ..good.clone() }
    };
    for (name, request, want) in [
        ("method", Request { method: Method::PUT, ..good.clone() }, "signature-invalid"),
        ("host", target("http://localhost:8080/api/v1/pay?max=10"), "signature-invalid"),
        ("scheme", target("https://127.0.0.1:8080/api/v1/pay?max=10"), "signature-invalid"),
        ("path", target("http://127.0.0.1:8080/api/v1/pay/?max=10"), "signature-invalid"),
        ("encoding", target("http://127.0.0.1:8080/api/v1/p%61y?max=10"), "signature-invalid"),
        ("query", target("http://127.0.0.1:8080/api/v1/pay?max=11"), "signature-invalid"),
        ("no query", target("http://127.0.0.1:8080/api/v1/pay"), "signature-invalid"),
        ("body", Request { body: b"[]".to_vec(), ..good.clone() }, "digest-mismatch"),
        (
            "body and digest",
            Request { body: b"[]".to_vec(), ..good.clone() }
                .replacing("content-digest", &digest::sha256(b"[]")),
            "signature-invalid",
        ),
        ("idempotency key", good.clone().replacing("idempotency-key", "8"), "signature-invalid"),
        ("second idempotency key", good.clone().with("idempotency-key", "8"), "signature-invalid"),
        ("no idempotency key", good.clone().without("idempotency-key"), "signature-invalid"),
        ("date", good.clone().replacing("date", "Tue, 20 Apr 2021 02:07:54 GMT"), "signature-invalid"),
        (
            "other key",
            good.clone().signed_by(&Signer::new("k", private("test-key-ecc-p256"))),
            "signature-invalid",
        ),
    ] {
        assert_eq!(judge(request), want, "{name}");
    }
}
