//! Who acts: the principal as the gateway proved it.

use beem_fault::Fault;
use beem_ids::{AccountId, PrincipalId, RequestId};
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
        })
    }
}
