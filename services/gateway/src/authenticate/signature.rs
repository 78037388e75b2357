//! A program's way in: key known, time, digest, signature, then what everybody is judged by, then nonce.

use super::admission::living;
use super::{Attempt, Authenticator, Counted, Denied, sent_key};
use crate::credentials::{Credential, Held};
use crate::standings::Standing;
use beem_caller::{Actor, AuthenticatedBy, PrincipalKind};
use beem_fault::{Code, Fault};
use beem_ids::ClientId;
use beem_limits::{Rate, Seen};
use beem_signing::{Candidate, Candidates, Judgement, SignatureError, Verified};
use sha2::{Digest, Sha256};

/// Labels whose keyid is looked up: the caller's own, and one that a proxy put before it. Each costs a look at identity.
const KEYIDS_TRIED: usize = 2;

/// How often the keys of one client are read again because a signature did not fit them: often enough for a rotation a
/// moment ago, too seldom for guesses to burden identity.
const REREADS: Rate = Rate { per_s: 10, burst: 20 };

/// A signature that holds, with the credential and the standing it was judged by.
struct Proven {
    held: Held,
    standing: Standing,
    verified: Verified,
    fingerprint: String,
}

impl Authenticator {
    pub(super) async fn by_signature(
        &self,
        attempt: &Attempt<'_>,
        counted: &mut Counted,
    ) -> Result<Actor, Denied> {
        let candidates = Candidates::parse(attempt.request.headers).map_err(refusal)?;
        let (candidate, held) = self.known(&candidates).await?;
        let proven = self.prove(attempt, candidate, held).await?;
        self.credentials.keep(&proven.held, proven.standing.credential_version).await;
        let mut actor = actor(attempt, &proven);
        let whitelist = &proven.held.credential.whitelist;
        self.admit(attempt, &actor, &proven.standing, whitelist, counted).await?;
        if attempt.write {
            let sent = sent_key(attempt.request.headers).map_err(|fault| Denied::of(&actor, fault))?;
            actor.request_key =
                sent.unwrap_or_else(|| format!("d:{}", hex::encode(proven.verified.replay_key)));
        }
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
        Err(unknown())
    }

    /// Verifies, and reads again what the caches may have wrong: a credential that is older than the standing, and one
    /// whose keys do not fit (its rotation may be a moment ago).
    async fn prove(&self, attempt: &Attempt<'_>, candidate: &Candidate, held: Held) -> Result<Proven, Fault> {
        let principal = held.credential.principal;
        let mut standing = living(self.standings.read(principal).await?, unknown)?;
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
            standing = living(self.standings.fresh(principal).await?, unknown)?;
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

/// Without a request key, which only what is let in gets.
fn actor(attempt: &Attempt<'_>, proven: &Proven) -> Actor {
    let credential = &proven.held.credential;
    Actor {
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
        request_key: String::new(),
        session: None,
    }
}

fn refusal(error: SignatureError) -> Fault {
    Fault::new(error.code(), error.detail)
}

fn unknown() -> Fault {
    Fault::new(Code::ClientUnknown, "no signature's keyid is a client known here")
}
