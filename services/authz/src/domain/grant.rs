//! The role-held rule: no one hands out or takes over what they do not hold.

use super::{GrantPolicy, Standing};
use beem_caller::PrincipalKind;
use beem_fault::{Code, Fault, Result};
use beem_ids::{AccountId, PrincipalId};
use beem_roles::RoleSet;

/// Who asks for a change, as it stands now.
#[derive(Clone, Debug)]
pub enum Granter {
    /// The installation itself: its first account, an operator on the machine. No privilege is asked of it.
    Installation,
    /// A principal that may act in the account.
    Principal(Standing),
}

impl Granter {
    /// A principal as granter.
    ///
    /// # Errors
    /// `principal-disabled` when it has no standing in this account, or may not act.
    pub fn principal(account: AccountId, found: Option<Standing>) -> Result<Self> {
        let found = found.filter(|s| s.account == account && s.check(RoleSet::EMPTY).is_ok());
        found
            .map(Self::Principal)
            .ok_or_else(|| Fault::new(Code::PrincipalDisabled, "the caller may not act in this account"))
    }

    /// None for the installation.
    #[must_use]
    pub fn id(&self) -> Option<PrincipalId> {
        match self {
            Self::Installation => None,
            Self::Principal(standing) => Some(standing.principal),
        }
    }

    fn lacks(&self, needed: RoleSet) -> RoleSet {
        match self {
            Self::Installation => RoleSet::EMPTY,
            Self::Principal(standing) => needed.minus(standing.roles),
        }
    }

    /// The rule itself.
    ///
    /// # Errors
    /// `role-not-held`, naming what the granter lacks.
    pub(super) fn must_hold(&self, needed: RoleSet, policy: GrantPolicy) -> Result<()> {
        let lacking = match policy {
            GrantPolicy::Held => self.lacks(needed),
            GrantPolicy::Any => RoleSet::EMPTY,
        };
        if lacking.is_empty() {
            return Ok(());
        }
        let names = lacking.full_names().join(", ");
        Err(Fault::new(Code::RoleNotHeld, format!("the caller does not hold {names}")))
    }
}

/// A principal that is about to get its standing.
#[derive(Clone, Copy, Debug)]
pub struct NewStanding {
    pub account: AccountId,
    pub principal: PrincipalId,
    pub kind: PrincipalKind,
    pub enabled: bool,
    /// A client always is, whatever this says.
    pub active: bool,
    pub roles: RoleSet,
}

/// The first standing of a principal.
///
/// # Errors
/// `role-not-held`, unless the granter holds every role of it.
pub fn create(new: &NewStanding, granter: &Granter, policy: GrantPolicy) -> Result<Standing> {
    granter.must_hold(new.roles, policy)?;
    Ok(Standing {
        principal: new.principal,
        account: new.account,
        kind: new.kind,
        enabled: new.enabled,
        deleted: false,
        active: new.active || new.kind == PrincipalKind::Client,
        roles: new.roles,
        version: 1,
        credential_version: 1,
        created_by: granter.id(),
        rekeyed_by: granter.id(),
        granted_by: granter.id(),
    })
}

/// Whether the granter may set who hands out roles: that takes all 15.
///
/// # Errors
/// `role-missing`, naming what the granter lacks.
pub fn may_set_policy(granter: &Granter) -> Result<()> {
    let lacking = granter.lacks(RoleSet::ALL);
    if lacking.is_empty() {
        return Ok(());
    }
    let names = lacking.full_names().join(", ");
    Err(Fault::new(Code::RoleMissing, format!("all 15 roles are needed; missing: {names}")))
}
