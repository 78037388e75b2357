//! A user: who a person is here, and what may be done to it by others. How it signs in is in `store`'s hands and the
//! sign-in rules'; whether it may act, and with which roles, is its standing in authz.

use super::principal::{own_principal, refuse_deleted};
use super::{AccessPatch, Email, Name, Principal};
use beem_clock::Moment;
use beem_fault::{Code, Fault};
use beem_ids::{AccountId, PrincipalId};
use beem_roles::RoleSet;
use beem_whitelist::Whitelist;
use serde_json::json;
use std::net::IpAddr;

/// A user as identity keeps it, without its secrets.
#[derive(Clone, Debug)]
pub struct User {
    pub id: PrincipalId,
    pub account: AccountId,
    pub email: Email,
    pub first_name: Name,
    pub last_name: Name,
    pub network: Whitelist,
    /// Has a password and a second factor.
    pub activated: bool,
    /// The standing's credential version that the network list was written at, or sessions were ended at.
    pub credential_version: u64,
    /// None when the installation made it.
    pub created_by: Option<PrincipalId>,
    pub created: Moment,
    pub deleted: Option<Moment>,
    pub last_sign_in: Option<SignInRecord>,
}

/// When and from where a user last signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignInRecord {
    pub at: Moment,
    pub address: IpAddr,
}

/// What it takes to invite somebody.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub email: Email,
    pub first_name: Name,
    pub last_name: Name,
    pub network: Whitelist,
    pub roles: RoleSet,
    pub enabled: bool,
}

/// The fields a PATCH names.
#[derive(Clone, Debug, Default)]
pub struct UserPatch {
    pub first_name: Option<Name>,
    pub last_name: Option<Name>,
    pub access: AccessPatch,
}

impl User {
    /// INVITED or ACTIVE.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        if self.activated { "ACTIVE" } else { "INVITED" }
    }
}

impl Principal for User {
    fn id(&self) -> PrincipalId {
        self.id
    }

    fn network(&self) -> &Whitelist {
        &self.network
    }

    fn deleted(&self) -> Option<Moment> {
        self.deleted
    }

    fn is_deleted() -> Fault {
        Fault::new(Code::UserDeleted, "the user is deleted and stays as it is")
    }

    fn record(&self, roles: RoleSet, enabled: bool) -> serde_json::Value {
        json!({
            "email": self.email.as_str(),
            "firstName": self.first_name.as_str(),
            "lastName": self.last_name.as_str(),
            "status": self.status(),
            "enabled": enabled && self.deleted.is_none(),
            "roles": roles.full_names(),
            "networkWhitelist": self.network.texts(),
            "dateDeleted": self.deleted.map(Moment::rfc3339),
        })
    }
}

/// Whether the user may be invited again: it has not activated.
///
/// # Errors
/// `user-deleted`, `user-active`; `own-principal`.
pub fn judge_invitation(user: &User, actor: Option<PrincipalId>) -> Result<(), Fault> {
    refuse_deleted(user)?;
    if Some(user.id) == actor {
        return Err(own_principal("nobody invites themselves"));
    }
    if user.activated {
        return Err(Fault::new(Code::UserActive, "the user has activated; reset the second factor instead"));
    }
    Ok(())
}

/// Whether the actor may take password and second factor of the user away. Not their own: whoever holds a session alone
/// would have both.
///
/// # Errors
/// `user-deleted`, `own-principal`.
pub fn judge_reset(user: &User, actor: PrincipalId) -> Result<(), Fault> {
    refuse_deleted(user)?;
    if user.id == actor {
        return Err(own_principal("nobody resets their own second factor this way; renew it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{judge_delete, judge_update};
    use beem_clock::Entropy;

    const NOW: Moment = Moment::from_unix_s(1_800_000_000);

    fn user() -> User {
        let entropy = Entropy::seeded(6);
        User {
            id: PrincipalId::draw(NOW, &entropy),
            account: AccountId::draw(NOW, &entropy),
            email: Email::parse("ada@example.com").unwrap(),
            first_name: Name::parse("Ada").unwrap(),
            last_name: Name::parse("Lovelace").unwrap(),
            network: Whitelist::all(),
            activated: false,
            credential_version: 1,
            created_by: None,
            created: NOW,
            deleted: None,
            last_sign_in: None,
        }
    }

    #[test]
    fn nobody_lets_themselves_in_anew() {
        let (user, other) = (user(), PrincipalId::draw(NOW, &Entropy::seeded(7)));
        judge_invitation(&user, Some(other)).unwrap();
        judge_invitation(&user, None).unwrap();
        judge_reset(&user, other).unwrap();
        for refused in [
            judge_invitation(&user, Some(user.id)).unwrap_err(),
            judge_reset(&user, user.id).unwrap_err(),
            judge_delete(&user, user.id).unwrap_err(),
        ] {
            assert_eq!(refused.code, Code::OwnPrincipal);
        }
    }

    #[test]
    fn an_active_user_is_not_invited_and_a_deleted_one_stays() {
        let other = PrincipalId::draw(NOW, &Entropy::seeded(7));
        let active = User { activated: true, ..user() };
        assert_eq!(judge_invitation(&active, Some(other)).unwrap_err().code, Code::UserActive);
        judge_reset(&active, other).unwrap();
        assert_eq!((user().status(), active.status()), ("INVITED", "ACTIVE"));
        let gone = User { deleted: Some(NOW), ..active };
        for refused in [
            judge_invitation(&gone, Some(other)).unwrap_err(),
            judge_reset(&gone, other).unwrap_err(),
            judge_update(&gone, other, &AccessPatch::default()).unwrap_err(),
        ] {
            assert_eq!(refused.code, Code::UserDeleted);
        }
        assert!(!judge_delete(&gone, other).unwrap());
    }
}
