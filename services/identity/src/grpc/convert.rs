//! Wire to domain, with every wrong field named as JSON names it, and domain to wire.

mod people;
mod users;

pub use people::{
    PasswordChange, activation, confirmation, password_change, password_reset, renewal, reset_request,
    second_factor, session, sign_in,
};
pub use users::{new_user, profile_patch, user, user_id, user_patch};

use crate::domain::{
    Account, AccountPatch, BaseCurrency, Client, ClientPatch, EffectKey, Email, FeePayer, GrantPolicy, Key,
    MAX_RETIREMENT_S, Name, NewClient, Problems, Rotation, Use,
};
use crate::operations::ClientView;
use beem_clock::Moment;
use beem_fault::{Fault, Result};
use beem_ids::PrincipalId;
use beem_proto::access::v1::PrincipalKind;
use beem_proto::identity::v1 as wire;
use beem_proto::to_timestamp;
use beem_roles::RoleSet;
use beem_signing::PublicKey;
use beem_whitelist::{Whitelist, WhitelistError};
use prost_types::{FieldMask, Timestamp};

/// A request to make an account, well formed.
#[derive(Clone, Debug)]
pub struct NewAccount {
    pub effect_key: EffectKey,
    pub name: Name,
    pub owner_email: Email,
    pub client_name: Name,
    pub client_key: Key,
}

/// The mask in one order, so that the order of a body's fields does not make it another request.
pub fn sort_mask(present: &mut Option<FieldMask>) {
    if let Some(mask) = present {
        mask.paths.sort();
    }
}

/// The top-level fields a request's body named, as proto names.
pub fn present(mask: Option<&FieldMask>) -> impl Iterator<Item = &str> {
    mask.into_iter().flat_map(|m| m.paths.iter().map(String::as_str))
}

fn names(mask: Option<&FieldMask>, field: &str) -> bool {
    present(mask).any(|named| named == field)
}

/// The id of a client in a path.
///
/// # Errors
/// `not-found` for what is no id at all: no client has it.
pub fn client_id(text: &str) -> Result<PrincipalId> {
    text.parse().map_err(|_| Fault::not_found("client"))
}

/// # Errors
/// `validation-failed` naming the fields.
pub fn new_client(asked: &wire::CreateClientRequest) -> Result<NewClient> {
    let mut wrong = Problems::default();
    let name = wrong.take("name", Name::parse(&asked.name));
    let key = public_key(&mut wrong, "publicKey", &asked.public_key);
    let listed = names(asked.present.as_ref(), "network_whitelist") || !asked.network_whitelist.is_empty();
    let network = if listed { network(&mut wrong, &asked.network_whitelist) } else { Some(Whitelist::all()) };
    let roles = roles(&mut wrong, &asked.roles);
    let enabled = asked.enabled.unwrap_or(true);
    let new = (|| Some(NewClient { name: name?, key: key?, network: network?, roles: roles?, enabled }))();
    wrong.settle(new)
}

/// # Errors
/// `validation-failed` naming the fields.
pub fn client_patch(asked: &wire::UpdateClientRequest) -> Result<ClientPatch> {
    let mask = asked.present.as_ref();
    let mut wrong = Problems::default();
    let mut patch = ClientPatch::default();
    if names(mask, "name") {
        patch.name = wrong.take("name", Name::parse(&asked.name));
    }
    let access = &mut patch.access;
    if names(mask, "network_whitelist") {
        access.network = network(&mut wrong, &asked.network_whitelist);
    }
    if names(mask, "roles") {
        access.roles = roles(&mut wrong, &asked.roles);
    }
    if names(mask, "enabled") {
        access.enabled = Some(asked.enabled);
    }
    wrong.settle(Some(patch))
}

/// # Errors
/// `validation-failed` naming the fields.
pub fn rotation(asked: &wire::RotateClientKeyRequest) -> Result<Rotation> {
    let mut wrong = Problems::default();
    let key = public_key(&mut wrong, "publicKey", &asked.public_key);
    let retire_old_after_s = asked.retire_old_after.unwrap_or(0);
    if retire_old_after_s > MAX_RETIREMENT_S {
        wrong.add("retireOldAfter", format!("0 to {MAX_RETIREMENT_S} seconds"));
    }
    wrong.settle(key.map(|key| Rotation { key, retire_old_after_s }))
}

/// # Errors
/// `validation-failed` naming the fields.
pub fn account_patch(asked: &wire::UpdateAccountRequest) -> Result<AccountPatch> {
    let mask = asked.present.as_ref();
    let mut wrong = Problems::default();
    let mut patch = AccountPatch::default();
    if names(mask, "name") {
        patch.name = wrong.take("name", Name::parse_mailed(&asked.name));
    }
    if names(mask, "base_currency") {
        let currency = BaseCurrency::parse(&asked.base_currency).ok_or("three to five capital letters");
        patch.base_currency = wrong.take("baseCurrency", currency);
    }
    if names(mask, "role_grant_policy") {
        let policy = GrantPolicy::parse(&asked.role_grant_policy).ok_or("held or any");
        patch.grant_policy = wrong.take("roleGrantPolicy", policy);
    }
    if names(mask, "network_fee_payer") {
        let payer = FeePayer::parse(&asked.network_fee_payer).ok_or("MERCHANT or RECIPIENT");
        patch.fee_payer = wrong.take("networkFeePayer", payer);
    }
    wrong.settle(Some(patch))
}

/// # Errors
/// `validation-failed`.
pub fn effect_key(text: &str) -> Result<EffectKey> {
    EffectKey::parse(text).map_err(|wrong| Fault::field("effectKey", wrong.to_string()))
}

/// # Errors
/// `validation-failed` naming the fields.
pub fn new_account(asked: &wire::CreateAccountRequest) -> Result<NewAccount> {
    let mut wrong = Problems::default();
    let effect_key = wrong.take("effectKey", EffectKey::parse(&asked.effect_key));
    let name = wrong.take("name", Name::parse_mailed(&asked.name));
    let owner_email = users::mail_address(&mut wrong, "ownerEmail", &asked.owner_email);
    let client_name = wrong.take("clientName", Name::parse(&asked.client_name));
    let client_key = public_key(&mut wrong, "clientPublicKey", &asked.client_public_key);
    let new = (|| {
        Some(NewAccount {
            effect_key: effect_key?,
            name: name?,
            owner_email: owner_email?,
            client_name: client_name?,
            client_key: client_key?,
        })
    })();
    wrong.settle(new)
}

fn public_key(wrong: &mut Problems, field: &str, pem: &str) -> Option<Key> {
    wrong.take(field, PublicKey::parse_pem(pem)).map(|key| Key::from(&key))
}

fn network(wrong: &mut Problems, texts: &[String]) -> Option<Whitelist> {
    match Whitelist::parse(texts) {
        Ok(list) => Some(list),
        Err(WhitelistError::Entry { index, reason }) => {
            wrong.add(format!("networkWhitelist[{index}]"), reason.to_string());
            None
        }
        Err(whole @ (WhitelistError::Empty | WhitelistError::TooMany)) => {
            wrong.add("networkWhitelist", whole.to_string());
            None
        }
    }
}

/// Every name that is no role is noted, not the first alone.
fn roles(wrong: &mut Problems, names: &[String]) -> Option<RoleSet> {
    for (i, name) in names.iter().enumerate() {
        if beem_roles::Role::parse(name).is_none() {
            wrong.add(format!("roles[{i}]"), "is not a role of the catalogue");
        }
    }
    RoleSet::parse(names).ok()
}

/// An account as its own callers see it.
#[must_use]
pub fn account(account: &Account) -> wire::Account {
    wire::Account {
        id: account.id.to_string(),
        name: account.name.to_string(),
        base_currency: account.base_currency.as_str().to_owned(),
        role_grant_policy: account.grant_policy.as_str().to_owned(),
        network_fee_payer: account.fee_payer.as_str().to_owned(),
        date_created: Some(timestamp(account.created)),
    }
}

/// A client as its readers see it. A deleted one reads as not enabled.
#[must_use]
pub fn client(view: &ClientView<'_>) -> wire::Client {
    let ClientView { client, standing, uses, now } = view;
    wire::Client {
        id: client.id.to_string(),
        client_id: client.client_id.to_string(),
        account_id: client.account.to_string(),
        name: client.name.to_string(),
        enabled: standing.enabled && client.deleted.is_none(),
        public_key: client.key.pem.clone(),
        key_algorithm: client.key.algorithm.clone(),
        key_fingerprint: client.key.fingerprint.clone(),
        retiring_key: client.retiring_at(*now).map(|retiring| wire::RetiringKey {
            key_fingerprint: retiring.key.fingerprint.clone(),
            key_algorithm: retiring.key.algorithm.clone(),
            not_after: Some(timestamp(retiring.not_after)),
        }),
        network_whitelist: client.network.texts(),
        roles: standing.roles.full_names(),
        role_count: standing.roles.len(),
        roles_version: standing.version,
        created_by: client.created_by.map(|id| id.to_string()).unwrap_or_default(),
        date_created: Some(timestamp(client.created)),
        last_used: uses.map(|u| last_use(u.last)),
        first_used: uses.map(|u| last_use(u.first)),
        date_deleted: client.deleted.map(timestamp),
    }
}

/// What the gateway judges a client's signatures and address by.
#[must_use]
pub fn credential(client: &Client, now: Moment) -> wire::Credential {
    let active = wire::CredentialKey {
        public_key: client.key.pem.clone(),
        fingerprint: client.key.fingerprint.clone(),
        not_after: None,
    };
    let retiring = client.retiring_at(now).map(|retiring| wire::CredentialKey {
        public_key: retiring.key.pem.clone(),
        fingerprint: retiring.key.fingerprint.clone(),
        not_after: Some(timestamp(retiring.not_after)),
    });
    wire::Credential {
        principal_id: client.id.to_string(),
        account_id: client.account.to_string(),
        kind: PrincipalKind::Client.into(),
        keys: std::iter::once(active).chain(retiring).collect(),
        network_whitelist: client.network.texts(),
        version: client.credential_version,
        name: client.name.to_string(),
    }
}

fn last_use(seen: Use) -> wire::LastUse {
    wire::LastUse { time: Some(timestamp(seen.at)), address: seen.address.to_string() }
}

fn timestamp(at: Moment) -> Timestamp {
    to_timestamp(at.unix_ms())
}
