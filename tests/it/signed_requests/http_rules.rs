//! Signed as it should be, and still no request: methods, paths, types, bodies, hosts, sizes, roles.

use super::{CLIENTS, Cast, ME, Row};
use beem_tests::{Forge, Wire};

const fn row(name: &'static str, status: u16, code: &'static str, request: fn(&Cast) -> Wire) -> Row {
    Row { name, status, code, request }
}

/// A write of the main client with exactly that body.
fn body(cast: &Cast, text: &str) -> Forge {
    cast.main.forge("POST", CLIENTS).with(|f| {
        f.wire.body = text.into();
        f.wire = f.wire.clone().replace("content-type", "application/json");
    })
}

fn typed(cast: &Cast, media_type: &str) -> Wire {
    cast.post().with(|f| f.wire = f.wire.clone().replace("content-type", media_type)).sign()
}

fn get(cast: &Cast, target: &str) -> Wire {
    cast.main.forge("GET", target).sign()
}

pub const ROWS: &[Row] = &[
    row("a body that is no JSON", 400, "malformed-json", |c| body(c, "{\"name\": ").sign()),
    row("a body that is not UTF-8", 400, "malformed-json", |c| {
        c.post().with(|f| f.wire.body = b"{\"name\":\"\xff\"}".to_vec()).sign()
    }),
    row("a key twice", 400, "malformed-json", |c| body(c, "{\"name\":\"a\",\"name\":\"b\"}").sign()),
    row("a body that is a list", 400, "validation-failed", |c| body(c, "[]").sign()),
    row("a field nobody knows", 400, "unknown-field", |c| body(c, "{\"name\":\"a\",\"nmae\":\"b\"}").sign()),
    row("a field of the wrong type", 400, "validation-failed", |c| body(c, "{\"name\":7}").sign()),
    row("null", 400, "validation-failed", |c| body(c, "{\"name\":null}").sign()),
    row("no body where fields are needed", 400, "validation-failed", |c| {
        c.main.forge("POST", CLIENTS).sign()
    }),
    row("a parameter nobody knows", 400, "unknown-field", |c| get(c, "/platform/v1/clients?limit=5")),
    row("a parameter where there is none", 400, "unknown-field", |c| get(c, "/platform/v1/me?x=1")),
    row("a parameter twice", 400, "validation-failed", |c| get(c, "/platform/v1/clients?max=5&max=5")),
    row("max 501", 400, "validation-failed", |c| get(c, "/platform/v1/clients?max=501")),
    row("max 0", 400, "validation-failed", |c| get(c, "/platform/v1/clients?max=0")),
    row("an order that is none", 400, "validation-failed", |c| get(c, "/platform/v1/clients?order=up")),
    row("a page token nobody gave", 400, "validation-failed", |c| {
        get(c, "/platform/v1/clients?pageToken=abc")
    }),
    row("text/plain", 415, "unsupported-media-type", |c| typed(c, "text/plain")),
    row("a form", 415, "unsupported-media-type", |c| typed(c, "application/x-www-form-urlencoded")),
    row("JSON in Latin-1", 415, "unsupported-media-type", |c| {
        typed(c, "application/json; charset=iso-8859-1")
    }),
    row("gzip", 415, "unsupported-media-type", |c| c.post().sign().header("content-encoding", "gzip")),
    row("a method that is not there", 405, "method-not-allowed", |c| c.main.forge("PUT", ME).sign()),
    row("a write to a page", 405, "method-not-allowed", |c| c.main.forge("POST", "/healthz").sign()),
    row("a path that is not there", 404, "not-found", |c| get(c, "/platform/v1/nothing")),
    row("a path with a slash more", 404, "not-found", |c| get(c, "/platform/v1/me/")),
    row("a path in capitals", 404, "not-found", |c| get(c, "/platform/v1/ME")),
    row("a gRPC path", 404, "not-found", |c| {
        c.main.forge("POST", "/beem.identity.v1.Profiles/GetProfile").sign()
    }),
    row("an internal gRPC path", 404, "not-found", |c| {
        c.main.forge("POST", "/beem.authz.v1.Standings/GetStanding").sign()
    }),
    row("an id of nobody", 404, "not-found", |c| get(c, &format!("{CLIENTS}/{}", uuid::Uuid::now_v7()))),
    row("an id that is none", 404, "not-found", |c| get(c, "/platform/v1/clients/abc")),
    row("a client's keyid as its id", 404, "not-found", |c| {
        get(c, &format!("{CLIENTS}/{}", c.main.creds.client_id))
    }),
    row("another host", 421, "misdirected", |c| {
        c.main.forge("GET", ME).with(|f| f.wire.host = "api.example".into()).sign()
    }),
    row("a body of 2 MiB", 413, "body-too-large", |c| {
        c.main.forge("POST", CLIENTS).sign().header("content-length", (2 * 1024 * 1024).to_string())
    }),
    row("a target of 9 KiB", 414, "target-too-long", |c| get(c, &format!("{ME}?x={}", "x".repeat(9 * 1024)))),
    row("headers of 20 KiB", 431, "headers-too-large", |c| {
        get(c, ME).header("x-more", "x".repeat(20 * 1024))
    }),
    row("101 fields", 431, "headers-too-large", |c| {
        (0..101).fold(get(c, ME), |w, _| w.header("x-more", "x"))
    }),
    row("a role is missing", 403, "role-missing", |c| c.ed25519.forge("GET", CLIENTS).sign()),
    row("order: the role before the body", 403, "role-missing", |c| {
        let forge = body(c, "{\"nmae\":");
        Forge { creds: c.ed25519.creds.clone(), keyid: c.ed25519.creds.client_id.clone(), ..forge }.sign()
    }),
    row("an idempotency key that is empty", 400, "validation-failed", |c| c.post().keyed("").sign()),
    row("an idempotency key of 256 characters", 400, "validation-failed", |c| {
        c.post().keyed(&"k".repeat(256)).sign()
    }),
    row("an idempotency key with a space", 400, "validation-failed", |c| c.post().keyed("a b").sign()),
];
