//! An actor's write as the audit trail tells it.

use beem_caller::Actor;
use beem_events::audit::{self, NewAuditRow};
use serde_json::Value;

/// One write of an actor.
#[derive(Clone, Copy, Debug)]
pub struct Trail<'a> {
    pub actor: &'a Actor,
    /// The RPC's short name.
    pub action: &'static str,
    /// `wallet`, `quote`, `hook`.
    pub target_type: &'static str,
}

impl Trail<'_> {
    /// The row that tells of it with this outcome: `done`, or the code of the refusal. Nothing secret in before and after.
    #[must_use]
    pub fn row(
        &self,
        target_id: &str,
        outcome: &str,
        before: Option<Value>,
        after: Option<Value>,
    ) -> NewAuditRow {
        let actor = self.actor;
        NewAuditRow {
            account_id: Some(actor.account),
            actor: audit::actor(&actor.principal.to_string(), actor.kind.as_str(), &actor.name),
            action: self.action.to_owned(),
            target_type: self.target_type.to_owned(),
            target_id: target_id.to_owned(),
            outcome: outcome.to_owned(),
            before,
            after,
            address: actor.address.to_string(),
            key_fingerprint: actor.key_fingerprint.clone(),
            request_id: actor.request.to_string(),
        }
    }
}
