//! A client, its keys and networks, and what may be done to it.

use super::principal::refuse_deleted;
use super::{AccessPatch, Name, Principal};
use beem_clock::Moment;
use beem_fault::{Code, Fault};
use beem_ids::{AccountId, ClientId, PrincipalId};
use beem_roles::RoleSet;
use beem_signing::PublicKey;
use beem_whitelist::Whitelist;
use serde_json::json;
use std::net::IpAddr;

/// How long a replaced key may stay valid: seven days, in seconds.
pub const MAX_RETIREMENT_S: u32 = 604_800;

/// A client as identity keeps it. Whether it may act, and with which roles, is its standing in authz.
#[derive(Clone, Debug)]
pub struct Client {
    pub id: PrincipalId,
    /// The keyid of its signatures; it outlives its keys.
    pub client_id: ClientId,
    pub account: AccountId,
    pub name: Name,
    pub network: Whitelist,
    pub key: Key,
    pub retiring: Option<RetiringKey>,
    /// The standing's credential version that keys and network were written at.
    pub credential_version: u64,
    /// None when the installation made it.
    pub created_by: Option<PrincipalId>,
    pub created: Moment,
    pub deleted: Option<Moment>,
}

/// A registered public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Canonical PEM of the SubjectPublicKeyInfo.
    pub pem: String,
    /// `ed25519`, `rsa` or `ecdsa-p256`.
    pub algorithm: String,
    /// SHA-256 of the SPKI DER, lower-case hex.
    pub fingerprint: String,
}

/// The key before, while it is still accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetiringKey {
    pub key: Key,
    pub not_after: Moment,
}

/// When and from where a client was accepted; to the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    pub at: Moment,
    pub address: IpAddr,
}

/// What it takes to make a client.
#[derive(Clone, Debug)]
pub struct NewClient {
    pub name: Name,
    pub key: Key,
    pub network: Whitelist,
    pub roles: RoleSet,
    pub enabled: bool,
}

/// The fields a PATCH names.
#[derive(Clone, Debug, Default)]
pub struct ClientPatch {
    pub name: Option<Name>,
    pub access: AccessPatch,
}

/// A new key, and for how many seconds the old one stays.
#[derive(Clone, Debug)]
pub struct Rotation {
    pub key: Key,
    pub retire_old_after_s: u32,
}

impl From<&PublicKey> for Key {
    fn from(key: &PublicKey) -> Self {
        Self { pem: key.pem(), algorithm: key.kind().as_str().to_owned(), fingerprint: key.fingerprint() }
    }
}

impl Client {
    /// The retiring key, if it is still accepted then.
    #[must_use]
    pub fn retiring_at(&self, now: Moment) -> Option<&RetiringKey> {
        self.retiring.as_ref().filter(|r| now < r.not_after)
    }

    /// The client with a new key. The one before retires or, with 0 s, ends; one that was retiring already ends.
    #[must_use]
    pub fn rotated(&self, rotation: &Rotation, credential_version: u64, now: Moment) -> Self {
        let stays_ms = i64::from(rotation.retire_old_after_s).saturating_mul(1000);
        let retiring = RetiringKey { key: self.key.clone(), not_after: now.plus_ms(stays_ms) };
        Self {
            key: rotation.key.clone(),
            retiring: (stays_ms > 0).then_some(retiring),
            credential_version,
            ..self.clone()
        }
    }
}

impl Principal for Client {
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
        Fault::new(Code::ClientDeleted, "the client is deleted and stays as it is")
    }

    /// No keys, only their fingerprints.
    fn record(&self, roles: RoleSet, enabled: bool) -> serde_json::Value {
        let retiring = self.retiring.as_ref();
        json!({
            "name": self.name.as_str(),
            "clientId": self.client_id.to_string(),
            "enabled": enabled && self.deleted.is_none(),
            "roles": roles.full_names(),
            "networkWhitelist": self.network.texts(),
            "keyFingerprint": self.key.fingerprint,
            "retiringKey": retiring.map(|r| json!({
                "keyFingerprint": r.key.fingerprint,
                "notAfter": r.not_after.rfc3339(),
            })),
            "dateDeleted": self.deleted.map(Moment::rfc3339),
        })
    }
}

/// Whether the client may get this key. One's own may be rotated.
///
/// # Errors
/// `client-deleted`; `validation-failed` for the key that is in use.
pub fn judge_rotation(client: &Client, rotation: &Rotation) -> Result<(), Fault> {
    refuse_deleted(client)?;
    if client.key.fingerprint == rotation.key.fingerprint {
        return Err(Fault::field("publicKey", "is the key in use"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{NetworkChange, judge_delete, judge_update};
    use beem_clock::Entropy;

    const NOW: Moment = Moment::from_unix_s(1_800_000_000);

    fn key(n: u8) -> Key {
        Key { pem: format!("pem {n}"), algorithm: "ed25519".into(), fingerprint: format!("{n:02x}") }
    }

    fn network(texts: &[&str]) -> Whitelist {
        Whitelist::parse(texts).unwrap()
    }

    fn client() -> Client {
        let entropy = Entropy::seeded(5);
        Client {
            id: PrincipalId::draw(NOW, &entropy),
            client_id: ClientId::draw(NOW, &entropy),
            account: AccountId::draw(NOW, &entropy),
            name: Name::parse("till").unwrap(),
            network: network(&["10.0.0.0/8"]),
            key: key(1),
            retiring: None,
            credential_version: 3,
            created_by: None,
            created: NOW,
            deleted: None,
        }
    }

    fn somebody() -> PrincipalId {
        PrincipalId::draw(NOW, &Entropy::seeded(99))
    }

    fn patched(texts: &[&str]) -> AccessPatch {
        AccessPatch { network: Some(network(texts)), ..AccessPatch::default() }
    }

    #[test]
    fn a_network_list_is_wider_narrower_or_as_it_was() {
        let judge = |texts: &[&str]| judge_update(&client(), somebody(), &patched(texts)).unwrap();
        assert_eq!(judge(&["10.0.0.0/8"]), NetworkChange::Unchanged);
        assert_eq!(judge(&["10.1.0.0/16"]), NetworkChange::Narrower);
        assert_eq!(judge(&["10.1.0.0/16", "192.0.2.1/32"]), NetworkChange::Wider);
        assert_eq!(judge(&["0.0.0.0/0"]), NetworkChange::Wider);
        assert_eq!(
            judge_update(&client(), somebody(), &AccessPatch::default()).unwrap(),
            NetworkChange::Unchanged
        );
    }

    #[test]
    fn own_access_is_not_ones_own_to_change_but_the_name_is() {
        let own = client();
        judge_update(&own, own.id, &AccessPatch::default()).unwrap();
        let same = own.network.texts();
        let same: Vec<&str> = same.iter().map(AsRef::as_ref).collect();
        for patch in [
            patched(&same),
            AccessPatch { roles: Some(RoleSet::EMPTY), ..AccessPatch::default() },
            AccessPatch { enabled: Some(true), ..AccessPatch::default() },
        ] {
            assert_eq!(judge_update(&own, own.id, &patch).unwrap_err().code, Code::OwnPrincipal);
            judge_update(&own, somebody(), &patch).unwrap();
        }
        assert_eq!(judge_delete(&own, own.id).unwrap_err().code, Code::OwnPrincipal);
        judge_rotation(&own, &Rotation { key: key(2), retire_old_after_s: 0 }).unwrap();
    }

    #[test]
    fn a_deleted_client_stays_as_it_is() {
        let gone = Client { deleted: Some(NOW), ..client() };
        let rotation = Rotation { key: key(2), retire_old_after_s: 0 };
        let patch = AccessPatch::default();
        assert_eq!(judge_update(&gone, somebody(), &patch).unwrap_err().code, Code::ClientDeleted);
        assert_eq!(judge_rotation(&gone, &rotation).unwrap_err().code, Code::ClientDeleted);
        assert!(!judge_delete(&gone, somebody()).unwrap());
        assert!(judge_delete(&client(), somebody()).unwrap());
    }

    #[test]
    fn the_key_in_use_is_no_new_key() {
        let rotation = Rotation { key: key(1), retire_old_after_s: 60 };
        assert_eq!(judge_rotation(&client(), &rotation).unwrap_err().fields[0].field, "publicKey");
    }

    #[test]
    fn at_most_one_key_retires() {
        let first = client().rotated(&Rotation { key: key(2), retire_old_after_s: 60 }, 4, NOW);
        assert_eq!(first.retiring_at(NOW.plus_ms(59_999)).unwrap().key, key(1));
        assert_eq!(first.retiring_at(NOW.plus_ms(60_000)), None);
        let second = first.rotated(&Rotation { key: key(3), retire_old_after_s: 60 }, 5, NOW);
        assert_eq!(second.retiring.as_ref().unwrap().key, key(2));
        let third = second.rotated(&Rotation { key: key(1), retire_old_after_s: 0 }, 6, NOW);
        assert_eq!((third.key, third.retiring, third.credential_version), (key(1), None, 6));
    }

    #[test]
    fn the_record_holds_fingerprints_and_no_keys() {
        let two = client().rotated(&Rotation { key: key(2), retire_old_after_s: 60 }, 4, NOW);
        let record = two.record(RoleSet::ALL, true).to_string();
        assert!(record.contains("\"02\"") && record.contains("\"01\"") && !record.contains("pem"));
    }
}
