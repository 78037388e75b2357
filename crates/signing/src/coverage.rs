//! What a signature must cover (2.2 of the public contract): the method, the whole target, the body's digest when there
//! is a body, and the idempotency key when one is sent.

use crate::component::Source;
use crate::error::{Refusal, SignatureError};
use crate::input::Candidate;

impl Candidate {
    /// Judges what is covered. `has_query` is whether the target has a question mark with something behind it.
    ///
    /// # Errors
    /// `signature-coverage`, naming all that is missing.
    pub fn check_coverage(
        &self,
        has_body: bool,
        has_idempotency_key: bool,
        has_query: bool,
    ) -> Result<(), SignatureError> {
        let covers = |source: &Source| self.components.iter().any(|c| c.source() == source);
        let covers_field = |name: &str| self.components.iter().any(|c| c.is_whole_field(name));
        let mut missing = Vec::new();
        if !covers(&Source::Method) {
            missing.push("\"@method\"");
        }
        if !covers(&Source::TargetUri) {
            if !(covers(&Source::Authority) && covers(&Source::Path)) {
                missing.push("\"@target-uri\" (or \"@authority\" and \"@path\")");
            } else if has_query && !covers(&Source::Query) {
                missing.push("\"@query\" (or \"@target-uri\")");
            }
        }
        if has_body && !covers_field("content-digest") {
            missing.push("\"content-digest\", because there is a body");
        }
        if has_idempotency_key && !covers_field("idempotency-key") {
            missing.push("\"idempotency-key\", because it is sent");
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(Refusal::Coverage.because(format!("the signature must cover {}", missing.join("; "))))
    }
}
