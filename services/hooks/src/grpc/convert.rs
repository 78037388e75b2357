//! Wire to domain, with every wrong field named as JSON names it, and domain to wire.

use crate::domain::{EventCodes, Health, Hook, HookPatch, NewHook};
use crate::keys;
use crate::outbound::{Policy, Target};
use crate::store::feeds::FeedState;
use crate::store::keys::StoredKey;
use beem_clock::Moment;
use beem_fault::{Code, Fault, FieldFault, Result};
use beem_ids::HookId;
use beem_proto::hooks::v1 as wire;
use beem_proto::to_timestamp;
use beem_roles::RoleSet;
use prost_types::{FieldMask, Timestamp};

/// The one type of hooks there is.
const WEB: &str = "WEB";

/// How long replaced keys may sign beside the new ones: seven days, in seconds.
const LONGEST_RETIREMENT_S: u32 = 604_800;

/// The id of a hook in a path.
///
/// # Errors
/// `not-found` for what is no id: no hook has it.
pub fn hook_id(text: &str) -> Result<HookId> {
    text.parse().map_err(|_| Fault::not_found("hook"))
}

/// The mask in one order, so that the order of a body's fields does not make it another request.
pub fn sort_mask(present: &mut Option<FieldMask>) {
    if let Some(mask) = present {
        mask.paths.sort();
    }
}

/// What is wrong with a request, all of it at once.
#[derive(Default)]
struct Wrong {
    fields: Vec<FieldFault>,
    /// Of a request that is well formed.
    refusal: Option<Fault>,
}

impl Wrong {
    fn take<T>(&mut self, parsed: Result<T>) -> Option<T> {
        match parsed {
            Ok(value) => return Some(value),
            Err(fault) if fault.code == Code::ValidationFailed => self.fields.extend(fault.fields),
            Err(fault) => self.refusal = self.refusal.take().or(Some(fault)),
        }
        None
    }

    fn settle<T>(self, parsed: Option<T>) -> Result<T> {
        match (parsed, self.refusal) {
            _ if !self.fields.is_empty() => Err(Fault::fields(self.fields)),
            (_, Some(refusal)) => Err(refusal),
            (Some(value), None) => Ok(value),
            (None, None) => Err(Fault::internal("a request was refused without a reason")),
        }
    }
}

/// # Errors
/// `validation-failed` naming every field that is wrong; `role-missing` for events that may not be read with these roles.
pub fn new_hook(asked: &wire::CreateHookRequest, roles: RoleSet, policy: Policy) -> Result<NewHook> {
    let mut wrong = Wrong::default();
    let url = wrong.take(url(&asked.url, policy));
    let codes = wrong.take(EventCodes::parse(&asked.event_codes, roles));
    wrong.take(asked.r#type.as_deref().map_or(Ok(()), web));
    let enabled = asked.enabled.unwrap_or(true);
    wrong.settle((|| Some(NewHook { url: url?, codes: codes?, enabled }))())
}

/// Of the fields that the body named.
///
/// # Errors
/// As [`new_hook`].
pub fn hook_patch(asked: &wire::UpdateHookRequest, roles: RoleSet, policy: Policy) -> Result<HookPatch> {
    let names = |field: &str| {
        asked.present.as_ref().is_some_and(|mask| mask.paths.iter().any(|named| named == field))
    };
    let mut wrong = Wrong::default();
    let mut patch = HookPatch::default();
    if names("url") {
        patch.url = wrong.take(url(&asked.url, policy));
    }
    if names("event_codes") {
        patch.codes = wrong.take(EventCodes::parse(&asked.event_codes, roles));
    }
    if names("type") {
        wrong.take(web(&asked.r#type));
    }
    if names("enabled") {
        patch.enabled = Some(asked.enabled);
    }
    wrong.settle(Some(patch))
}

/// Absent is at once.
///
/// # Errors
/// `validation-failed` naming `retireOldAfter`.
pub fn retire_old_after_s(asked: &wire::RotateHookKeyRequest) -> Result<u32> {
    match asked.retire_old_after.unwrap_or(0) {
        s if s <= LONGEST_RETIREMENT_S => Ok(s),
        _ => Err(Fault::field("retireOldAfter", format!("0 to {LONGEST_RETIREMENT_S} seconds"))),
    }
}

fn url(text: &str, policy: Policy) -> Result<String> {
    Target::parse(text, policy).map(|target| target.as_str().to_owned())
}

fn web(text: &str) -> Result<()> {
    if text == WEB { Ok(()) } else { Err(Fault::field("type", WEB)) }
}

/// A hook with the public parts of its keys. Its secret is for whoever has just drawn it to add.
#[must_use]
pub fn hook(hook: &Hook, active: &StoredKey, retiring: Option<&StoredKey>, health: &Health) -> wire::Hook {
    let retiring = retiring.and_then(|key| {
        Some(wire::RetiringHookKey {
            public_key: keys::public_key_base64(&key.rsa_public),
            public_key_pem: keys::public_key_pem(&key.rsa_public),
            signing_public_key: keys::signing_public_key(&key.ed25519_public),
            not_after: Some(timestamp(key.retires?)),
        })
    });
    wire::Hook {
        id: hook.id.to_string(),
        r#type: WEB.to_owned(),
        url: hook.url.clone(),
        event_codes: hook.codes.codes().to_vec(),
        enabled: hook.disabled.is_none(),
        public_key: keys::public_key_base64(&active.rsa_public),
        public_key_pem: keys::public_key_pem(&active.rsa_public),
        signing_public_key: keys::signing_public_key(&active.ed25519_public),
        signing_secret: None,
        retiring_key: retiring,
        created_by: hook.created_by.to_string(),
        date_created: Some(timestamp(hook.created)),
        last_updated: Some(timestamp(hook.updated)),
        failing_since: health.failing_since.map(timestamp),
        disabled_reason: hook.disabled.map(|reason| reason.as_str().to_owned()),
    }
}

/// One service's feed as it is taken in.
#[must_use]
pub fn feed(source: &str, state: &FeedState) -> wire::Feed {
    wire::Feed {
        source: source.to_owned(),
        epoch: state.cursor.epoch.clone(),
        position: state.cursor.position,
        lost: state.lost,
    }
}

/// A moment as answers have it.
#[must_use]
pub fn timestamp(at: Moment) -> Timestamp {
    to_timestamp(at.unix_ms())
}
