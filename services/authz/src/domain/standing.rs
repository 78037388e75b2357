//! A principal's standing: the whole truth about whether it may act, and with which roles.

use beem_caller::PrincipalKind;
use beem_fault::{Code, Fault};
use beem_ids::{AccountId, PrincipalId};
use beem_roles::{Role, RoleSet};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub principal: PrincipalId,
    pub account: AccountId,
    pub kind: PrincipalKind,
    pub enabled: bool,
    /// For good; what it was stays for the record.
    pub deleted: bool,
    /// Whether it can act at all yet: a client always, a user once it has activated. It changes no version.
    pub active: bool,
    pub roles: RoleSet,
    /// 1 when made; one more with every change that was applied.
    pub version: u64,
    /// The version at the last change of keys, networks or sessions.
    pub credential_version: u64,
    /// None: the installation.
    pub created_by: Option<PrincipalId>,
    /// Who last gave it a key or took hold of the way it signs in. It does not change when a principal renews its own
    /// key: otherwise whoever knows a key could hide behind the principal by rotating it once more.
    pub rekeyed_by: Option<PrincipalId>,
    pub granted_by: Option<PrincipalId>,
}

/// Why a principal may not act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Deleted,
    Disabled,
    /// It holds none of the roles that would have allowed it.
    RoleMissing,
}

impl Standing {
    /// Whether it may act with any of the roles; the empty set asks only whether it may act at all.
    ///
    /// # Errors
    /// The first thing that stands in its way.
    pub fn check(&self, any_of: RoleSet) -> Result<(), Refusal> {
        if self.deleted {
            Err(Refusal::Deleted)
        } else if !self.enabled {
            Err(Refusal::Disabled)
        } else if !any_of.is_empty() && !self.roles.meets(any_of) {
            Err(Refusal::RoleMissing)
        } else {
            Ok(())
        }
    }

    /// Whether it is one of those of whom an account keeps at least one.
    #[must_use]
    pub fn is_user_operator(&self) -> bool {
        self.kind == PrincipalKind::User && self.check(RoleSet::EMPTY.with(Role::UserOperator)).is_ok()
    }

    /// Whether the account may lose that user operator as long as it has this one: one who is only invited does not
    /// replace one who can sign in.
    #[must_use]
    pub fn stands_in_for(&self, lost: &Self) -> bool {
        self.is_user_operator() && (self.active || !lost.active)
    }

    /// The standing once its user has activated; None when that changes nothing.
    ///
    /// # Errors
    /// `user-deleted`.
    pub fn activated(&self) -> beem_fault::Result<Option<Self>> {
        if self.active {
            Ok(None)
        } else if self.deleted {
            Err(deleted(self.kind))
        } else {
            Ok(Some(Self { active: true, ..self.clone() }))
        }
    }
}

/// Nothing is changed about what was deleted.
pub(super) fn deleted(kind: PrincipalKind) -> Fault {
    let code = match kind {
        PrincipalKind::User => Code::UserDeleted,
        PrincipalKind::Client => Code::ClientDeleted,
    };
    Fault::new(code, "it was deleted")
}

/// Who may hand out roles in an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GrantPolicy {
    /// Only those who hold them.
    #[default]
    Held,
    /// Every operator of users or clients.
    Any,
}

impl GrantPolicy {
    /// HELD or ANY.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "HELD",
            Self::Any => "ANY",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Held, Self::Any].into_iter().find(|p| p.as_str() == text)
    }
}
