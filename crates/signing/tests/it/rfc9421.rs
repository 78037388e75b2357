//! RFC 9421 appendix B and section 4.3, byte for byte. Left out: B.2.4, which signs a response, and B.2.5, which uses
//! `hmac-sha256`; this system judges requests only and shares no secrets with clients. Of both, what can be judged here
//! is: that they are refused, and (B.2.4) that the raw signature verifies.

use crate::request::{NOW_S, Request, private, public};
use beem_signing::{Algorithm, Candidates, Refusal, replay_key};
use http::Method;

const DIGEST: &str =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

/// `test-request` of B.2.
fn test_request() -> Request {
    Request::new(Method::POST, "http://example.com/foo?param=Value&Pet=dog", "{\"hello\": \"world\"}")
        .with("date", "Tue, 20 Apr 2021 02:07:55 GMT")
        .with("content-type", "application/json")
        .with("content-digest", DIGEST)
        .with("content-length", "18")
}

struct Vector<'a> {
    label: &'static str,
    params: &'static str,
    /// Without the line of `@signature-params`.
    base: &'a [&'a str],
    signature: &'static str,
    key: &'static str,
    algorithm: Algorithm,
}

fn judge(vector: &Vector<'_>, request: Request) {
    let request = request
        .with("signature-input", &format!("{}={}", vector.label, vector.params))
        .with("signature", &format!("{}=:{}:", vector.label, vector.signature));
    let candidates = Candidates::parse(&request.headers).unwrap();
    let candidate = candidates.iter().next().unwrap();
    let base = candidate.base(&request.view()).unwrap();
    let mut want: String = vector.base.iter().map(|line| format!("{line}\n")).collect();
    want.push_str(&format!("\"@signature-params\": {}", vector.params));
    assert_eq!(base, want, "{}", vector.label);

    let key = public(vector.key);
    let signature =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, vector.signature).unwrap();
    key.verify(vector.algorithm, base.as_bytes(), &signature).unwrap();
    key.verify(vector.algorithm, format!("{base} ").as_bytes(), &signature).unwrap_err();
    // The vectors of RSA-PSS name no alg; by the key alone that means rsa-v1_5-sha256 here.
    if key.kind().default_algorithm() == vector.algorithm {
        assert_eq!(candidate.verify(&key, &base).unwrap(), vector.algorithm);
    }
    if matches!(vector.algorithm, Algorithm::Ed25519 | Algorithm::RsaV15Sha256) {
        let made = private(vector.key).sign(vector.algorithm, base.as_bytes()).unwrap();
        assert_eq!(made, signature, "{} is deterministic", vector.label);
    }
}

#[test]
fn b_2_1_minimal_signature_with_rsa_pss() {
    let vector = Vector {
        label: "sig-b21",
        params: r#"();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd""#,
        base: &[],
        signature: "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==",
        key: "test-key-rsa-pss",
        algorithm: Algorithm::RsaPssSha512,
    };
    judge(&vector, test_request());
}

#[test]
fn b_2_2_selective_components_with_rsa_pss() {
    let vector = Vector {
        label: "sig-b22",
        params: r#"("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example""#,
        base: &[
            r#""@authority": example.com"#,
            r#""content-digest": sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"#,
            r#""@query-param";name="Pet": dog"#,
        ],
        signature: "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==",
        key: "test-key-rsa-pss",
        algorithm: Algorithm::RsaPssSha512,
    };
    judge(&vector, test_request());
}

#[test]
fn b_2_3_full_coverage_with_rsa_pss() {
    let vector = Vector {
        label: "sig-b23",
        params: r#"("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss""#,
        base: &[
            r#""date": Tue, 20 Apr 2021 02:07:55 GMT"#,
            r#""@method": POST"#,
            r#""@path": /foo"#,
            r#""@query": ?param=Value&Pet=dog"#,
            r#""@authority": example.com"#,
            r#""content-type": application/json"#,
            r#""content-digest": sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"#,
            r#""content-length": 18"#,
        ],
        signature: "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
        key: "test-key-rsa-pss",
        algorithm: Algorithm::RsaPssSha512,
    };
    judge(&vector, test_request());
}

#[test]
fn b_2_4_a_response_is_not_judged_but_its_signature_is_right() {
    let base = "\"@status\": 200\n\"content-type\": application/json\n\"content-digest\": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:\n\"content-length\": 23\n\"@signature-params\": (\"@status\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-ecc-p256\"";
    let signature =
        "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==";
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, signature).unwrap();
    public("test-key-ecc-p256").verify(Algorithm::EcdsaP256Sha256, base.as_bytes(), &bytes).unwrap();

    let request = test_request()
        .with("signature-input", r#"sig-b24=("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256""#)
        .with("signature", &format!("sig-b24=:{signature}:"));
    assert_eq!(request.base().unwrap_err().refusal, Refusal::Invalid);
}

#[test]
fn b_2_5_hmac_is_refused() {
    let request = test_request()
        .with("signature-input", r#"sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret";alg="hmac-sha256""#)
        .with("signature", "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:");
    let base = request.base().unwrap();
    assert!(base.starts_with("\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@authority\": example.com\n\"content-type\": application/json\n"));
    let candidates = Candidates::parse(&request.headers).unwrap();
    for key in ["test-key-rsa", "test-key-ed25519", "test-key-ecc-p256"] {
        let refused = candidates.iter().next().unwrap().verify(&public(key), &base).unwrap_err();
        assert_eq!(refused.refusal, Refusal::Invalid);
    }
}

#[test]
fn b_2_6_ed25519() {
    let vector = Vector {
        label: "sig-b26",
        params: r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#,
        base: &[
            r#""date": Tue, 20 Apr 2021 02:07:55 GMT"#,
            r#""@method": POST"#,
            r#""@path": /foo"#,
            r#""@authority": example.com"#,
            r#""content-type": application/json"#,
            r#""content-length": 18"#,
        ],
        signature: "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
        key: "test-key-ed25519",
        algorithm: Algorithm::Ed25519,
    };
    judge(&vector, test_request());
}

#[test]
fn b_3_tls_terminating_proxy_with_ecdsa() {
    let certificate = ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:";
    let line = format!("\"client-cert\": {certificate}");
    let vector = Vector {
        label: "ttrp",
        params: r#"("@path" "@query" "@method" "@authority" "client-cert");created=1618884473;keyid="test-key-ecc-p256""#,
        base: &[
            r#""@path": /foo"#,
            r#""@query": ?param=Value&Pet=dog"#,
            r#""@method": POST"#,
            r#""@authority": service.internal.example"#,
            &line,
        ],
        signature: "xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==",
        key: "test-key-ecc-p256",
        algorithm: Algorithm::EcdsaP256Sha256,
    };
    let request = Request::new(
        Method::POST,
        "https://service.internal.example/foo?param=Value&Pet=dog",
        "{\"hello\": \"world\"}",
    )
    .with("date", "Tue, 20 Apr 2021 02:07:55 GMT")
    .with("content-type", "application/json")
    .with("content-length", "18")
    .with("client-cert", certificate);
    judge(&vector, request);
}

/// B.4: the signed message, and changes by intermediaries that must and must not matter.
#[test]
fn b_4_transformations() {
    let vector = Vector {
        label: "transform",
        params: r#"("@method" "@path" "@authority" "accept");created=1618884473;keyid="test-key-ed25519""#,
        base: &[
            r#""@method": GET"#,
            r#""@path": /demo"#,
            r#""@authority": example.org"#,
            r#""accept": application/json, */*"#,
        ],
        signature: "ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==",
        key: "test-key-ed25519",
        algorithm: Algorithm::Ed25519,
    };
    let plain = |url: &str| Request::new(Method::GET, url, "").with("date", "Fri, 15 Jul 2022 14:24:55 GMT");
    let url = "https://example.org/demo?name1=Value1&Name2=value2";
    judge(&vector, plain(url).with("accept", "application/json").with("accept", "*/*"));
    judge(
        &vector,
        plain(url).with("accept", "application/json, */*").with("accept-language", "en-US,en;q=0.5"),
    );
    judge(
        &vector,
        plain("https://EXAMPLE.org:443/demo?other=1")
            .with("accept", " application/json")
            .with("accept", "*/* "),
    );

    let signed = |request: Request| {
        let request = request
            .with("signature-input", &format!("transform={}", vector.params))
            .with("signature", &format!("transform=:{}:", vector.signature));
        let candidates = Candidates::parse(&request.headers).unwrap();
        let candidate = candidates.iter().next().unwrap();
        candidate.verify(&public("test-key-ed25519"), &candidate.base(&request.view()).unwrap())
    };
    signed(plain(url).with("accept", "application/json").with("accept", "*/*")).unwrap();
    let other_order = plain(url).with("accept", "*/*").with("accept", "application/json");
    let other_host = plain("https://example.com/demo").with("accept", "application/json, */*");
    let mut other_method = plain(url).with("accept", "application/json, */*");
    other_method.method = Method::POST;
    for changed in [other_order, other_host, other_method] {
        assert_eq!(signed(changed).unwrap_err().refusal, Refusal::Invalid);
    }
}

/// Section 4.3: a proxy's RSA signature beside the client's, the one published vector of `rsa-v1_5-sha256`.
#[test]
fn section_4_3_multiple_signatures() {
    let proxy = r#"("@method" "@authority" "@path" "content-digest" "content-type" "content-length" "forwarded");created=1618884480;keyid="test-key-rsa";alg="rsa-v1_5-sha256";expires=1618884540"#;
    let signature = "S6ZzPXSdAMOPjN/6KXfXWNO/f7V6cHm7BXYUh3YD/fRad4BCaRZxP+JH+8XY1I6+8Cy+CM5g92iHgxtRPz+MjniOaYmdkDcnL9cCpXJleXsOckpURl49GwiyUpZ10KHgOEe11sx3G2gxI8S0jnxQB+Pu68U9vVcasqOWAEObtNKKZd8tSFu7LB5YAv0RAGhB8tmpv7sFnIm9y+7X5kXQfi8NMaZaA8i2ZHwpBdg7a6CMfwnnrtflzvZdXAsD3LH2TwevU+/PBPv0B6NMNk93wUs/vfJvye+YuI87HU38lZHowtznbLVdp770I6VHR6WfgS9ddzirrswsE1w5o0LV/g==";
    let proxied = || {
        Request::new(
            Method::POST,
            "http://origin.host.internal.example/foo?param=Value&Pet=dog",
            "{\"hello\": \"world\"}",
        )
        .with("content-type", "application/json")
        .with("content-digest", DIGEST)
        .with("content-length", "18")
        .with("forwarded", "for=192.0.2.123;host=example.com;proto=https")
    };
    let vector = Vector {
        label: "proxy_sig",
        params: proxy,
        base: &[
            r#""@method": POST"#,
            r#""@authority": origin.host.internal.example"#,
            r#""@path": /foo"#,
            r#""content-digest": sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"#,
            r#""content-type": application/json"#,
            r#""content-length": 18"#,
            r#""forwarded": for=192.0.2.123;host=example.com;proto=https"#,
        ],
        signature,
        key: "test-key-rsa",
        algorithm: Algorithm::RsaV15Sha256,
    };
    judge(&vector, proxied());

    // Both labels on one request, over two header lines; the second is found by its keyid.
    let client = r#"("@method" "@authority" "@path" "content-digest" "content-type" "content-length");created=1618884475;keyid="test-key-ecc-p256""#;
    let both = proxied()
        .with("signature-input", &format!("sig1={client}"))
        .with("signature-input", &format!("proxy_sig={proxy}"))
        .with(
            "signature",
            "sig1=:X5spyd6CFnAG5QnDyHfqoSNICd+BUP4LYMz2Q0JXlb//4Ijpzp+kve2w4NIyqeAuM7jTDX+sNalzA8ESSaHD3A==:",
        )
        .with("signature", &format!("proxy_sig=:{signature}:"));
    let candidates = Candidates::parse(&both.headers).unwrap();
    let keyids: Vec<_> = candidates.iter().map(|c| c.keyid().unwrap()).collect();
    assert_eq!(keyids, ["test-key-ecc-p256", "test-key-rsa"]);
    let known = candidates.iter().find(|c| c.keyid() == Some("test-key-rsa")).unwrap();
    let base = known.base(&both.view()).unwrap();
    assert_eq!(known.verify(&public("test-key-rsa"), &base).unwrap(), Algorithm::RsaV15Sha256);
    assert_eq!(known.expires_s(), Some(NOW_S + 67));
    assert_ne!(replay_key("test-key-rsa", &base), replay_key("test-key-ecc-p256", &base));
}
