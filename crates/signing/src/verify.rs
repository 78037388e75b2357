//! The verdict on one signature: time, digest, coverage, signature, in that order.

use crate::algorithm::Algorithm;
use crate::base::{RequestView, replay_key};
use crate::digest;
use crate::error::{Refusal, SignatureError};
use crate::input::Candidate;
use crate::key::PublicKey;
use crate::time_rules::TimeRules;
use beem_clock::Moment;

/// What a signature is judged against.
#[derive(Clone, Copy, Debug)]
pub struct Judgement<'a> {
    pub request: RequestView<'a>,
    /// The bytes received.
    pub body: &'a [u8],
    pub now: Moment,
    pub rules: &'a TimeRules,
}

/// A signature that holds.
#[derive(Clone, Debug)]
pub struct Verified {
    pub algorithm: Algorithm,
    /// The signature base, as RFC 9421 wants it.
    pub base: String,
    /// SHA-256 of keyid and base: equal for two copies of one request, whatever their signature bytes.
    pub replay_key: [u8; 32],
    /// Until when the replay key must be remembered.
    pub remembered_until: Moment,
}

impl Candidate {
    /// Judges everything about this signature but replay, which needs a store.
    ///
    /// # Errors
    /// `signature-expired`, `digest-mismatch`, `signature-coverage` or `signature-invalid`, the first that applies.
    pub fn judge(&self, key: &PublicKey, against: &Judgement<'_>) -> Result<Verified, SignatureError> {
        let headers = against.request.headers;
        self.check_time(against.now, against.rules, headers)?;
        digest::check(headers, against.body)?;
        self.check_coverage(
            !against.body.is_empty(),
            headers.contains_key("idempotency-key"),
            against.request.query.is_some_and(|q| !q.is_empty()),
        )?;
        let base = self.base(&against.request)?;
        let algorithm = self.verify(key, &base)?;
        let replay_key = replay_key(self.keyid().unwrap_or_default(), &base);
        Ok(Verified { algorithm, base, replay_key, remembered_until: self.remembered_until(against.rules) })
    }

    /// Whether this label's signature over the base is the key's, and by which algorithm.
    ///
    /// # Errors
    /// `signature-invalid`.
    pub fn verify(&self, key: &PublicKey, base: &str) -> Result<Algorithm, SignatureError> {
        let algorithm = key.kind().algorithm_for(self.alg())?;
        if self.signature.is_empty() {
            return Err(Refusal::Invalid.because("the signature is empty"));
        }
        let verdict = key.verify(algorithm, base.as_bytes(), &self.signature);
        if verdict.is_err()
            && let Some(as_sent) = self.base_as_sent(base)
        {
            return key.verify(algorithm, as_sent.as_bytes(), &self.signature).map(|()| algorithm);
        }
        verdict.map(|()| algorithm)
    }
}
