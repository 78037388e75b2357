//! A client's credentials: who it is, and the key it signs with.

use beem_clock::Entropy;
use beem_signing::{Algorithm, KeyKind, PrivateKey};
use serde::Deserialize;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Creds {
    /// The principal's id; empty when only the credentials file is known.
    pub id: String,
    /// The keyid.
    pub client_id: String,
    pub account_id: String,
    pub key: Arc<PrivateKey>,
    pub algorithm: Algorithm,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClientFile {
    base_url: String,
    account_id: String,
    client_id: String,
    algorithm: String,
    private_key_file: String,
}

impl Creds {
    /// Reads `client.json` and its key as 2.4 of the contract writes them; the base URL in it beside.
    ///
    /// # Errors
    /// When they are not as written there.
    pub fn load(folder: &Path) -> Result<(Self, String), String> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
        };
        let file: ClientFile =
            serde_json::from_str(&read("client.json")?).map_err(|e| format!("client.json: {e}"))?;
        if file.algorithm != "ed25519" || file.private_key_file != "client.pem" {
            return Err(format!("client.json says {} and {}", file.algorithm, file.private_key_file));
        }
        let key = PrivateKey::from_pkcs8_pem(&read(&file.private_key_file)?)
            .map_err(|e| format!("client.pem: {e}"))?;
        let creds = Self {
            id: String::new(),
            client_id: file.client_id,
            account_id: file.account_id,
            key: Arc::new(key),
            algorithm: Algorithm::Ed25519,
        };
        Ok((creds, file.base_url))
    }

    /// The same client, signing with another key.
    #[must_use]
    pub fn with_key(&self, key: &Arc<PrivateKey>) -> Self {
        Self { key: Arc::clone(key), algorithm: key.kind().default_algorithm(), ..self.clone() }
    }

    /// The same client and key, under another algorithm of the key.
    #[must_use]
    pub fn with_algorithm(&self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self.clone() }
    }
}

/// A new key. Making RSA keys takes long, so there are two of them for a whole run, handed out in turn.
#[must_use]
pub fn new_key(kind: KeyKind) -> Arc<PrivateKey> {
    let make = || Arc::new(PrivateKey::generate(kind, &Entropy::System).unwrap());
    match kind {
        KeyKind::Rsa => {
            static PAIR: OnceLock<[Arc<PrivateKey>; 2]> = OnceLock::new();
            static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
            let pair = PAIR.get_or_init(|| [make(), make()]);
            Arc::clone(&pair[NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2])
        }
        KeyKind::Ed25519 | KeyKind::EcdsaP256 => make(),
    }
}
