//! Wire to domain, with the path of whatever is wrong; and verdicts back.

use crate::domain::{Change, GrantPolicy, NewStanding, Refusal};
use crate::operations::Judged;
use beem_caller::PrincipalKind;
use beem_database::page::{Page, PageQuery};
use beem_fault::{Fault, Result};
use beem_ids::{NotAnId, PrincipalId};
use beem_proto::authz::v1 as wire;
use beem_roles::{Role, RoleSet};
use std::str::FromStr;

/// Principals in one batch at most.
const LARGEST_BATCH: usize = 500;
/// An effect key's length at most, in bytes.
const LONGEST_KEY: usize = 512;

pub(super) fn id<T: FromStr<Err = NotAnId>>(field: &str, text: &str) -> Result<T> {
    text.parse().map_err(|e: NotAnId| Fault::field(field, e.to_string()))
}

/// Empty is the installation.
pub(super) fn or_installation(field: &str, text: &str) -> Result<Option<PrincipalId>> {
    if text.is_empty() { Ok(None) } else { id(field, text).map(Some) }
}

pub(super) fn principals(texts: &[String]) -> Result<Vec<PrincipalId>> {
    if texts.len() > LARGEST_BATCH {
        return Err(Fault::field("principalIds", format!("at most {LARGEST_BATCH}")));
    }
    texts.iter().enumerate().map(|(n, text)| id(&format!("principalIds[{n}]"), text)).collect()
}

pub(super) fn effect_key(text: &str) -> Result<String> {
    let sound = !text.is_empty() && text.len() <= LONGEST_KEY && text.bytes().all(|b| b.is_ascii_graphic());
    if sound { Ok(text.into()) } else { Err(Fault::field("effectKey", "1 to 512 visible characters")) }
}

pub(super) fn roles(field: &str, bits: u32) -> Result<RoleSet> {
    RoleSet::from_bits(bits).ok_or_else(|| Fault::field(field, "a bit that names no role"))
}

pub(super) fn one_role(field: &str, bit: u32) -> Result<Role> {
    let set = roles(field, bit)?;
    let mut found = set.iter();
    match (found.next(), found.next()) {
        (Some(role), None) => Ok(role),
        _ => Err(Fault::field(field, "exactly one bit")),
    }
}

pub(super) fn policy(text: &str) -> Result<GrantPolicy> {
    GrantPolicy::parse(text).ok_or_else(|| Fault::field("roleGrantPolicy", "HELD or ANY"))
}

pub(super) fn kind(value: i32) -> Result<PrincipalKind> {
    PrincipalKind::from_wire(value).ok_or_else(|| Fault::field("kind", "USER or CLIENT"))
}

pub(super) fn new_standing(
    request: &wire::CreateStandingRequest,
    kind: PrincipalKind,
) -> Result<NewStanding> {
    Ok(NewStanding {
        account: id("accountId", &request.account_id)?,
        principal: id("principalId", &request.principal_id)?,
        kind,
        enabled: request.enabled,
        active: request.active,
        roles: roles("roles", request.roles)?,
    })
}

pub(super) fn change(request: &wire::PrepareChangeRequest) -> Result<Change> {
    Ok(Change {
        roles: request.roles.map(|bits| roles("roles", bits)).transpose()?,
        enabled: request.enabled,
        delete: request.delete,
        rekey: request.rekey,
        take_over: request.take_over,
        credential_change: request.credential_change,
        end_sessions: request.end_sessions,
        deactivate: request.deactivate,
    })
}

/// 0 is the largest page. A token is good for its account and role only.
pub(super) fn holders_page(request: &wire::ListHoldersRequest) -> Result<Page> {
    let max = Some(if request.max == 0 { 500 } else { request.max });
    let query = PageQuery { max, page_token: &request.page_token, offset: None, order: "asc" };
    let filter = format!("{} {}", request.account_id, request.role);
    Page::parse(query, "ListHolders", filter.as_bytes())
}

/// A verdict, explained; `None` is a principal the account does not have.
pub(super) fn judged(judged: Option<Judged>, any_of: RoleSet) -> wire::CheckResponse {
    let Some(Judged { standing, refusal, entry }) = judged else {
        return wire::CheckResponse { refusal: "unknown".into(), ..wire::CheckResponse::default() };
    };
    let (text, missing) = match refusal {
        None => ("", RoleSet::EMPTY),
        Some(Refusal::Deleted) => ("deleted", RoleSet::EMPTY),
        Some(Refusal::Disabled) => ("disabled", RoleSet::EMPTY),
        Some(Refusal::RoleMissing) => ("role-missing", any_of),
    };
    wire::CheckResponse {
        allowed: refusal.is_none(),
        refusal: text.into(),
        missing_any_of: missing.bits(),
        version: standing.version,
        roles: standing.roles.bits(),
        standing: Some(entry.signed),
    }
}
