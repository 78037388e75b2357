//! Who calls: from a request to an actor, in the order of 2.2 of the public contract. A program signs ([`signature`]), a
//! person sends the token of a session ([`session`]); what both are judged by afterwards (enabled, network, rate) is the
//! same ([`admission`]). What a bad proof must not touch (the caller's rate, its nonces) comes after the proof.

mod admission;
mod session;
mod signature;

use crate::credentials::Credentials;
use crate::sessions::Sessions;
use crate::standings::Standings;
use beem_caller::Actor;
use beem_clock::Moment;
use beem_fault::{Code, Fault};
use beem_ids::RequestId;
use beem_limits::{Limiter, Rate, ReplayStore, Verdict};
use beem_signing::{RequestView, TimeRules};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::net::IpAddr;

/// One request to judge.
pub struct Attempt<'a> {
    pub request: RequestView<'a>,
    pub body: &'a [u8],
    /// The caller's address, after trusted proxies.
    pub address: IpAddr,
    pub id: RequestId,
    pub now: Moment,
    /// The RPC wants authz asked, not a cache.
    pub fresh: bool,
    /// The RPC may change something.
    pub write: bool,
    pub time_rules: &'a TimeRules,
}

/// What it takes to authenticate. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    pub credentials: Credentials,
    pub sessions: Sessions,
    pub standings: Standings,
    pub limiter: Limiter,
    /// Of one client, and of one user.
    pub principal_rate: Rate,
    pub replay: ReplayStore,
}

/// What the caller's bucket said, and whose bucket it is: `client` or `user`.
pub type Counted = Option<(Verdict, &'static str)>;

/// A refusal, and of whom, once that was proven.
#[derive(Debug)]
pub struct Denied {
    pub fault: Fault,
    pub actor: Option<Box<Actor>>,
}

impl From<Fault> for Denied {
    fn from(fault: Fault) -> Self {
        Self { fault, actor: None }
    }
}

impl Denied {
    pub(crate) fn of(actor: &Actor, fault: Fault) -> Self {
        Self { fault, actor: Some(Box::new(actor.clone())) }
    }
}

impl Authenticator {
    /// # Errors
    /// The first rule of 2.2 that refuses, or `unavailable` when who is asked is away: never an allow.
    ///
    /// `counted` is what the caller's bucket said, once it was asked.
    pub async fn authenticate(&self, attempt: &Attempt<'_>, counted: &mut Counted) -> Result<Actor, Denied> {
        let headers = attempt.request.headers;
        let signed = headers.contains_key("signature") || headers.contains_key("signature-input");
        match (headers.contains_key(AUTHORIZATION), signed) {
            (true, true) => {
                let detail = "a request carries a signature or a bearer token, not both";
                Err(Fault::field("Authorization", detail).into())
            }
            (true, false) => self.by_session(attempt, counted).await,
            (false, true) => self.by_signature(attempt, counted).await,
            (false, false) => {
                let detail = "neither a signature (Signature-Input and Signature) nor the token of a session \
                              (Authorization: Bearer) is there";
                Err(Fault::new(Code::SignatureMissing, detail).into())
            }
        }
    }
}

/// The key of a write that its caller sent; None when there is none. A letter keeps it apart from those we derive.
fn sent_key(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let mut sent = headers.get_all("idempotency-key").iter();
    let Some(value) = sent.next() else { return Ok(None) };
    let visible = value.as_bytes().iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(key) if visible && (1..=255).contains(&key.len()) && sent.next().is_none() => {
            Ok(Some(format!("k:{key}")))
        }
        _ => Err(Fault::field("Idempotency-Key", "one header of 1 to 255 visible ASCII characters")),
    }
}
