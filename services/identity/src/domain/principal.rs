//! What holds for clients and users alike: nobody changes their own access, and what is deleted stays as it is.

use beem_clock::Moment;
use beem_fault::{Code, Fault};
use beem_ids::PrincipalId;
use beem_roles::RoleSet;
use beem_whitelist::Whitelist;
use serde::{Deserialize, Serialize};

/// A client or a user, as far as the rules for both look at it.
pub trait Principal {
    fn id(&self) -> PrincipalId;
    fn network(&self) -> &Whitelist;
    /// When it was deleted.
    fn deleted(&self) -> Option<Moment>;
    /// What a change of a deleted one is refused with.
    fn is_deleted() -> Fault;
    /// What the audit trail shows of it before and after; never a secret.
    fn record(&self, roles: RoleSet, enabled: bool) -> serde_json::Value;
}

/// The fields of a PATCH that say who may do what from where.
#[derive(Clone, Debug, Default)]
pub struct AccessPatch {
    pub network: Option<Whitelist>,
    pub roles: Option<RoleSet>,
    pub enabled: Option<bool>,
}

/// What a PATCH does to a network list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkChange {
    Unchanged,
    /// Every address allowed afterwards was allowed before.
    Narrower,
    /// Some address is allowed that was not: whoever does that could take the principal over.
    Wider,
}

impl AccessPatch {
    /// Whether it names anything at all.
    #[must_use]
    pub const fn names_any(&self) -> bool {
        self.network.is_some() || self.roles.is_some() || self.enabled.is_some()
    }
}

/// Whether the actor may change these fields of the principal; what it does to the network list. Own-principal rule of 3.1:
/// naming one's own roles, network list or enabled flag is refused even when it would change nothing.
///
/// # Errors
/// `client-deleted`, `user-deleted`, `own-principal`.
pub fn judge_update<P: Principal>(
    principal: &P,
    actor: PrincipalId,
    patch: &AccessPatch,
) -> Result<NetworkChange, Fault> {
    refuse_deleted(principal)?;
    if principal.id() == actor && patch.names_any() {
        return Err(own_principal("nobody changes their own roles, network list or enabled flag"));
    }
    Ok(match &patch.network {
        Some(network) if network.is_wider_than(principal.network()) => NetworkChange::Wider,
        Some(network) if network != principal.network() => NetworkChange::Narrower,
        Some(_) | None => NetworkChange::Unchanged,
    })
}

/// Whether the actor may delete the principal; false when it is deleted already and nothing is left to do.
///
/// # Errors
/// `own-principal`.
pub fn judge_delete<P: Principal>(principal: &P, actor: PrincipalId) -> Result<bool, Fault> {
    if principal.id() == actor {
        return Err(own_principal("nobody deletes themselves"));
    }
    Ok(principal.deleted().is_none())
}

/// # Errors
/// `client-deleted`, `user-deleted`.
pub fn refuse_deleted<P: Principal>(principal: &P) -> Result<(), Fault> {
    if principal.deleted().is_some() { Err(P::is_deleted()) } else { Ok(()) }
}

pub(super) fn own_principal(rule: &str) -> Fault {
    Fault::new(Code::OwnPrincipal, rule)
}
