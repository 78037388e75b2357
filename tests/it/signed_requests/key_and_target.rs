//! The signature itself: whose key, which algorithm, and over exactly which request.

use super::{CLIENTS, Cast, ME, Row};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_signing::Algorithm;
use beem_tests::forge::{Style, date_of, now_s};
use beem_tests::{Client, Wire};

const fn invalid(name: &'static str, request: fn(&Cast) -> Wire) -> Row {
    Row { name, status: 401, code: "signature-invalid", request }
}

/// A GET by that client that names another algorithm than it signs with.
fn called(client: &Client, alg: &str) -> Wire {
    client.forge("GET", ME).with(|f| f.alg = Some(alg.into())).sign()
}

/// The bytes of the signature, changed.
fn bytes(wire: Wire, change: impl FnOnce(&mut Vec<u8>)) -> Wire {
    wire.change("signature", |value| {
        let text = value.trim_start_matches("sig=:").trim_end_matches(':');
        let mut bytes = STANDARD.decode(text).unwrap();
        change(&mut bytes);
        format!("sig=:{}:", STANDARD.encode(bytes))
    })
}

fn parts(cast: &Cast, target: &str) -> beem_tests::Forge {
    cast.main.forge("GET", target).with(|f| f.style = Style::Parts)
}

fn at(mut wire: Wire, target: &str) -> Wire {
    wire.target = target.into();
    wire
}

/// What most libraries make of a P-256 signature, and RFC 9421 section 3.3.4 does not: a DER sequence of two integers.
fn der(raw: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let mut digits: Vec<u8> = bytes.iter().copied().skip_while(|b| *b == 0).collect();
        if digits.first().is_some_and(|b| *b >= 0x80) {
            digits.insert(0, 0);
        }
        [vec![2, u8::try_from(digits.len()).unwrap()], digits].concat()
    };
    let (r, s) = raw.split_at(32);
    let both = [integer(r), integer(s)].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat()
}

pub const ROWS: &[Row] = &[
    invalid("another key, ed25519", |c| c.stranger_ed25519.forge("GET", ME).sign()),
    invalid("another key, rsa", |c| c.stranger_rsa.forge("GET", ME).sign()),
    invalid("another key, rsa-pss", |c| {
        let creds = c.stranger_rsa.creds.with_algorithm(Algorithm::RsaPssSha512);
        Client { creds, ..c.stranger_rsa.clone() }.forge("GET", ME).sign()
    }),
    invalid("another key, p-256", |c| c.stranger_p256.forge("GET", ME).sign()),
    invalid("a key of another kind", |c| {
        let stolen = c.ed25519.creds.with_key(&c.rsa.creds.key);
        Client { creds: stolen, ..c.ed25519.clone() }.forge("GET", ME).with(|f| f.alg = None).sign()
    }),
    invalid("another client's keyid", |c| c.get().with(|f| f.keyid = c.main.creds.client_id.clone()).sign()),
    invalid("ed25519 key, alg rsa-v1_5-sha256", |c| called(&c.ed25519, "rsa-v1_5-sha256")),
    invalid("ed25519 key, alg rsa-pss-sha512", |c| called(&c.ed25519, "rsa-pss-sha512")),
    invalid("ed25519 key, alg ecdsa-p256-sha256", |c| called(&c.ed25519, "ecdsa-p256-sha256")),
    invalid("ed25519 key, alg hmac-sha256", |c| called(&c.ed25519, "hmac-sha256")),
    invalid("ed25519 key, alg in capitals", |c| called(&c.ed25519, "ED25519")),
    invalid("ed25519 key, alg empty", |c| called(&c.ed25519, "")),
    invalid("rsa key, alg ed25519", |c| called(&c.rsa, "ed25519")),
    invalid("rsa key, alg ecdsa-p256-sha256", |c| called(&c.rsa, "ecdsa-p256-sha256")),
    invalid("rsa key, alg rsa-pss-sha256", |c| called(&c.rsa, "rsa-pss-sha256")),
    invalid("rsa key, v1.5 called PSS", |c| called(&c.rsa, "rsa-pss-sha512")),
    invalid("rsa key, PSS called v1.5", |c| {
        let creds = c.rsa.creds.with_algorithm(Algorithm::RsaPssSha512);
        called(&Client { creds, ..c.rsa.clone() }, "rsa-v1_5-sha256")
    }),
    invalid("p-256 key, alg ed25519", |c| called(&c.p256, "ed25519")),
    invalid("p-256 key, alg ecdsa-p384-sha384", |c| called(&c.p256, "ecdsa-p384-sha384")),
    invalid("p-256 key, a DER signature", |c| bytes(c.p256.forge("GET", ME).sign(), |raw| *raw = der(raw))),
    invalid("one bit off, ed25519", |c| bytes(c.get().sign(), |b| b[10] ^= 1)),
    invalid("one bit off, rsa", |c| bytes(c.rsa.forge("GET", ME).sign(), |b| b[100] ^= 1)),
    invalid("one bit off, p-256", |c| bytes(c.p256.forge("GET", ME).sign(), |b| b[40] ^= 1)),
    invalid("one byte short", |c| {
        bytes(c.get().sign(), |b| {
            b.pop();
        })
    }),
    invalid("one byte long", |c| bytes(c.get().sign(), |b| b.push(0))),
    invalid("a signature of no bytes", |c| bytes(c.get().sign(), Vec::clear)),
    invalid("another path", |c| at(c.main.forge("GET", ME).sign(), "/platform/v1/account")),
    invalid("another path, parts", |c| at(parts(c, ME).sign(), "/platform/v1/account")),
    invalid("another query", |c| {
        let wire = c.main.forge("GET", "/platform/v1/clients?max=5").sign();
        at(wire, "/platform/v1/clients?max=6")
    }),
    invalid("another query, parts", |c| {
        at(parts(c, "/platform/v1/clients?max=5").sign(), "/platform/v1/clients?max=6")
    }),
    invalid("a query more", |c| at(c.main.forge("GET", CLIENTS).sign(), "/platform/v1/clients?max=6")),
    invalid("a query less", |c| at(c.main.forge("GET", "/platform/v1/clients?max=5").sign(), CLIENTS)),
    invalid("another method", |c| {
        let mut wire = c.main.forge("GET", &format!("{CLIENTS}/{}", c.ed25519.creds.id)).sign();
        wire.method = "DELETE".into();
        wire
    }),
    invalid("a target of another origin", |c| {
        c.get().with(|f| f.origin = "http://api.example".into()).sign()
    }),
    invalid("a target of another scheme", |c| {
        c.get().with(|f| f.origin = f.origin.replacen("http:", "https:", 1)).sign()
    }),
    invalid("a target of another port", |c| c.get().with(|f| f.origin = "http://127.0.0.1:1".into()).sign()),
    invalid("the origin's other name in the target", |c| {
        c.get().with(|f| f.origin = f.origin.replacen("127.0.0.1", "localhost", 1)).sign()
    }),
    invalid("another authority, parts", |c| {
        parts(c, ME).with(|f| f.origin = "http://api.example".into()).sign()
    }),
    invalid("a covered date a second later", |c| {
        let wire = c.get().sign();
        let date = date_of(now_s() + 1);
        let date = if wire.value("date") == date { date_of(now_s()) } else { date };
        wire.replace("date", date)
    }),
    invalid("a covered date that was dropped", |c| c.get().sign().without("date")),
    invalid("a covered field changed", |c| {
        let covered = ["@method", "@target-uri", "content-digest", "content-type"];
        c.post().covering(&covered).sign().replace("content-type", "application/json; charset=utf-8")
    }),
    invalid("a covered field sent twice", |c| c.get().sign().header("date", date_of(now_s()))),
    invalid("the idempotency key changed", |c| {
        c.post().keyed("one").sign().replace("idempotency-key", "two")
    }),
    invalid("the nonce changed", |c| {
        c.get().sign().change("signature-input", |v| v.replacen("nonce=\"", "nonce=\"x", 1))
    }),
    invalid("created changed", |c| {
        let now = now_s();
        let wire = c.get().with(|f| (f.created, f.date) = (Some(now), None)).sign();
        wire.change("signature-input", |v| v.replacen(&now.to_string(), &(now - 1).to_string(), 1))
    }),
    invalid("a component taken out", |c| {
        c.get().sign().change("signature-input", |v| v.replacen(" \"date\"", "", 1))
    }),
    invalid("a parameter added", |c| c.get().sign().change("signature-input", |v| v + ";tag=\"x\"")),
];
