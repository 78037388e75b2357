//! Who signs, whether they may come in at all, and when: with the order in which that is judged.

use super::{CLIENTS, Cast, ME, Row};
use beem_tests::Wire;
use beem_tests::forge::{date_of, now_s};

const fn unknown(name: &'static str, request: fn(&Cast) -> Wire) -> Row {
    Row { name, status: 401, code: "client-unknown", request }
}

const fn expired(name: &'static str, request: fn(&Cast) -> Wire) -> Row {
    Row { name, status: 401, code: "signature-expired", request }
}

const fn row(name: &'static str, status: u16, code: &'static str, request: fn(&Cast) -> Wire) -> Row {
    Row { name, status, code, request }
}

/// With the keyid that the closure gives.
fn by(cast: &Cast, keyid: impl Into<String>) -> Wire {
    cast.get().with(|f| f.keyid = keyid.into()).sign()
}

pub const ROWS: &[Row] = &[
    unknown("keyid of nobody", |c| by(c, uuid::Uuid::now_v7().to_string())),
    unknown("keyid that is no id", |c| by(c, "nobody")),
    unknown("keyid empty", |c| by(c, "")),
    unknown("the principal's id as keyid", |c| by(c, c.ed25519.creds.id.clone())),
    unknown("the account's id as keyid", |c| by(c, c.ed25519.creds.account_id.clone())),
    unknown("a deleted client", |c| c.deleted.forge("GET", ME).sign()),
    unknown("a deleted client's write", |c| {
        c.deleted.forge("DELETE", &format!("{CLIENTS}/{}", c.ed25519.creds.id)).sign()
    }),
    unknown("two labels, both of nobody", |c| {
        let (wire, input, signature) = c.get().with(|f| f.keyid = "nobody".into()).parts();
        let second = |v: &str| v.replacen("sig=", "two=", 1);
        let (inputs, signatures) =
            (format!("{input}, {}", second(&input)), format!("{signature}, {}", second(&signature)));
        wire.header("signature-input", inputs).header("signature", signatures)
    }),
    unknown("order: an unknown keyid before its time", |c| {
        c.get().created_in(-4000).with(|f| f.keyid = "nobody".into()).sign()
    }),
    row("bearer beside a signature", 400, "validation-failed", |c| {
        c.get().sign().header("authorization", "Bearer abc")
    }),
    row("bearer alone", 401, "session-invalid", |c| {
        Wire::new(c.main.gateway.address, "GET", ME).header("authorization", "Bearer abc")
    }),
    row("bearer alone on a write", 401, "session-invalid", |c| {
        let wire = c.post().sign().without("signature").without("signature-input");
        wire.header("authorization", "bearer abc")
    }),
    row("disabled", 403, "principal-disabled", |c| c.disabled.forge("GET", ME).sign()),
    row("disabled, before the roles", 403, "principal-disabled", |c| c.disabled.forge("GET", CLIENTS).sign()),
    row("another network", 403, "network-not-allowed", |c| c.elsewhere.forge("GET", ME).sign()),
    row("another network, with a header that nobody vouches for", 403, "network-not-allowed", |c| {
        c.elsewhere.forge("GET", ME).sign().header("x-forwarded-for", "203.0.113.5")
    }),
    row("another network, with every header a proxy may send", 403, "network-not-allowed", |c| {
        let wire = c.elsewhere.forge("GET", ME).sign();
        let wire = wire.header("forwarded", "for=203.0.113.5").header("x-real-ip", "203.0.113.5");
        wire.header("x-forwarded-for", "203.0.113.5, 203.0.113.6").header("x-client-ip", "203.0.113.5")
    }),
    row("order: disabled before the network", 403, "principal-disabled", |c| {
        c.disabled_elsewhere.forge("GET", ME).sign()
    }),
    row("order: the signature before disabled", 401, "signature-invalid", |c| {
        let (_, _, signature) = c.get().parts();
        c.disabled.forge("GET", ME).sign().replace("signature", signature)
    }),
    row("order: the signature before the network", 401, "signature-invalid", |c| {
        let (_, _, signature) = c.get().parts();
        c.elsewhere.forge("GET", ME).sign().replace("signature", signature)
    }),
    row("order: the network before the roles", 403, "network-not-allowed", |c| {
        c.elsewhere.forge("GET", CLIENTS).sign()
    }),
    expired("created is missing", |c| c.get().with(|f| f.created = None).sign()),
    expired("created 310 s ago", |c| c.get().created_in(-310).sign()),
    expired("created 70 s ahead", |c| c.get().created_in(70).sign()),
    expired("created at the epoch", |c| c.get().with(|f| (f.created, f.date) = (Some(0), None)).sign()),
    expired("created a day ahead", |c| c.get().created_in(86_400).sign()),
    expired("expires is past", |c| c.get().created_in(-20).with(|f| f.expires = Some(now_s() - 10)).sign()),
    expired("expires before created", |c| {
        c.get().created_in(30).with(|f| f.expires = Some(now_s() + 20)).sign()
    }),
    expired("date 5 s before created", |c| c.get().with(|f| f.date = Some(date_of(now_s() - 5))).sign()),
    expired("date 5 s after created", |c| c.get().with(|f| f.date = Some(date_of(now_s() + 5))).sign()),
    expired("date that is none", |c| c.get().with(|f| f.date = Some("yesterday".into())).sign()),
    expired("order: time before the digest and the signature", |c| {
        c.post()
            .created_in(-4000)
            .sign()
            .with_body("{}")
            .change("signature", |v| v.to_ascii_uppercase().replace("SIG=", "sig="))
    }),
];
