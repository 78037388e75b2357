//! A signed request with every part open to change. The signature base is built here a second time, from RFC 9421 alone
//! and not with the code under test, so that one misreading on both sides cannot pass for agreement.

use crate::creds::Creds;
use crate::wire::Wire;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_clock::{Clock, Entropy, Moment};
use beem_signing::http_date;
use sha2::{Digest as _, Sha256, Sha512};

/// Which components name the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    TargetUri,
    Parts,
}

/// What `Content-Digest` says.
#[derive(Clone, Debug)]
pub enum Digest {
    Sha256,
    Sha512,
    Both,
    /// This text, whatever the body.
    As(String),
    /// There is none.
    Absent,
}

/// Change what is to be wrong before [`Forge::sign`]; change the [`Wire`] for what is to be wrong after it.
#[derive(Clone, Debug)]
pub struct Forge {
    pub wire: Wire,
    pub creds: Creds,
    /// `http://host:port`, as the caller believes it.
    pub origin: String,
    pub label: String,
    pub keyid: String,
    /// The `alg` parameter; none leaves it out.
    pub alg: Option<String>,
    pub created: Option<i64>,
    pub expires: Option<i64>,
    pub nonce: Option<String>,
    pub style: Style,
    /// What `Date` says; none sends none. Covered when sent, unless `components` says otherwise.
    pub date: Option<String>,
    pub digest: Digest,
    /// Identifiers as written between the parentheses, `"@method"`; none covers what BEEM asks for.
    pub components: Option<Vec<String>>,
}

/// Unix seconds.
#[must_use]
pub fn now_s() -> i64 {
    Clock::System.now().unix_s()
}

/// The date header's text for a Unix second.
#[must_use]
pub fn date_of(unix_s: i64) -> String {
    http_date(Moment::from_unix_s(unix_s))
}

/// 32 hexadecimal digits nobody has seen before.
#[must_use]
pub fn unique() -> String {
    hex::encode(Entropy::System.bytes::<16>())
}

/// `sha-256=:…:`
#[must_use]
pub fn sha256(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

/// `sha-512=:…:`
#[must_use]
pub fn sha512(body: &[u8]) -> String {
    format!("sha-512=:{}:", STANDARD.encode(Sha512::digest(body)))
}

impl Forge {
    /// What BEEM's own signer would send, but for a nonce, so that two equal writes in one second are two.
    #[must_use]
    pub fn new(wire: Wire, creds: &Creds, origin: &str) -> Self {
        let now = now_s();
        Self {
            wire,
            creds: creds.clone(),
            origin: origin.into(),
            label: "sig".into(),
            keyid: creds.client_id.clone(),
            alg: Some(creds.algorithm.as_str().into()),
            created: Some(now),
            expires: None,
            nonce: Some(unique()),
            style: Style::TargetUri,
            date: Some(date_of(now)),
            digest: Digest::Sha256,
            components: None,
        }
    }

    /// With that body, as JSON.
    #[must_use]
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.wire.body = body.to_string().into_bytes();
        self.wire = self.wire.replace("content-type", "application/json");
        self
    }

    /// With that idempotency key.
    #[must_use]
    pub fn keyed(mut self, key: &str) -> Self {
        self.wire = self.wire.replace("idempotency-key", key);
        self
    }

    /// Changed by a closure, so that a table's row is one expression.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Made `seconds` from now, with the date to match.
    #[must_use]
    pub fn created_in(self, seconds: i64) -> Self {
        self.with(|f| {
            f.created = Some(now_s() + seconds);
            f.date = Some(date_of(now_s() + seconds));
        })
    }

    /// Covering exactly these.
    #[must_use]
    pub fn covering(self, components: &[&str]) -> Self {
        let quoted =
            components.iter().map(|c| if c.contains('"') { (*c).to_owned() } else { format!("\"{c}\"") });
        let quoted: Vec<String> = quoted.collect();
        self.with(|f| f.components = Some(quoted))
    }

    /// What is covered unless [`Forge::components`] says otherwise, without quotes.
    #[must_use]
    pub fn usual(&self) -> Vec<&'static str> {
        let mut names = vec!["@method"];
        match self.style {
            Style::TargetUri => names.push("@target-uri"),
            Style::Parts => {
                names.extend(["@authority", "@path"]);
                names.extend(self.wire.target.contains('?').then_some("@query"));
            }
        }
        names.extend((!self.wire.body.is_empty()).then_some("content-digest"));
        names.extend(self.date.is_some().then_some("date"));
        let keyed = self.wire.headers.iter().any(|(n, _)| n == "idempotency-key");
        names.extend(keyed.then_some("idempotency-key"));
        names
    }

    /// Adds `Date` and `Content-Digest`, and signs.
    #[must_use]
    pub fn sign(self) -> Wire {
        let (wire, input, signature) = self.parts();
        wire.replace("signature-input", input).replace("signature", signature)
    }

    /// The request without its two signature headers, and those.
    #[must_use]
    pub fn parts(mut self) -> (Wire, String, String) {
        if let Some(date) = &self.date {
            self.wire = self.wire.replace("date", date);
        }
        let body = &self.wire.body;
        let digest = match &self.digest {
            Digest::As(text) => Some(text.clone()),
            Digest::Absent => None,
            _ if body.is_empty() => None,
            Digest::Sha256 => Some(sha256(body)),
            Digest::Sha512 => Some(sha512(body)),
            Digest::Both => Some(format!("{}, {}", sha256(body), sha512(body))),
        };
        if let Some(digest) = digest {
            self.wire = self.wire.replace("content-digest", digest);
        }
        let base = self.base();
        let signature = self.creds.key.sign(self.creds.algorithm, base.as_bytes()).unwrap();
        let input = format!("{}={}", self.label, self.params());
        let signature = format!("{}=:{}:", self.label, STANDARD.encode(signature));
        (self.wire, input, signature)
    }

    fn covered(&self) -> Vec<String> {
        let usual = || self.usual().into_iter().map(|c| format!("\"{c}\"")).collect();
        self.components.clone().unwrap_or_else(usual)
    }

    fn params(&self) -> String {
        let mut params = format!("({})", self.covered().join(" "));
        if let Some(created) = self.created {
            params += &format!(";created={created}");
        }
        if let Some(expires) = self.expires {
            params += &format!(";expires={expires}");
        }
        params += &format!(";keyid=\"{}\"", self.keyid);
        if let Some(alg) = &self.alg {
            params += &format!(";alg=\"{alg}\"");
        }
        if let Some(nonce) = &self.nonce {
            params += &format!(";nonce=\"{nonce}\"");
        }
        params
    }

    /// RFC 9421 section 2.5. A component that has no value gets an empty one: whatever the verifier makes of it.
    #[must_use]
    pub fn base(&self) -> String {
        let mut base = String::new();
        for identifier in self.covered() {
            base += &format!("{identifier}: {}\n", self.component(&identifier));
        }
        base + "\"@signature-params\": " + &self.params()
    }

    fn component(&self, identifier: &str) -> String {
        let name = identifier.split('"').nth(1).unwrap_or(identifier);
        let (path, query) = self.wire.target.split_once('?').unwrap_or((&self.wire.target, ""));
        match name {
            "@method" => self.wire.method.clone(),
            "@target-uri" => format!("{}{}", self.origin, self.wire.target),
            "@authority" => self.origin.split("://").nth(1).unwrap_or_default().to_owned(),
            "@scheme" => self.origin.split("://").next().unwrap_or_default().to_owned(),
            "@request-target" => self.wire.target.clone(),
            "@path" => path.to_owned(),
            "@query" => format!("?{query}"),
            "@query-param" => {
                let wanted = identifier.split("name=\"").nth(1).unwrap_or_default().trim_end_matches('"');
                let found =
                    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == wanted);
                found.map(|(_, value)| value.to_owned()).unwrap_or_default()
            }
            field => {
                let lines = self.wire.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(field));
                lines.map(|(_, v)| v.trim()).collect::<Vec<_>>().join(", ")
            }
        }
    }
}
