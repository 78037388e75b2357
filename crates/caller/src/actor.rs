//! Who acts: the principal as the gateway proved it.

use beem_fault::Fault;
use beem_ids::{AccountId, PrincipalId, RequestId, SessionId};
use beem_proto::access::v1 as wire;
use beem_roles::RoleSet;
use std::net::IpAddr;

/// A proven principal and the request it acts in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub account: AccountId,
    pub principal: PrincipalId,
    pub kind: PrincipalKind,
    pub authenticated_by: AuthenticatedBy,
    /// The clientId or the e-mail address, for people to read.
    pub name: String,
    pub roles: RoleSet,
    pub standing_version: u64,
    /// After trusted proxies.
    pub address: IpAddr,
    pub request: RequestId,
    /// SHA-256 of the key that signed, hex; empty for a session.
    pub key_fingerprint: String,
    /// The request key of a write; empty on reads.
    pub request_key: String,
    /// None for a client.
    pub session: Option<SessionId>,
}

/// Who calls a public method: nobody that is known, from somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// After trusted proxies.
    pub address: IpAddr,
    pub request: RequestId,
    /// As sent, cut to 200 characters; empty when there was none.
    pub user_agent: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    User,
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthenticatedBy {
    Signature,
    Session,
}

impl PrincipalKind {
    /// USER or CLIENT, as answers carry it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Client => "CLIENT",
        }
    }

    #[must_use]
    pub const fn to_wire(self) -> wire::PrincipalKind {
        match self {
            Self::User => wire::PrincipalKind::User,
            Self::Client => wire::PrincipalKind::Client,
        }
    }

    /// None for the unspecified and the unknown.
    #[must_use]
    pub fn from_wire(value: i32) -> Option<Self> {
        match wire::PrincipalKind::try_from(value).ok()? {
            wire::PrincipalKind::Unspecified => None,
            wire::PrincipalKind::User => Some(Self::User),
            wire::PrincipalKind::Client => Some(Self::Client),
        }
    }
}

impl Actor {
    #[must_use]
    pub fn to_wire(&self) -> wire::Actor {
        let by = match self.authenticated_by {
            AuthenticatedBy::Signature => wire::AuthenticatedBy::Signature,
            AuthenticatedBy::Session => wire::AuthenticatedBy::Session,
        };
        wire::Actor {
            account_id: self.account.to_string(),
            principal_id: self.principal.to_string(),
            kind: self.kind.to_wire().into(),
            authenticated_by: by.into(),
            name: self.name.clone(),
            roles: self.roles.bits(),
            standing_version: self.standing_version,
            address: self.address.to_string(),
            request_id: self.request.to_string(),
            key_fingerprint: self.key_fingerprint.clone(),
            request_key: self.request_key.clone(),
            session_id: self.session.map(|s| s.to_string()).unwrap_or_default(),
        }
    }

    /// # Errors
    /// `internal`: only our own services write this message, so anything that does not parse is a bug.
    pub fn from_wire(actor: &wire::Actor) -> Result<Self, Fault> {
        let bad = |what: &str| Fault::internal(format!("an actor with a bad {what}"));
        let by = match wire::AuthenticatedBy::try_from(actor.authenticated_by) {
            Ok(wire::AuthenticatedBy::Signature) => AuthenticatedBy::Signature,
            Ok(wire::AuthenticatedBy::Session) => AuthenticatedBy::Session,
            Ok(wire::AuthenticatedBy::Unspecified) | Err(_) => return Err(bad("authenticated_by")),
        };
        Ok(Self {
            account: actor.account_id.parse().map_err(|_| bad("account"))?,
            principal: actor.principal_id.parse().map_err(|_| bad("principal"))?,
            kind: PrincipalKind::from_wire(actor.kind).ok_or_else(|| bad("kind"))?,
            authenticated_by: by,
            name: actor.name.clone(),
            roles: RoleSet::from_bits(actor.roles).ok_or_else(|| bad("role set"))?,
            standing_version: actor.standing_version,
            address: actor.address.parse().map_err(|_| bad("address"))?,
            request: actor.request_id.parse().map_err(|_| bad("request id"))?,
            key_fingerprint: actor.key_fingerprint.clone(),
            request_key: actor.request_key.clone(),
            session: match actor.session_id.as_str() {
                "" => None,
                id => Some(id.parse().map_err(|_| bad("session"))?),
            },
        })
    }
}

impl Visitor {
    #[must_use]
    pub fn to_wire(&self) -> wire::Visitor {
        wire::Visitor {
            address: self.address.to_string(),
            request_id: self.request.to_string(),
            user_agent: self.user_agent.clone(),
        }
    }

    /// # Errors
    /// `internal`, as [`Actor::from_wire`].
    pub fn from_wire(visitor: &wire::Visitor) -> Result<Self, Fault> {
        let bad = |what: &str| Fault::internal(format!("a visitor with a bad {what}"));
        Ok(Self {
            address: visitor.address.parse().map_err(|_| bad("address"))?,
            request: visitor.request_id.parse().map_err(|_| bad("request id"))?,
            user_agent: visitor.user_agent.clone(),
        })
    }
}
