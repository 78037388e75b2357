//! Users: wire to domain and back.

use super::{names, network, roles, timestamp};
use crate::domain::{AccessPatch, Email, Name, NewUser, Principal as _, Problems, User, UserPatch};
use crate::peers::Standing;
use beem_fault::{Fault, Result};
use beem_ids::PrincipalId;
use beem_proto::identity::v1 as wire;
use beem_whitelist::Whitelist;

/// The id of a user in a path.
///
/// # Errors
/// `not-found` for what is no id at all: no user has it.
pub fn user_id(text: &str) -> Result<PrincipalId> {
    text.parse().map_err(|_| Fault::not_found("user"))
}

/// # Errors
/// `validation-failed` naming the fields.
pub fn new_user(asked: &wire::CreateUserRequest) -> Result<NewUser> {
    let mut wrong = Problems::default();
    let email = mail_address(&mut wrong, "email", &asked.email);
    let first_name = wrong.take("firstName", Name::parse_mailed(&asked.first_name));
    let last_name = wrong.take("lastName", Name::parse_mailed(&asked.last_name));
    let listed = names(asked.present.as_ref(), "network_whitelist") || !asked.network_whitelist.is_empty();
    let network = if listed { network(&mut wrong, &asked.network_whitelist) } else { Some(Whitelist::all()) };
    let roles = roles(&mut wrong, &asked.roles);
    let enabled = asked.enabled.unwrap_or(true);
    let new = (|| {
        Some(NewUser {
            email: email?,
            first_name: first_name?,
            last_name: last_name?,
            network: network?,
            roles: roles?,
            enabled,
        })
    })();
    wrong.settle(new)
}

/// An address that mail can be sent to.
pub(super) fn mail_address(wrong: &mut Problems, field: &str, text: &str) -> Option<Email> {
    let email = wrong.take(field, Email::parse(text))?;
    if beem_mail::is_address(email.as_str()) {
        return Some(email);
    }
    wrong.add(field, "is not a mail address");
    None
}

/// # Errors
/// `validation-failed` naming the fields.
pub fn user_patch(asked: &wire::UpdateUserRequest) -> Result<UserPatch> {
    let mask = asked.present.as_ref();
    let mut wrong = Problems::default();
    let mut access = AccessPatch::default();
    if names(mask, "network_whitelist") {
        access.network = network(&mut wrong, &asked.network_whitelist);
    }
    if names(mask, "roles") {
        access.roles = roles(&mut wrong, &asked.roles);
    }
    if names(mask, "enabled") {
        access.enabled = Some(asked.enabled);
    }
    let mut patch = UserPatch { access, ..UserPatch::default() };
    if names(mask, "first_name") {
        patch.first_name = wrong.take("firstName", Name::parse_mailed(&asked.first_name));
    }
    if names(mask, "last_name") {
        patch.last_name = wrong.take("lastName", Name::parse_mailed(&asked.last_name));
    }
    wrong.settle(Some(patch))
}

/// What users may change of themselves.
///
/// # Errors
/// `validation-failed` naming the fields.
pub fn profile_patch(asked: &wire::UpdateProfileRequest) -> Result<UserPatch> {
    user_patch(&wire::UpdateUserRequest {
        first_name: asked.first_name.clone(),
        last_name: asked.last_name.clone(),
        present: asked.present.clone(),
        ..wire::UpdateUserRequest::default()
    })
}

/// A user as its readers see it. A deleted one reads as not enabled.
#[must_use]
pub fn user(user: &User, standing: &Standing) -> wire::User {
    wire::User {
        id: user.id.to_string(),
        account_id: user.account.to_string(),
        email: user.email.as_str().to_owned(),
        first_name: user.first_name.to_string(),
        last_name: user.last_name.to_string(),
        enabled: standing.enabled && user.deleted().is_none(),
        status: user.status().to_owned(),
        network_whitelist: user.network.texts(),
        roles: standing.roles.full_names(),
        role_count: standing.roles.len(),
        roles_version: standing.version,
        created_by: user.created_by.map(|id| id.to_string()).unwrap_or_default(),
        date_created: Some(timestamp(user.created)),
        last_sign_in: user.last_sign_in.map(|seen| wire::SignInRecord {
            time: Some(timestamp(seen.at)),
            address: seen.address.to_string(),
        }),
        date_deleted: user.deleted.map(timestamp),
    }
}
