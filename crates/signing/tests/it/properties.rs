//! Properties: no input makes the parsers panic, what is read says the same when written and read again, and a verified
//! signature stops verifying when any covered byte changes.

use crate::request::{Request, public};
use beem_clock::Entropy;
use beem_signing::{Candidates, KeyKind, Origin, PrivateKey, PublicKey, Signer, Style, digest};
use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;

/// Headers out of pieces that parsers trip over.
fn header_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "sig",
        "a",
        "=",
        "(",
        ")",
        "\"@method\"",
        "\"x-a\"",
        "\"@query-param\"",
        ";",
        "name=\"q\"",
        "created=1",
        "created=",
        "keyid=\"k\"",
        "keyid=\"\\\"\"",
        ":",
        "AAAA",
        ":AAAA:",
        ",",
        ", ",
        " ",
        "\t",
        "\\",
        "\"",
        "?1",
        "@1",
        "%\"a\"",
        "-1.5",
        "*",
        ";sf",
        ";key=\"a\"",
        ";bs",
        "999999999999999",
        "9999999999999999",
    ]);
    prop_oneof![prop::collection::vec(piece, 0..24).prop_map(|p| p.concat()), "[ -~\t]{0,60}"]
}

fn headers(input: &str, signature: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("signature-input", HeaderValue::from_str(input).unwrap());
    headers.insert("signature", HeaderValue::from_str(signature).unwrap());
    headers
}

fn params() -> impl Strategy<Value = String> {
    let components = prop::sample::subsequence(
        vec![
            "\"@method\"",
            "\"@target-uri\"",
            "\"x-a\";bs",
            "\"date\"",
            "\"@query-param\";name=\"q q\"",
            "\"y\";key=\"k\"",
        ],
        0..=6,
    );
    (components, 0_i64..999_999_999_999_999, "[ -~]{0,20}", prop::option::of("[ -~]{0,9}"), "[ ]{0,2}")
        .prop_map(|(components, created, keyid, nonce, space)| {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let nonce = nonce.map(|n| format!(";nonce=\"{}\"", quoted(&n))).unwrap_or_default();
            let components = components.join(&format!(" {space}"));
            format!(
                "({space}{components}{space});{space}created={created};keyid=\"{}\"{nonce}",
                quoted(&keyid)
            )
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_header_makes_a_parser_panic(input in header_text(), signature in header_text(), value in header_text()) {
        let mut headers = headers(&input, &signature);
        headers.insert("content-digest", HeaderValue::from_str(&value).unwrap());
        headers.insert("date", HeaderValue::from_str(&value).unwrap());
        let _ = digest::check(&headers, b"body");
        let mut request = Request::new(Method::GET, "http://a/b?c=d&%zz", "");
        request.headers = headers;
        if let Ok(candidates) = Candidates::parse(&request.headers) {
            for candidate in &candidates {
                let _ = candidate.base(&request.view());
            }
        }
        let _ = PublicKey::parse_pem(&value);
        let _ = Origin::parse(&value);
    }

    #[test]
    fn what_is_read_is_stable(params in params()) {
        let first = Candidates::parse(&headers(&format!("sig={params}"), "sig=:AAAA:")).unwrap();
        let first = first.iter().next().unwrap();
        let text = first.signature_params();
        let second = Candidates::parse(&headers(&format!("sig={text}"), "sig=:AAAA:")).unwrap();
        let second = second.iter().next().unwrap();
        prop_assert_eq!(second.signature_params(), text);
        prop_assert_eq!(second.keyid(), first.keyid());
        prop_assert_eq!(second.created_s(), first.created_s());
        prop_assert_eq!(second.nonce(), first.nonce());
        prop_assert_eq!(second.components(), first.components());
    }

    #[test]
    fn no_der_makes_the_key_parser_panic(at in 0_usize..91, bit in 0_u8..8, cut in 0_usize..91) {
        for key in ["test-key-ed25519", "test-key-ecc-p256"] {
            let key = public(key);
            let mut der = key.spki_der().to_vec();
            let _ = PublicKey::parse_spki_der(&der[..cut.min(der.len())]);
            if let Some(byte) = der.get_mut(at) {
                *byte ^= 1 << bit;
                if let Ok(changed) = PublicKey::parse_spki_der(&der) {
                    prop_assert_ne!(changed.fingerprint(), key.fingerprint());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changed_byte_is_noticed(
        seed in any::<u64>(), path in "/[a-z0-9/._~-]{0,20}", query in prop::option::of("[a-z0-9=&%+]{1,20}"),
        body in prop::collection::vec(any::<u8>(), 0..40), parts in any::<bool>(), at in any::<prop::sample::Index>(), bit in 0_u8..7,
    ) {
        let key = PrivateKey::generate(KeyKind::Ed25519, &Entropy::seeded(seed)).unwrap();
        let style = if parts { Style::Parts } else { Style::TargetUri };
        let signer = Signer { style, ..Signer::new("client", key) };
        let mut request = Request::new(Method::POST, &format!("http://host:8080{path}"), "");
        request.query = query;
        request.body = body;
        let request = request.with("idempotency-key", "order-1").signed_by(&signer);
        let verified = request.judged(signer.key.public()).unwrap();

        // A changed base or signature, whatever produced it.
        let candidates = Candidates::parse(&request.headers).unwrap();
        let candidate = candidates.iter().next().unwrap();
        let mut base = verified.base.clone().into_bytes();
        let byte = at.index(base.len());
        base[byte] ^= 1 << bit;
        prop_assert!(candidate.verify(signer.key.public(), std::str::from_utf8(&base).unwrap()).is_err());

        // A changed header, path, query or body.
        for name in ["date", "content-digest", "idempotency-key", "signature-input"] {
            let Some(value) = request.headers.get(name) else { continue };
            let mut bytes = value.as_bytes().to_vec();
            let byte = at.index(bytes.len());
            bytes[byte] ^= 1 << bit;
            let Ok(changed) = HeaderValue::from_bytes(&bytes) else { continue };
            let mut other = request.clone();
            other.headers.insert(name, changed);
            // `sig` under another label is the same signature, and refused for its missing partner here.
            prop_assert!(other.judged(signer.key.public()).is_err(), "{} {:?}", name, other.headers.get(name));
        }
        let mut other = request.clone();
        other.path.push('x');
        prop_assert!(other.judged(signer.key.public()).is_err());
        let mut other = request.clone();
        other.query = Some(format!("{}x", other.query.unwrap_or_default()));
        prop_assert!(other.judged(signer.key.public()).is_err());
        let mut other = request;
        other.body.push(0);
        prop_assert!(other.judged(signer.key.public()).is_err());
    }
}
