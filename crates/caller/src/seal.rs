//! Actors, sealed: the gateway binds an actor to one audience, one method, one request and thirty seconds, with an HMAC
//! key that it shares with that audience alone. A sealed actor that leaks is of no use anywhere else.

use crate::{Actor, Visitor};
use beem_clock::Moment;
use beem_fault::Fault;
use beem_proto::access::v1 as wire;
use hmac::{Hmac, KeyInit, Mac};
use prost::Message;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// How long a sealed actor may be used.
pub const SEAL_LIFETIME_MS: i64 = 30_000;

/// The clocks of two of our hosts may differ by this much.
const SKEW_MS: i64 = 10_000;

/// A shared secret of the gateway and one audience.
#[derive(Clone, PartialEq, Eq)]
pub struct ActorKey(pub [u8; 32]);

impl fmt::Debug for ActorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActorKey(…)")
    }
}

/// Whom a seal speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A proven caller.
    Actor(Actor),
    /// Somebody, to a public method.
    Visitor(Visitor),
}

/// An actor under seal, as two metadata values.
#[derive(Clone, Debug)]
pub struct Sealed {
    pub actor: Vec<u8>,
    pub seal: [u8; 32],
}

/// The gateway's side: one key per audience.
#[derive(Clone, Debug, Default)]
pub struct Sealer {
    keys: BTreeMap<String, ActorKey>,
}

impl Sealer {
    #[must_use]
    pub const fn new(keys: BTreeMap<String, ActorKey>) -> Self {
        Self { keys }
    }

    /// Seals whom it concerns for one request (its encoded message) to one method of one audience.
    ///
    /// # Errors
    /// `internal` when no key is configured for the audience.
    pub fn seal(
        &self,
        subject: &Subject,
        audience: &str,
        method: &str,
        request: &[u8],
        now: Moment,
    ) -> Result<Sealed, Fault> {
        let key = self.keys.get(audience);
        let key = key.ok_or_else(|| Fault::internal(format!("no actor key for audience {audience}")))?;
        let (actor, visitor) = match subject {
            Subject::Actor(actor) => (Some(actor.to_wire()), None),
            Subject::Visitor(visitor) => (None, Some(visitor.to_wire())),
        };
        let sealed = wire::SealedActor {
            actor,
            visitor,
            audience: audience.to_owned(),
            method: method.to_owned(),
            request_digest: Sha256::digest(request).to_vec(),
            not_after_ms: now.plus_ms(SEAL_LIFETIME_MS).unix_ms(),
        };
        let actor = sealed.encode_to_vec();
        let seal = mac(key, &actor).finalize().into_bytes().into();
        Ok(Sealed { actor, seal })
    }
}

/// An audience's side.
#[derive(Clone, Debug)]
pub struct Opener {
    audience: String,
    /// The current key, and the previous one while keys rotate.
    keys: Vec<ActorKey>,
}

impl Opener {
    #[must_use]
    pub fn new(audience: impl Into<String>, keys: Vec<ActorKey>) -> Self {
        Self { audience: audience.into(), keys }
    }

    /// Whom it speaks for, when the seal is the gateway's and is meant for this audience, method and request, now.
    ///
    /// # Errors
    /// `caller-unproven` with a fixed text: which check failed is in the source, for the log.
    pub fn open(
        &self,
        actor: &[u8],
        seal: &[u8],
        method: &str,
        request: &[u8],
        now: Moment,
    ) -> Result<Subject, Fault> {
        let refuse = |why: &'static str| {
            Fault::new(beem_fault::Code::CallerUnproven, "the caller could not be proven").caused_by(why)
        };
        if !self.keys.iter().any(|key| mac(key, actor).verify_slice(seal).is_ok()) {
            return Err(refuse("the actor's seal does not verify"));
        }
        let sealed =
            wire::SealedActor::decode(actor).map_err(|_| refuse("the sealed actor does not decode"))?;
        if sealed.audience != self.audience {
            return Err(refuse("the actor is sealed for another audience"));
        }
        if sealed.method != method {
            return Err(refuse("the actor is sealed for another method"));
        }
        if sealed.request_digest.as_slice() != Sha256::digest(request).as_slice() {
            return Err(refuse("the actor is sealed for another request"));
        }
        let left = sealed.not_after_ms.saturating_sub(now.unix_ms());
        if left <= 0 || left > SEAL_LIFETIME_MS.saturating_add(SKEW_MS) {
            return Err(refuse("the actor's seal is outside its time"));
        }
        match (&sealed.actor, &sealed.visitor) {
            (Some(actor), None) => Actor::from_wire(actor).map(Subject::Actor),
            (None, Some(visitor)) => Visitor::from_wire(visitor).map(Subject::Visitor),
            _ => Err(refuse("a seal of nobody, or of two")),
        }
    }
}

fn mac(key: &ActorKey, bytes: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("a key");
    mac.update(bytes);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuthenticatedBy, PrincipalKind};
    use beem_clock::Entropy;
    use beem_ids::{AccountId, PrincipalId, RequestId};
    use beem_roles::RoleSet;

    const NOW: Moment = Moment::from_unix_s(1_800_000_000);

    fn actor() -> Actor {
        let entropy = Entropy::seeded(3);
        Actor {
            account: AccountId::draw(NOW, &entropy),
            principal: PrincipalId::draw(NOW, &entropy),
            kind: PrincipalKind::Client,
            authenticated_by: AuthenticatedBy::Signature,
            name: "c".into(),
            roles: RoleSet::ALL,
            standing_version: 4,
            address: "203.0.113.7".parse().unwrap(),
            request: RequestId::draw(NOW, &entropy),
            key_fingerprint: "ab".into(),
            request_key: "k".into(),
            session: None,
        }
    }

    fn sealer() -> Sealer {
        Sealer::new(BTreeMap::from([
            ("identity".into(), ActorKey([1; 32])),
            ("authz".into(), ActorKey([2; 32])),
        ]))
    }

    #[test]
    fn a_seal_opens_only_where_it_was_meant_for() {
        let sealed = sealer().seal(&Subject::Actor(actor()), "identity", "/s/m", b"request", NOW).unwrap();
        let opener = Opener::new("identity", vec![ActorKey([9; 32]), ActorKey([1; 32])]);
        let open = |o: &Opener, method, request: &[u8], now| {
            o.open(&sealed.actor, &sealed.seal, method, request, now)
        };
        assert_eq!(open(&opener, "/s/m", b"request", NOW).unwrap(), Subject::Actor(actor()));
        assert!(open(&opener, "/s/other", b"request", NOW).is_err());
        assert!(open(&opener, "/s/m", b"requesT", NOW).is_err());
        assert!(open(&opener, "/s/m", b"request", NOW.plus_ms(SEAL_LIFETIME_MS)).is_err());
        assert!(open(&opener, "/s/m", b"request", NOW.plus_ms(-20_000)).is_err());
        assert!(open(&Opener::new("authz", vec![ActorKey([1; 32])]), "/s/m", b"request", NOW).is_err());
        assert!(open(&Opener::new("identity", vec![ActorKey([2; 32])]), "/s/m", b"request", NOW).is_err());
    }

    #[test]
    fn a_visitor_is_no_actor() {
        let request = RequestId::draw(NOW, &Entropy::seeded(4));
        let visitor = Visitor { address: "::1".parse().unwrap(), request, user_agent: "curl/8".into() };
        let subject = Subject::Visitor(visitor);
        let sealed = sealer().seal(&subject, "identity", "/s/m", b"", NOW).unwrap();
        let opener = Opener::new("identity", vec![ActorKey([1; 32])]);
        assert_eq!(opener.open(&sealed.actor, &sealed.seal, "/s/m", b"", NOW).unwrap(), subject);
    }

    #[test]
    fn an_actor_that_was_changed_under_its_seal_is_refused() {
        let sealed = sealer().seal(&Subject::Actor(actor()), "identity", "/s/m", b"", NOW).unwrap();
        let opener = Opener::new("identity", vec![ActorKey([1; 32])]);
        for i in 0..sealed.actor.len() {
            let mut forged = sealed.actor.clone();
            forged[i] ^= 1;
            assert!(opener.open(&forged, &sealed.seal, "/s/m", b"", NOW).is_err());
        }
        assert!(sealer().seal(&Subject::Actor(actor()), "ledger", "/s/m", b"", NOW).is_err());
    }
}
