//! `Signature-Input`, `Signature`, `Content-Digest`, `Date`, an own field and the target, one a line of the input: parsed
//! and judged. Nothing may panic, nothing may verify, and what was read says the same when written and read again.

#![no_main]

use beem_clock::Moment;
use beem_signing::{Candidates, Judgement, Origin, PublicKey, RequestView, TimeRules};
use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// The key of RFC 9421 appendix B.1.4.
static KEY: LazyLock<PublicKey> = LazyLock::new(|| {
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n";
    PublicKey::parse_pem(pem).expect("the key is good")
});
static ORIGIN: LazyLock<Origin> = LazyLock::new(|| Origin::parse("http://example.com").expect("the origin is good"));

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|b| *b == b'\n');
    let mut headers = HeaderMap::new();
    for name in ["signature-input", "signature", "content-digest", "date", "x-a"] {
        let Some(line) = lines.next() else { break };
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
    let target = lines.next().and_then(|line| std::str::from_utf8(line).ok()).unwrap_or("/");
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let Ok(candidates) = Candidates::parse(&headers) else { return };
    let request = RequestView { method: &Method::POST, origin: &ORIGIN, path, query, headers: &headers };
    let rules = TimeRules::default();
    let now = Moment::from_unix_s(1_618_884_473);
    for candidate in &candidates {
        let against = Judgement { request, body: b"{}", now, rules: &rules };
        let verdict = candidate.judge(&KEY, &against);
        assert!(verdict.is_err(), "nobody here holds the private key");
        if let Ok(base) = candidate.base(&request) {
            assert_eq!(base.lines().count(), candidate.components().len() + 1, "a component is one line");
        }
        let written = format!("a={}", candidate.signature_params());
        let mut again = HeaderMap::new();
        again.insert("signature-input", HeaderValue::from_str(&written).expect("plain ASCII"));
        again.insert("signature", HeaderValue::from_static("a=:AAAA:"));
        if candidate.keyid().is_some() {
            let read = Candidates::parse(&again).expect("what was read can be read again");
            let read = read.iter().next().expect("one label");
            assert_eq!(read.signature_params(), candidate.signature_params());
        }
    }
});
