//! A standing as it is cached: what authz signs, and what a gateway checks before it believes it.

use beem_clock::Moment;
use beem_ids::PrincipalId;
use beem_proto::authz::v1::{SignedStanding, Standing, StandingEntry};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use prost::Message;

/// The longest an entry may be used after it was issued, in milliseconds.
pub const LIFE_MAX_MS: i64 = 10_000;
/// How far the clocks of authz and a gateway may be apart before a new entry looks like one of the future.
const SKEW_MAX_MS: i64 = 1_000;
/// Stands before the signed bytes, so that nothing else signed with the same key can pass for an entry.
const CONTEXT: &[u8] = b"beem.authz.v1.StandingEntry\n";

/// Why an entry grants nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("not a standing entry")]
    Malformed,
    #[error("not signed by authz")]
    Forged,
    #[error("about another principal")]
    OtherPrincipal,
    #[error("past its time")]
    Outlived,
    #[error("issued in the future")]
    FromTheFuture,
    #[error("valid for longer than an entry may be")]
    TooLong,
    #[error("older than one that was seen before")]
    RolledBack,
}

/// A signed standing, with what a store needs to know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedEntry {
    pub principal: PrincipalId,
    pub version: u64,
    pub issued_at: Moment,
    pub not_after: Moment,
    /// As it is sent and stored.
    pub signed: SignedStanding,
}

impl SignedEntry {
    /// Issues an entry: authz's side. `life_ms` is cut to [`LIFE_MAX_MS`].
    ///
    /// # Errors
    /// [`Flaw::Malformed`] when the standing's principal id is none.
    pub fn issue(key: &SigningKey, standing: Standing, now: Moment, life_ms: i64) -> Result<Self, Flaw> {
        let principal = standing.principal_id.parse().map_err(|_| Flaw::Malformed)?;
        let version = standing.version;
        let not_after = now.plus_ms(life_ms.clamp(0, LIFE_MAX_MS));
        let entry = StandingEntry {
            standing: Some(standing),
            issued_at_ms: now.unix_ms(),
            not_after_ms: not_after.unix_ms(),
        };
        let entry = entry.encode_to_vec();
        let signature = key.sign(&in_context(&entry)).to_bytes().to_vec();
        Ok(Self {
            principal,
            version,
            issued_at: now,
            not_after,
            signed: SignedStanding { entry, signature },
        })
    }
}

/// An entry whose signature, subject and times were right when it was verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    pub standing: Standing,
    pub entry: SignedEntry,
}

/// authz's public keys: one, or two while it changes from one to the other.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Vec<VerifyingKey>,
}

impl Verifier {
    #[must_use]
    pub const fn new(keys: Vec<VerifyingKey>) -> Self {
        Self { keys }
    }

    /// The version that an encoded [`SignedStanding`] is signed for, whatever its times; nothing when it is not authz's, or
    /// not about `asked`.
    pub(crate) fn version_in(&self, encoded: &[u8], asked: PrincipalId) -> Option<u64> {
        let signed = SignedStanding::decode(encoded).ok()?;
        let (standing, _) = self.signed_about(&signed, asked).ok()?;
        Some(standing.version)
    }

    /// What authz signed about `asked`: the standing, and when it was issued and ends.
    fn signed_about(&self, signed: &SignedStanding, asked: PrincipalId) -> Result<(Standing, Times), Flaw> {
        let signature = Signature::from_slice(&signed.signature).map_err(|_| Flaw::Malformed)?;
        let bytes = in_context(&signed.entry);
        if !self.keys.iter().any(|key| key.verify_strict(&bytes, &signature).is_ok()) {
            return Err(Flaw::Forged);
        }
        let entry = StandingEntry::decode(signed.entry.as_slice()).map_err(|_| Flaw::Malformed)?;
        let standing = entry.standing.ok_or(Flaw::Malformed)?;
        let principal: PrincipalId = standing.principal_id.parse().map_err(|_| Flaw::Malformed)?;
        if principal != asked {
            return Err(Flaw::OtherPrincipal);
        }
        let times = Times {
            issued_at: Moment::from_unix_ms(entry.issued_at_ms),
            not_after: Moment::from_unix_ms(entry.not_after_ms),
        };
        Ok((standing, times))
    }

    /// Judges an entry that was read or sent as the standing of `asked`.
    ///
    /// # Errors
    /// What is wrong with it. That it is [`Flaw::RolledBack`] only a reader with a memory can tell.
    pub fn verify(&self, signed: SignedStanding, asked: PrincipalId, now: Moment) -> Result<Verified, Flaw> {
        let (standing, Times { issued_at, not_after }) = self.signed_about(&signed, asked)?;
        if issued_at.ms_since(now) > SKEW_MAX_MS {
            return Err(Flaw::FromTheFuture);
        }
        if not_after.ms_since(issued_at) > LIFE_MAX_MS {
            return Err(Flaw::TooLong);
        }
        if now > not_after {
            return Err(Flaw::Outlived);
        }
        let version = standing.version;
        Ok(Verified {
            standing,
            entry: SignedEntry { principal: asked, version, issued_at, not_after, signed },
        })
    }
}

/// From when to when an entry may be used.
struct Times {
    issued_at: Moment,
    not_after: Moment,
}

fn in_context(entry: &[u8]) -> Vec<u8> {
    [CONTEXT, entry].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_clock::Entropy;

    const NOW: Moment = Moment::from_unix_s(1_700_000_000);

    fn standing(n: u64) -> (PrincipalId, Standing) {
        let id = PrincipalId::draw(NOW, &Entropy::seeded(n));
        (
            id,
            Standing {
                principal_id: id.to_string(),
                version: 3,
                roles: 7,
                enabled: true,
                ..Standing::default()
            },
        )
    }

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn signed(entry: &StandingEntry) -> SignedStanding {
        let entry = entry.encode_to_vec();
        let signature = key(1).sign(&in_context(&entry)).to_bytes().to_vec();
        SignedStanding { entry, signature }
    }

    #[test]
    fn what_authz_issues_is_verified_under_either_key() {
        let (id, standing) = standing(1);
        let issued = SignedEntry::issue(&key(1), standing.clone(), NOW, 8_000).unwrap();
        let verifier = Verifier::new(vec![key(2).verifying_key(), key(1).verifying_key()]);
        let verified = verifier.verify(issued.signed.clone(), id, NOW.plus_ms(8_000)).unwrap();
        assert_eq!((verified.standing, verified.entry), (standing, issued));
    }

    #[test]
    fn every_flaw_is_found() {
        let (id, standing) = standing(1);
        let verifier = Verifier::new(vec![key(1).verifying_key()]);
        let good = SignedEntry::issue(&key(1), standing.clone(), NOW, 10_000).unwrap().signed;
        let forged = SignedEntry::issue(&key(2), standing.clone(), NOW, 10_000).unwrap().signed;
        let mut changed = good.clone();
        changed.entry[45] ^= 1;
        let mut cut = good.clone();
        cut.signature.pop();
        let entry = StandingEntry {
            standing: Some(standing),
            issued_at_ms: NOW.unix_ms(),
            not_after_ms: NOW.plus_ms(10_001).unix_ms(),
        };
        let empty = signed(&StandingEntry { standing: None, ..entry.clone() });
        let without_context = SignedStanding {
            signature: key(1).sign(&good.entry).to_bytes().to_vec(),
            entry: good.entry.clone(),
        };
        let judge = |signed: &SignedStanding, at| verifier.verify(signed.clone(), id, at).unwrap_err();
        assert_eq!(judge(&forged, NOW), Flaw::Forged);
        assert_eq!(judge(&changed, NOW), Flaw::Forged);
        assert_eq!(judge(&without_context, NOW), Flaw::Forged);
        assert_eq!(judge(&cut, NOW), Flaw::Malformed);
        assert_eq!(judge(&empty, NOW), Flaw::Malformed);
        assert_eq!(judge(&signed(&entry), NOW), Flaw::TooLong);
        assert_eq!(judge(&good, NOW.plus_ms(10_001)), Flaw::Outlived);
        assert_eq!(judge(&good, NOW.plus_ms(-1_001)), Flaw::FromTheFuture);
        assert!(verifier.verify(good.clone(), id, NOW.plus_ms(-1_000)).is_ok());
        let (other, _) = self::standing(2);
        assert_eq!(verifier.verify(good, other, NOW).unwrap_err(), Flaw::OtherPrincipal);
    }
}
