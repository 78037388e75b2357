//! What a signature must cover, and that the body is the one that was digested.

use super::{Cast, ME, Row};
use beem_tests::Wire;
use beem_tests::forge::{Digest, Style, sha256, sha512};

const fn coverage(name: &'static str, request: fn(&Cast) -> Wire) -> Row {
    Row { name, status: 401, code: "signature-coverage", request }
}

const fn digest(name: &'static str, request: fn(&Cast) -> Wire) -> Row {
    Row { name, status: 401, code: "digest-mismatch", request }
}

fn covering(cast: &Cast, components: &[&str]) -> Wire {
    cast.main.forge("GET", "/platform/v1/clients?max=5").covering(components).sign()
}

/// A write whose header says that of its body.
fn says(cast: &Cast, text: impl Into<String>) -> Wire {
    cast.post().with(|f| f.digest = Digest::As(text.into())).sign()
}

const OTHER: &[u8] = b"{\"name\":\"another\"}";

pub const ROWS: &[Row] = &[
    coverage("nothing is covered", |c| covering(c, &[])),
    coverage("the method is not covered", |c| covering(c, &["@target-uri", "date"])),
    coverage("the target is not covered", |c| covering(c, &["@method", "date"])),
    coverage("the path without the authority", |c| covering(c, &["@method", "@path", "@query"])),
    coverage("the authority without the path", |c| covering(c, &["@method", "@authority", "@query"])),
    coverage("the query is not covered", |c| covering(c, &["@method", "@authority", "@path"])),
    coverage("one query parameter instead of the query", |c| {
        covering(c, &["@method", "@authority", "@path", "\"@query-param\";name=\"max\""])
    }),
    coverage("the request target instead of the target", |c| covering(c, &["@method", "@request-target"])),
    coverage("the digest of a body is not covered", |c| {
        c.post().covering(&["@method", "@target-uri", "date"]).sign()
    }),
    coverage("a body without a digest", |c| {
        c.post().with(|f| f.digest = Digest::Absent).covering(&["@method", "@target-uri"]).sign()
    }),
    coverage("a body added behind the signature", |c| c.main.forge("GET", ME).sign().with_body("{}")),
    coverage("the idempotency key is not covered", |c| {
        c.post().keyed("a").covering(&["@method", "@target-uri", "content-digest", "date"]).sign()
    }),
    coverage("the idempotency key is not covered, parts", |c| {
        let forge = c.post().keyed("a").with(|f| f.style = Style::Parts);
        forge.covering(&["@method", "@authority", "@path", "content-digest"]).sign()
    }),
    coverage("the idempotency key was added behind the signature", |c| {
        c.post().sign().header("idempotency-key", "a")
    }),
    digest("another body, sha-256", |c| c.post().sign().with_body(OTHER)),
    digest("another body, sha-512", |c| c.post().with(|f| f.digest = Digest::Sha512).sign().with_body(OTHER)),
    digest("another body, both", |c| c.post().with(|f| f.digest = Digest::Both).sign().with_body(OTHER)),
    digest("a body of one byte more", |c| {
        let wire = c.post().sign();
        let body = [wire.body.clone(), b" ".to_vec()].concat();
        wire.with_body(body)
    }),
    digest("a body that was taken away", |c| c.post().sign().with_body("")),
    digest("sha-256 of another body", |c| says(c, sha256(OTHER))),
    digest("sha-512 of another body", |c| says(c, sha512(OTHER))),
    digest("sha-256 right, sha-512 wrong", |c| {
        let body = c.post().wire.body;
        let both = format!("{}, {}", sha256(&body), sha512(OTHER));
        c.post().with(|f| (f.wire.body, f.digest) = (body, Digest::As(both))).sign()
    }),
    digest("sha-512 right, sha-256 wrong", |c| {
        let body = c.post().wire.body;
        let both = format!("{}, {}", sha512(&body), sha256(OTHER));
        c.post().with(|f| (f.wire.body, f.digest) = (body, Digest::As(both))).sign()
    }),
    digest("a digest of an algorithm nobody knows", |c| says(c, "md5=:AAAAAAAAAAAAAAAAAAAAAA==:")),
    digest("a digest that is no structured field", |c| says(c, "sha-256=(")),
    digest("a digest that is no byte sequence", |c| says(c, "sha-256=\"x\"")),
    digest("a digest of no bytes", |c| says(c, "sha-256=::")),
    digest("a wrong digest that nothing covers", |c| {
        let forge = c.post().with(|f| f.digest = Digest::As(sha256(OTHER)));
        forge.covering(&["@method", "@target-uri", "date"]).sign()
    }),
    digest("order: the digest before the signature", |c| {
        c.post().with(|f| f.keyid = c.ed25519.creds.client_id.clone()).sign().with_body(OTHER)
    }),
];
