//! Signing an outgoing request the way BEEM documents it, for the command line, tests and whoever writes a client in
//! Rust.

use crate::algorithm::Algorithm;
use crate::base::RequestView;
use crate::digest;
use crate::error::SignatureError;
use crate::input::Candidates;
use crate::origin::Origin;
use crate::private_key::{PrivateKey, PrivateKeyError};
use crate::time_rules::http_date;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_clock::Moment;
use http::header::DATE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// Which components name the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// `"@target-uri"`, as BEEM documents it.
    #[default]
    TargetUri,
    /// `"@authority" "@path"`, and `"@query"` when there is one.
    Parts,
}

/// Signs requests under one keyid.
#[derive(Debug)]
pub struct Signer {
    /// The client's `clientId`.
    pub keyid: String,
    pub key: PrivateKey,
    pub algorithm: Algorithm,
    /// `sig` unless changed.
    pub label: String,
    pub style: Style,
}

/// What is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingRequest<'a> {
    pub method: &'a Method,
    pub origin: &'a Origin,
    pub path: &'a str,
    /// Without its question mark.
    pub query: Option<&'a str>,
    pub body: &'a [u8],
    pub idempotency_key: Option<&'a str>,
    /// Makes a signature single use even where its request may be repeated.
    pub nonce: Option<&'a str>,
    pub now: Moment,
}

/// What to send with the request.
#[derive(Clone, Debug)]
pub struct Signed {
    /// `date`, `content-digest` when there is a body, `idempotency-key` when given, `signature-input`, `signature`.
    pub headers: HeaderMap,
    /// What was signed, to compare with what another signer signs.
    pub base: String,
}

/// Why a request cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    #[error(transparent)]
    Key(#[from] PrivateKeyError),
    #[error("{0} cannot be written into a header")]
    Header(&'static str),
    #[error(transparent)]
    Base(#[from] SignatureError),
}

impl Signer {
    /// Signs with the key's default algorithm, in BEEM's shape.
    #[must_use]
    pub fn new(keyid: impl Into<String>, key: PrivateKey) -> Self {
        let algorithm = key.kind().default_algorithm();
        Self { keyid: keyid.into(), key, algorithm, label: "sig".into(), style: Style::TargetUri }
    }

    /// The headers that make it a signed request.
    ///
    /// # Errors
    /// A keyid, label, nonce or idempotency key that no header can hold; an algorithm that is not the key's.
    pub fn sign(&self, request: &OutgoingRequest<'_>) -> Result<Signed, SignerError> {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, header("the date", &http_date(request.now))?);
        if !request.body.is_empty() {
            let digest = header("the digest", &digest::sha256(request.body))?;
            headers.insert(HeaderName::from_static(digest::CONTENT_DIGEST), digest);
        }
        if let Some(key) = request.idempotency_key {
            headers.insert(HeaderName::from_static("idempotency-key"), header("the idempotency key", key)?);
        }
        let input = format!("{}={}", self.label, self.signature_params(request)?);
        let name = HeaderName::from_static("signature");
        headers
            .insert(HeaderName::from_static("signature-input"), header("the keyid, label or nonce", &input)?);
        headers.insert(&name, header("the label", &format!("{}=::", self.label))?);
        let base = self.base(request, &headers)?;
        let signature = STANDARD.encode(self.key.sign(self.algorithm, base.as_bytes())?);
        headers.insert(&name, header("the label", &format!("{}=:{signature}:", self.label))?);
        Ok(Signed { headers, base })
    }

    /// The base as a verifier will compute it from these headers: one code for both sides.
    fn base(&self, request: &OutgoingRequest<'_>, headers: &HeaderMap) -> Result<String, SignerError> {
        let OutgoingRequest { method, origin, path, query, .. } = *request;
        let view = RequestView { method, origin, path, query, headers };
        let candidates = Candidates::parse(headers)?;
        let candidate = candidates.iter().next().ok_or(SignerError::Header("the label"))?;
        Ok(candidate.base(&view)?)
    }

    fn signature_params(&self, request: &OutgoingRequest<'_>) -> Result<String, SignerError> {
        let mut components = vec!["\"@method\""];
        match self.style {
            Style::TargetUri => components.push("\"@target-uri\""),
            Style::Parts => {
                components.extend(["\"@authority\"", "\"@path\""]);
                components.extend(request.query.map(|_| "\"@query\""));
            }
        }
        if !request.body.is_empty() {
            components.push("\"content-digest\"");
        }
        components.push("\"date\"");
        if request.idempotency_key.is_some() {
            components.push("\"idempotency-key\"");
        }
        let nonce = match request.nonce {
            Some(nonce) => format!(";nonce={}", quoted("the nonce", nonce)?),
            None => String::new(),
        };
        let (created, keyid) = (request.now.unix_s(), quoted("the keyid", &self.keyid)?);
        Ok(format!(
            "({});created={created};keyid={keyid};alg=\"{}\"{nonce}",
            components.join(" "),
            self.algorithm
        ))
    }
}

/// A structured string (RFC 8941 section 4.1.6).
fn quoted(what: &'static str, text: &str) -> Result<String, SignerError> {
    if !text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Err(SignerError::Header(what));
    }
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

fn header(what: &'static str, text: &str) -> Result<HeaderValue, SignerError> {
    HeaderValue::from_str(text).map_err(|_| SignerError::Header(what))
}
