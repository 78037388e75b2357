//! Service tokens: which service calls whom. Signed with the issuer's Ed25519 key, good for minutes, and only at the
//! audience it names. Verified results are kept until the token's end, so that a hop costs a look-up, not a signature.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use beem_clock::{Clock, Moment};
use beem_fault::{Code, Fault};
use beem_proto::access::v1::ServiceToken;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use prost::Message;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, RwLock};

/// How long a token is good for.
pub const TOKEN_LIFETIME_MS: i64 = 300_000;

/// A token is made anew when less than this is left of it.
const RENEW_BEFORE_MS: i64 = 60_000;

/// The clocks of two of our hosts may differ by this much.
const SKEW_MS: i64 = 10_000;

/// Verified tokens kept at once; a service has a handful of callers, so a full map means churn, and is emptied.
const KEPT_TOKENS: usize = 1_024;

/// Tokens made, by audience, with their end, Unix milliseconds.
type Made = Arc<RwLock<HashMap<String, (String, i64)>>>;

/// A service's own name and key. Cheap to clone.
#[derive(Clone)]
pub struct ServiceIdentity {
    name: Arc<str>,
    key: Arc<SigningKey>,
    clock: Clock,
    made: Made,
}

impl fmt::Debug for ServiceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceIdentity({})", self.name)
    }
}

impl ServiceIdentity {
    #[must_use]
    pub fn new(name: &str, key: SigningKey, clock: Clock) -> Self {
        Self { name: name.into(), key: Arc::new(key), clock, made: Arc::default() }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn public_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// A token for that audience, with at least a minute left.
    #[must_use]
    pub fn token_for(&self, audience: &str) -> String {
        let now = self.clock.now();
        if let Ok(made) = self.made.read()
            && let Some((token, not_after)) = made.get(audience)
            && not_after.saturating_sub(now.unix_ms()) > RENEW_BEFORE_MS
        {
            return token.clone();
        }
        let not_after = now.plus_ms(TOKEN_LIFETIME_MS).unix_ms();
        let token = self.sign(audience, now.unix_ms(), not_after);
        if let Ok(mut made) = self.made.write() {
            made.insert(audience.to_owned(), (token.clone(), not_after));
        }
        token
    }

    fn sign(&self, audience: &str, issued_at_ms: i64, not_after_ms: i64) -> String {
        let token = ServiceToken {
            issuer: self.name.to_string(),
            audience: audience.to_owned(),
            issued_at_ms,
            not_after_ms,
        };
        let bytes = token.encode_to_vec();
        let signature = self.key.sign(&bytes).to_bytes();
        format!("{}.{}", URL_SAFE_NO_PAD.encode(bytes), URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Verified tokens: issuer and end, Unix milliseconds.
type Verified = Arc<RwLock<HashMap<String, (Arc<str>, i64)>>>;

/// Who may issue tokens: for each service its current public key, and the previous one while keys rotate.
#[derive(Clone, Debug)]
pub struct Issuers {
    audience: Arc<str>,
    keys: Arc<BTreeMap<String, Vec<VerifyingKey>>>,
    verified: Verified,
}

impl Issuers {
    /// `audience` is the service that asks.
    #[must_use]
    pub fn new(audience: &str, keys: BTreeMap<String, Vec<VerifyingKey>>) -> Self {
        Self { audience: audience.into(), keys: Arc::new(keys), verified: Arc::default() }
    }

    /// The issuer's name.
    ///
    /// # Errors
    /// `caller-unproven` with a fixed text: which check failed is in the source, for the log.
    pub fn verify(&self, token: &str, now: Moment) -> Result<Arc<str>, Fault> {
        if let Ok(verified) = self.verified.read()
            && let Some((issuer, not_after)) = verified.get(token)
            && *not_after > now.unix_ms()
        {
            return Ok(Arc::clone(issuer));
        }
        let (issuer, not_after) = self.judge(token, now)?;
        let issuer: Arc<str> = issuer.into();
        if let Ok(mut verified) = self.verified.write() {
            if verified.len() >= KEPT_TOKENS {
                verified.clear();
            }
            verified.insert(token.to_owned(), (Arc::clone(&issuer), not_after));
        }
        Ok(issuer)
    }

    fn judge(&self, token: &str, now: Moment) -> Result<(String, i64), Fault> {
        let refuse = |why: &'static str| {
            Fault::new(Code::CallerUnproven, "the calling service could not be proven").caused_by(why)
        };
        let (payload, signature) =
            token.split_once('.').ok_or_else(|| refuse("a token without a signature"))?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| refuse("a token that is not base64url"))?;
        let signature =
            URL_SAFE_NO_PAD.decode(signature).map_err(|_| refuse("a signature that is not base64url"))?;
        let signature =
            Signature::from_slice(&signature).map_err(|_| refuse("a signature of the wrong length"))?;
        let token =
            ServiceToken::decode(payload.as_slice()).map_err(|_| refuse("a token that does not decode"))?;
        let keys = self.keys.get(&token.issuer).ok_or_else(|| refuse("a token of an unknown issuer"))?;
        if !keys.iter().any(|key| key.verify_strict(&payload, &signature).is_ok()) {
            return Err(refuse("a token whose signature does not verify"));
        }
        if token.audience != *self.audience {
            return Err(refuse("a token for another audience"));
        }
        let (from, to) = (token.issued_at_ms.saturating_sub(SKEW_MS), token.not_after_ms);
        let life = to.saturating_sub(token.issued_at_ms);
        if now.unix_ms() < from || now.unix_ms() >= to || life > TOKEN_LIFETIME_MS {
            return Err(refuse("a token outside its time"));
        }
        Ok((token.issuer, token.not_after_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_unix_s(1_800_000_000);

    fn identity(name: &str, seed: u8, clock: &Clock) -> ServiceIdentity {
        ServiceIdentity::new(name, SigningKey::from_bytes(&[seed; 32]), clock.clone())
    }

    #[test]
    fn a_token_is_good_at_its_audience_until_its_end() {
        let clock = Clock::manual(NOW);
        let (gateway, old) = (identity("gateway", 1, &clock), identity("gateway", 2, &clock));
        let keys = BTreeMap::from([("gateway".into(), vec![gateway.public_key(), old.public_key()])]);
        let here = Issuers::new("identity", keys.clone());
        let token = gateway.token_for("identity");
        assert_eq!(&*here.verify(&token, clock.now()).unwrap(), "gateway");
        assert!(here.verify(&old.token_for("identity"), clock.now()).is_ok());
        assert!(Issuers::new("authz", keys).verify(&token, clock.now()).is_err());
        assert!(here.verify(&identity("gateway", 3, &clock).token_for("identity"), clock.now()).is_err());
        assert!(here.verify(&identity("payments", 1, &clock).token_for("identity"), clock.now()).is_err());
        clock.advance_ms(TOKEN_LIFETIME_MS);
        assert!(here.verify(&token, clock.now()).is_err());
        assert!(here.verify(&gateway.token_for("identity"), clock.now()).is_ok());
    }

    #[test]
    fn a_token_that_was_changed_is_refused() {
        let clock = Clock::manual(NOW);
        let gateway = identity("gateway", 1, &clock);
        let here = Issuers::new("identity", BTreeMap::from([("gateway".into(), vec![gateway.public_key()])]));
        let token = gateway.token_for("identity");
        for i in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[i] = if forged[i] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert!(forged == token || here.verify(&forged, clock.now()).is_err(), "{i}");
        }
        assert!(here.verify("", clock.now()).is_err() && here.verify(".", clock.now()).is_err());
    }
}
