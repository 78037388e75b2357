//! What proves a client: its parsed keys and its networks, from identity, kept in process. A kept credential is used only
//! while the standing announces no change of keys or networks since (`credential_version`), so that a rotation or a
//! narrowed network holds as soon as the standing says so.

use beem_clock::Moment;
use beem_fault::{Code, Fault};
use beem_ids::{AccountId, ClientId, PrincipalId};
use beem_link::Link;
use beem_proto::from_timestamp;
use beem_proto::identity::v1::directory_client::DirectoryClient;
use beem_proto::identity::v1::{Credential as Wire, GetClientCredentialRequest};
use beem_signing::PublicKey;
use beem_whitelist::Whitelist;
use moka::future::Cache;
use std::sync::Arc;
use std::time::Duration;

/// A client as the gateway judges it.
#[derive(Debug)]
pub struct Credential {
    pub principal: PrincipalId,
    pub account: AccountId,
    pub client: ClientId,
    pub keys: Vec<Key>,
    pub whitelist: Whitelist,
    /// The standing's `credential_version` this was written at.
    pub version: u64,
}

/// One accepted key.
#[derive(Debug)]
pub struct Key {
    pub key: PublicKey,
    pub fingerprint: String,
    /// None for the active key.
    pub not_after: Option<Moment>,
}

/// A credential, and whether it was just read from identity.
#[derive(Clone, Debug)]
pub struct Held {
    pub credential: Arc<Credential>,
    pub just_read: bool,
}

/// Reads credentials and keeps them. Cheap to clone.
#[derive(Clone)]
pub struct Credentials {
    directory: DirectoryClient<Link>,
    kept: Cache<ClientId, Arc<Credential>>,
    /// Keyids that nobody has. A new client's is known to nobody before it exists, so this keeps out guesses only.
    unknown: Cache<ClientId, ()>,
}

/// For how long, and how many.
const UNKNOWN_KEPT: Duration = Duration::from_secs(1);
const UNKNOWN_MAX: u64 = 10_000;

impl Credentials {
    #[must_use]
    pub fn new(identity: Link, kept: u32, kept_s: u32) -> Self {
        let kept = Cache::builder()
            .max_capacity(u64::from(kept))
            .time_to_live(Duration::from_secs(u64::from(kept_s)))
            .build();
        let unknown = Cache::builder().max_capacity(UNKNOWN_MAX).time_to_live(UNKNOWN_KEPT).build();
        Self { directory: DirectoryClient::new(identity), kept, unknown }
    }

    /// The kept credential, or the one identity has. None: no such client, or it is deleted.
    ///
    /// # Errors
    /// `unavailable` and `deadline` when identity cannot be asked.
    pub async fn get(&self, client: ClientId) -> Result<Option<Held>, Fault> {
        match self.kept.get(&client).await {
            Some(credential) => Ok(Some(Held { credential, just_read: false })),
            None if self.unknown.contains_key(&client) => Ok(None),
            None => self.read(client).await,
        }
    }

    /// The one identity has now.
    ///
    /// # Errors
    /// As [`Credentials::get`].
    pub async fn read(&self, client: ClientId) -> Result<Option<Held>, Fault> {
        let request = GetClientCredentialRequest { client_id: client.to_string() };
        let answer = self.directory.clone().get_client_credential(request).await;
        let wire = match answer.map_err(Fault::from) {
            Ok(answer) => answer.into_inner(),
            Err(fault) if fault.code == Code::NotFound => {
                self.kept.invalidate(&client).await;
                self.unknown.insert(client, ()).await;
                return Ok(None);
            }
            Err(fault) => return Err(crate::forward::ours(fault)),
        };
        Ok(Some(Held { credential: Arc::new(parse(client, &wire)?), just_read: true }))
    }

    /// Keeps a credential that was just read, unless the standing already announces a newer one: then a change is under
    /// way in identity, and what was read may be what it is about to replace.
    pub async fn keep(&self, held: &Held, credential_version: u64) {
        if held.just_read && held.credential.version >= credential_version {
            self.kept.insert(held.credential.client, Arc::clone(&held.credential)).await;
        }
    }
}

fn parse(client: ClientId, wire: &Wire) -> Result<Credential, Fault> {
    let bad = |what: &'static str| Fault::internal(format!("identity sent a credential with a bad {what}"));
    let mut keys = Vec::with_capacity(wire.keys.len());
    for key in &wire.keys {
        keys.push(Key {
            key: PublicKey::parse_pem(&key.public_key).map_err(|_| bad("key"))?,
            fingerprint: key.fingerprint.clone(),
            not_after: key.not_after.as_ref().map(|t| Moment::from_unix_ms(from_timestamp(t))),
        });
    }
    Ok(Credential {
        principal: wire.principal_id.parse().map_err(|_| bad("principal"))?,
        account: wire.account_id.parse().map_err(|_| bad("account"))?,
        client,
        keys,
        whitelist: Whitelist::parse(&wire.network_whitelist).map_err(|_| bad("network list"))?,
        version: wire.version,
    })
}
