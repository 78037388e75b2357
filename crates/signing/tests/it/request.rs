//! A request in the making: what tests sign, bend and judge.

use beem_clock::Moment;
use beem_signing::{
    Candidates, Judgement, Origin, OutgoingRequest, PrivateKey, PublicKey, RequestView, SignatureError,
    Signer, TimeRules, Verified,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// The time of most vectors, in Unix seconds.
pub const NOW_S: i64 = 1_618_884_473;

/// A key of `tests/keys`.
pub fn private(name: &str) -> PrivateKey {
    PrivateKey::from_pkcs8_pem(&file(&format!("{name}.private.pem"))).unwrap()
}

/// A key of `tests/keys`.
pub fn public(name: &str) -> PublicKey {
    PublicKey::parse_pem(&file(&format!("{name}.public.pem"))).unwrap()
}

pub fn file(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub origin: Origin,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub now_s: i64,
}

impl Request {
    pub fn new(method: Method, url: &str, body: &str) -> Self {
        let (target, query) = url.split_once('?').map_or((url, None), |(t, q)| (t, Some(q.to_owned())));
        let path_at = target.find("://").unwrap() + 3;
        let path_at = target[path_at..].find('/').map_or(target.len(), |at| path_at + at);
        Self {
            method,
            origin: Origin::parse(&target[..path_at]).unwrap(),
            path: target[path_at..].to_owned(),
            query,
            headers: HeaderMap::new(),
            body: body.into(),
            now_s: NOW_S,
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.append(name, HeaderValue::from_str(value).unwrap());
        self
    }

    pub fn replacing(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    pub fn signed_by(self, signer: &Signer) -> Self {
        self.signed_with(signer, None)
    }

    pub fn signed_with(mut self, signer: &Signer, nonce: Option<&str>) -> Self {
        let idempotency_key = self.headers.get("idempotency-key").map(|v| v.to_str().unwrap().to_owned());
        let signed = signer
            .sign(&OutgoingRequest {
                method: &self.method,
                origin: &self.origin,
                path: &self.path,
                query: self.query.as_deref(),
                body: &self.body,
                idempotency_key: idempotency_key.as_deref(),
                nonce,
                now: Moment::from_unix_s(self.now_s),
            })
            .unwrap();
        for (name, value) in &signed.headers {
            self.headers.insert(name, value.clone());
        }
        self
    }

    /// Signs that inner list by hand, as a foreign signer would.
    pub fn signed_as(self, key: &PrivateKey, params: &str) -> Self {
        let unsigned =
            self.replacing("signature-input", &format!("sig={params}")).replacing("signature", "sig=::");
        let base = unsigned.base().unwrap();
        let signature = key.sign(key.kind().default_algorithm(), base.as_bytes()).unwrap();
        let signature = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signature);
        unsigned.replacing("signature", &format!("sig=:{signature}:"))
    }

    pub fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            origin: &self.origin,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
        }
    }

    pub fn base(&self) -> Result<String, SignatureError> {
        let candidates = Candidates::parse(&self.headers)?;
        candidates.iter().next().unwrap().base(&self.view())
    }

    pub fn judged(&self, key: &PublicKey) -> Result<Verified, SignatureError> {
        let candidates = Candidates::parse(&self.headers)?;
        let rules = TimeRules::default();
        let now = Moment::from_unix_s(self.now_s);
        let against = Judgement { request: self.view(), body: &self.body, now, rules: &rules };
        candidates.iter().next().unwrap().judge(key, &against)
    }

    /// The public code of the refusal, `ok` when there is none.
    pub fn verdict(&self, key: &PublicKey) -> &'static str {
        self.judged(key).map_or_else(|e| e.code().as_str(), |_| "ok")
    }
}
