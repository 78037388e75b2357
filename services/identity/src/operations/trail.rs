//! One write as the audit trail tells it: who did what to what.

use super::change::Target;
use crate::domain::User;
use beem_caller::{Actor, PrincipalKind, Visitor};
use beem_events::audit::NewAuditRow;
use beem_ids::{AccountId, PrincipalId, RequestId};
use serde_json::{Value, json};
use std::net::IpAddr;

/// Who did something.
#[derive(Clone, Debug)]
pub enum By {
    /// Operators of the installation.
    Installation,
    /// A proven caller.
    Actor(Actor),
    /// Whoever called a public method: the user it has shown to be, by id and address, or nobody known.
    Visitor { user: Option<(PrincipalId, String)>, visitor: Visitor },
}

/// One write as the audit trail tells it.
#[derive(Clone, Debug)]
pub struct Trail {
    pub by: By,
    /// The RPC's short name.
    pub action: &'static str,
    pub target: Target,
    pub account: AccountId,
}

impl Trail {
    /// Of a caller, in its own account.
    #[must_use]
    pub const fn of(actor: Actor, action: &'static str, target: Target) -> Self {
        let account = actor.account;
        Self { by: By::Actor(actor), action, target, account }
    }

    /// Of the installation itself.
    #[must_use]
    pub const fn of_installation(account: AccountId, action: &'static str, target: Target) -> Self {
        Self { by: By::Installation, action, target, account }
    }

    /// Of a user who is not signed in, but has shown who it is.
    #[must_use]
    pub fn of_visitor(user: &User, visitor: Visitor, action: &'static str, target: Target) -> Self {
        let by = By::Visitor { user: Some((user.id, user.email.as_str().to_owned())), visitor };
        Self { by, action, target, account: user.account }
    }

    /// Of somebody who has shown nothing: what happened to the user is not the user's doing.
    #[must_use]
    pub const fn of_somebody(
        account: AccountId,
        visitor: Visitor,
        action: &'static str,
        target: Target,
    ) -> Self {
        Self { by: By::Visitor { user: None, visitor }, action, target, account }
    }

    /// The principal who did it; none for the installation.
    #[must_use]
    pub const fn principal(&self) -> Option<PrincipalId> {
        match &self.by {
            By::Installation | By::Visitor { user: None, .. } => None,
            By::Actor(actor) => Some(actor.principal),
            By::Visitor { user: Some((user, _)), .. } => Some(*user),
        }
    }
}

impl Trail {
    /// The row that tells of it with this outcome.
    pub(super) fn row(&self, outcome: &str, before: Option<Value>, after: Option<Value>) -> NewAuditRow {
        let (target_type, target_id) = self.target.told();
        NewAuditRow {
            account_id: Some(self.account),
            actor: self.by.describe(),
            action: self.action.to_owned(),
            target_type: target_type.to_owned(),
            target_id,
            outcome: outcome.to_owned(),
            before,
            after,
            address: self.by.address().map(|a| a.to_string()).unwrap_or_default(),
            key_fingerprint: match &self.by {
                By::Actor(actor) => actor.key_fingerprint.clone(),
                By::Installation | By::Visitor { .. } => String::new(),
            },
            request_id: self.by.request().map(|id| id.to_string()).unwrap_or_default(),
        }
    }
}

impl By {
    fn describe(&self) -> Value {
        match self {
            Self::Installation | Self::Visitor { user: None, .. } => json!({ "kind": "INSTALLATION" }),
            Self::Actor(actor) => json!({
                "principalId": actor.principal.to_string(),
                "kind": actor.kind.as_str(),
                "name": actor.name,
                "standingVersion": actor.standing_version,
            }),
            Self::Visitor { user: Some((user, email)), .. } => json!({
                "principalId": user.to_string(),
                "kind": PrincipalKind::User.as_str(),
                "name": email,
            }),
        }
    }

    const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Installation => None,
            Self::Actor(actor) => Some(actor.address),
            Self::Visitor { visitor, .. } => Some(visitor.address),
        }
    }

    /// The request from outside.
    pub(super) const fn request(&self) -> Option<RequestId> {
        match self {
            Self::Installation => None,
            Self::Actor(actor) => Some(actor.request),
            Self::Visitor { visitor, .. } => Some(visitor.request),
        }
    }
}
