//! Who calls: from a signed request to an actor, in the order of 2.2 of the public contract: key known, time, digest,
//! signature, enabled, network, rate of the client, nonce. What a bad signature must not touch (the client's rate, its
//! nonces) comes after the signature.

use crate::credentials::{Credential, Credentials, Held};
use crate::standings::{Standing, Standings};
use beem_caller::{Actor, AuthenticatedBy, PrincipalKind};
use beem_clock::Moment;
use beem_fault::{Code, Fault};
use beem_ids::{ClientId, RequestId};
use beem_limits::{Limiter, Rate, ReplayStore, Seen, Verdict};
use beem_signing::{Candidate, Candidates, Judgement, RequestView, SignatureError, TimeRules, Verified};
use http::HeaderMap;
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Labels whose keyid is looked up: the caller's own, and one that a proxy put before it. Each costs a look at identity.
const KEYIDS_TRIED: usize = 2;

/// How often the keys of one client are read again because a signature did not fit them: often enough for a rotation a
/// moment ago, too seldom for guesses to burden identity.
const REREADS: Rate = Rate { per_s: 10, burst: 20 };

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
    pub standings: Standings,
    pub limiter: Limiter,
    pub client_rate: Rate,
    pub replay: ReplayStore,
}

/// A signature that holds, with the credential and the standing it was judged by.
struct Proven {
    held: Held,
    standing: Standing,
    verified: Verified,
    fingerprint: String,
}

impl Authenticator {
    /// # Errors
    /// The first rule of 2.2 that refuses, or `unavailable` when who is asked is away: never an allow.
    ///
    /// `rate` is what the client's bucket said, once it was asked.
    pub async fn authenticate(
        &self,
        attempt: &Attempt<'_>,
        rate: &mut Option<Verdict>,
    ) -> Result<Actor, Fault> {
        let headers = attempt.request.headers;
        refuse_bearer(headers)?;
        let candidates = Candidates::parse(headers).map_err(refusal)?;
        let (candidate, held) = self.known(&candidates).await?;
        let proven = self.prove(attempt, candidate, held).await?;
        self.credentials.keep(&proven.held, proven.standing.credential_version).await;
        let credential = &proven.held.credential;
        if !proven.standing.enabled {
            return Err(Fault::new(Code::PrincipalDisabled, "the client is disabled"));
        }
        if !credential.whitelist.allows(attempt.address) {
            let detail = format!("{} is not on the client's network whitelist", attempt.address);
            return Err(Fault::new(Code::NetworkNotAllowed, detail));
        }
        let bucket = format!("client:{}", credential.principal);
        let verdict = self.limiter.check(&bucket, self.client_rate, attempt.now).await;
        *rate = Some(verdict);
        if !verdict.allowed {
            return Err(crate::rates::refused(&verdict, "client"));
        }
        let actor = actor(attempt, &proven)?;
        self.use_up(attempt, candidate, &proven).await?;
        Ok(actor)
    }

    /// The first label whose keyid is a known client; other labels are somebody else's and are left alone.
    async fn known<'c>(&self, candidates: &'c Candidates) -> Result<(&'c Candidate, Held), Fault> {
        // A keyid that cannot be a client's costs nothing, and must not use up a look.
        let possible = candidates.iter().filter_map(|c| Some((c, c.keyid()?.parse::<ClientId>().ok()?)));
        for (candidate, client) in possible.take(KEYIDS_TRIED) {
            if let Some(held) = self.credentials.get(client).await? {
                return Ok((candidate, held));
            }
        }
        Err(Fault::new(Code::ClientUnknown, "no signature's keyid is a client known here"))
    }

    /// Verifies, and reads again what the caches may have wrong: a credential that is older than the standing, and one
    /// whose keys do not fit (its rotation may be a moment ago).
    async fn prove(&self, attempt: &Attempt<'_>, candidate: &Candidate, held: Held) -> Result<Proven, Fault> {
        let principal = held.credential.principal;
        let mut standing = living(self.standings.read(principal).await?)?;
        let mut held = held;
        if !held.just_read && held.credential.version < standing.credential_version {
            held = self.read_again(&held).await?;
        }
        let mut outcome = verify(attempt, candidate, &held.credential);
        if !held.just_read
            && outcome.as_ref().is_err_and(|e| e.code() == Code::SignatureInvalid)
            && self.limiter.check(&format!("reread:{principal}"), REREADS, attempt.now).await.allowed
        {
            held = self.read_again(&held).await?;
            outcome = verify(attempt, candidate, &held.credential);
        }
        let (mut verified, mut fingerprint) = outcome.map_err(refusal)?;
        if attempt.fresh {
            standing = living(self.standings.fresh(principal).await?)?;
            // Read before this standing was asked for, so it may be what the standing's change replaced.
            if held.credential.version < standing.credential_version {
                held = self.read_again(&held).await?;
                (verified, fingerprint) = verify(attempt, candidate, &held.credential).map_err(refusal)?;
            }
        }
        Ok(Proven { held, standing, verified, fingerprint })
    }

    async fn read_again(&self, held: &Held) -> Result<Held, Fault> {
        self.credentials.read(held.credential.client).await?.ok_or_else(unknown)
    }

    /// A nonce is single use for its client; without one, so is the base of an unsafe method. With the store away a
    /// write goes on under its request key alone, which has one effect however often it is sent.
    async fn use_up(
        &self,
        attempt: &Attempt<'_>,
        candidate: &Candidate,
        proven: &Proven,
    ) -> Result<(), Fault> {
        let key: [u8; 32] = match candidate.nonce() {
            Some(nonce) => {
                let mut hash = Sha256::new();
                hash.update(proven.held.credential.principal.0.as_bytes());
                hash.update(b"nonce");
                hash.update(nonce.as_bytes());
                hash.finalize().into()
            }
            None if attempt.write => proven.verified.replay_key,
            None => return Ok(()),
        };
        match self.replay.first_use(&key, proven.verified.remembered_until, attempt.now).await {
            Seen::First | Seen::StoreAway => Ok(()),
            Seen::Again => Err(Fault::new(
                Code::SignatureReplayed,
                "this signature or its nonce was used before: sign every attempt anew",
            )),
        }
    }
}

fn verify(
    attempt: &Attempt<'_>,
    candidate: &Candidate,
    credential: &Credential,
) -> Result<(Verified, String), SignatureError> {
    let (request, body, now) = (attempt.request, attempt.body, attempt.now);
    let against = Judgement { request, body, now, rules: attempt.time_rules };
    let mut last = Err(beem_signing::Refusal::Invalid.because("the client has no key that is accepted now"));
    for key in credential.keys.iter().filter(|k| k.not_after.is_none_or(|end| attempt.now < end)) {
        last = candidate.judge(&key.key, &against).map(|v| (v, key.fingerprint.clone()));
        if last.is_ok() {
            break;
        }
    }
    last
}

fn actor(attempt: &Attempt<'_>, proven: &Proven) -> Result<Actor, Fault> {
    let credential = &proven.held.credential;
    let request_key =
        if attempt.write { request_key(attempt.request.headers, &proven.verified)? } else { String::new() };
    Ok(Actor {
        account: credential.account,
        principal: credential.principal,
        kind: PrincipalKind::Client,
        authenticated_by: AuthenticatedBy::Signature,
        name: credential.client.to_string(),
        roles: proven.standing.roles,
        standing_version: proven.standing.version,
        address: attempt.address,
        request: attempt.id,
        key_fingerprint: proven.fingerprint.clone(),
        request_key,
    })
}

/// The key of a write: the caller's, or one derived from keyid and signature base. A letter keeps the two kinds apart.
fn request_key(headers: &HeaderMap, verified: &Verified) -> Result<String, Fault> {
    let mut sent = headers.get_all("idempotency-key").iter();
    let Some(value) = sent.next() else { return Ok(format!("d:{}", hex::encode(verified.replay_key))) };
    let visible = value.as_bytes().iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(key) if visible && (1..=255).contains(&key.len()) && sent.next().is_none() => {
            Ok(format!("k:{key}"))
        }
        _ => Err(Fault::field("Idempotency-Key", "one header of 1 to 255 visible ASCII characters")),
    }
}

fn refuse_bearer(headers: &HeaderMap) -> Result<(), Fault> {
    if !headers.contains_key(http::header::AUTHORIZATION) {
        return Ok(());
    }
    if headers.contains_key("signature") || headers.contains_key("signature-input") {
        return Err(Fault::field(
            "Authorization",
            "a request carries a signature or a bearer token, not both",
        ));
    }
    Err(Fault::new(Code::SessionInvalid, "the session is not known here"))
}

/// A standing of somebody who still exists: whoever was deleted is as unknown as whoever never was.
fn living(standing: Option<Standing>) -> Result<Standing, Fault> {
    standing.filter(|s| !s.deleted).ok_or_else(unknown)
}

fn refusal(error: SignatureError) -> Fault {
    Fault::new(error.code(), error.detail)
}

fn unknown() -> Fault {
    Fault::new(Code::ClientUnknown, "no signature's keyid is a client known here")
}
