//! The keys of a process, from its settings or drawn for its lifetime. Drawn keys are right for the embedded shape, where
//! whoever signs and whoever verifies live and die together.

use crate::data_dir::write_private;
use crate::settings::{KeySettings, Settings};
use anyhow::Context as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use beem_caller::{ActorKey, Issuers, Opener, Sealer, ServiceIdentity};
use beem_clock::{Clock, Entropy};
use ed25519_dalek::{SigningKey, VerifyingKey};
use std::collections::BTreeMap;
use std::path::Path;

/// The seed of the key of standings, in an embedded installation's data directory.
pub const STANDING_FILE: &str = "standing.key";
/// The seed of the key that the heads of the books are signed with, likewise.
pub const LEDGER_FILE: &str = "ledger.key";

/// Everything that proves one part of the installation to another.
#[derive(Clone)]
pub struct Keys {
    identities: BTreeMap<String, ServiceIdentity>,
    issuers: BTreeMap<String, Vec<VerifyingKey>>,
    actor: BTreeMap<String, Vec<ActorKey>>,
    pub standing: Option<SigningKey>,
    pub standing_public: Vec<VerifyingKey>,
    /// Signs the heads of the books.
    pub ledger: Option<SigningKey>,
}

/// The keys whose signatures outlive a process.
pub struct Lasting {
    /// Signs standings and the heads of the audit trail.
    pub standing: SigningKey,
    /// Signs the heads of the books.
    pub ledger: SigningKey,
}

/// A key in the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("keys.{key}: {problem}")]
pub struct KeyError {
    pub key: String,
    pub problem: &'static str,
}

impl Keys {
    /// Keys that live as long as this process, for all of these services; those whose signatures outlive it are given.
    #[must_use]
    pub fn drawn(names: &[&str], lasting: Lasting, clock: &Clock, entropy: &Entropy) -> Self {
        let mut keys = Self {
            identities: BTreeMap::new(),
            issuers: BTreeMap::new(),
            actor: BTreeMap::new(),
            standing: None,
            standing_public: Vec::new(),
            ledger: Some(lasting.ledger),
        };
        for name in names {
            let signing = SigningKey::from_bytes(&entropy.bytes());
            keys.issuers.insert((*name).to_owned(), vec![signing.verifying_key()]);
            keys.identities.insert((*name).to_owned(), ServiceIdentity::new(name, signing, clock.clone()));
            keys.actor.insert((*name).to_owned(), vec![ActorKey(entropy.bytes())]);
        }
        keys.standing_public.push(lasting.standing.verifying_key());
        keys.standing = Some(lasting.standing);
        keys
    }

    /// The keys the settings name.
    ///
    /// # Errors
    /// The first that is no key.
    pub fn from_settings(settings: &Settings, clock: &Clock) -> Result<Self, KeyError> {
        let KeySettings { service, issuers, actor, standing, standing_public, ledger } = &settings.keys;
        let mut keys = Self {
            identities: BTreeMap::new(),
            issuers: BTreeMap::new(),
            actor: BTreeMap::new(),
            standing: None,
            standing_public: public_keys("standing_public", standing_public)?,
            ledger: None,
        };
        for (name, seed) in service {
            let signing = SigningKey::from_bytes(&bytes(&format!("service.{name}"), seed.expose())?);
            keys.identities.insert(name.clone(), ServiceIdentity::new(name, signing, clock.clone()));
        }
        for (name, texts) in issuers {
            keys.issuers.insert(name.clone(), public_keys(&format!("issuers.{name}"), texts)?);
        }
        for internal in &settings.internal_services {
            let name = format!("internal_services.{}", internal.name);
            keys.issuers.insert(internal.name.clone(), public_keys(&name, &internal.public_keys)?);
        }
        for (name, secrets) in actor {
            let key = format!("actor.{name}");
            let parsed: Result<Vec<_>, _> =
                secrets.iter().map(|s| bytes(&key, s.expose()).map(ActorKey)).collect();
            keys.actor.insert(name.clone(), parsed?);
        }
        if let Some(standing) = standing {
            keys.standing = Some(SigningKey::from_bytes(&bytes("standing", standing.expose())?));
        }
        if let Some(ledger) = ledger {
            keys.ledger = Some(SigningKey::from_bytes(&bytes("ledger", ledger.expose())?));
        }
        Ok(keys)
    }

    /// A service's own identity.
    ///
    /// # Errors
    /// When the settings give it no key.
    pub fn identity(&self, name: &str) -> Result<ServiceIdentity, KeyError> {
        let missing = || KeyError { key: format!("service.{name}"), problem: "is missing" };
        self.identities.get(name).cloned().ok_or_else(missing)
    }

    /// Whose tokens a service takes.
    #[must_use]
    pub fn issuers(&self, audience: &str) -> Issuers {
        Issuers::new(audience, self.issuers.clone())
    }

    /// How a service opens actors.
    #[must_use]
    pub fn opener(&self, audience: &str) -> Opener {
        Opener::new(audience, self.actor.get(audience).cloned().unwrap_or_default())
    }

    /// How the gateway seals them.
    #[must_use]
    pub fn sealer(&self) -> Sealer {
        let first = |(name, keys): (&String, &Vec<ActorKey>)| keys.first().map(|k| (name.clone(), k.clone()));
        Sealer::new(self.actor.iter().filter_map(first).collect())
    }
}

/// A signing key of an embedded installation: in a file, made at the first start.
///
/// # Errors
/// When the file cannot be read or written, or holds no key.
pub fn lasting_key(file: &Path, entropy: &Entropy) -> anyhow::Result<SigningKey> {
    if !file.is_file() {
        let seed = STANDARD.encode(entropy.bytes::<32>());
        write_private(file, seed.as_bytes()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    read_lasting_key(file)
}

/// The same where it must be there.
///
/// # Errors
/// As [`lasting_key`].
pub fn read_lasting_key(file: &Path) -> anyhow::Result<SigningKey> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(SigningKey::from_bytes(&bytes(&file.display().to_string(), &text)?))
}

fn public_keys(key: &str, texts: &[String]) -> Result<Vec<VerifyingKey>, KeyError> {
    let problem = |problem| KeyError { key: key.to_owned(), problem };
    if texts.len() > 2 {
        return Err(problem("at most two keys: the current one, and the previous one while they rotate"));
    }
    let parse = |text: &String| {
        VerifyingKey::from_bytes(&bytes(key, text)?).map_err(|_| problem("is no Ed25519 key"))
    };
    texts.iter().map(parse).collect()
}

fn bytes(key: &str, text: &str) -> Result<[u8; 32], KeyError> {
    let decoded = STANDARD.decode(text.trim()).ok().and_then(|b| b.try_into().ok());
    decoded.ok_or_else(|| KeyError { key: key.to_owned(), problem: "is not 32 bytes in base64" })
}
