//! What an operator says about authz.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_fault::{Fault, Result};
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

/// See the fields; the defaults are right for every installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthzSettings {
    /// Seconds for which a gateway may use an entry of the cache, 1 to 10: how long a revocation takes at most when authz
    /// cannot reach the cache.
    pub entry_life_s: u8,
    /// Seconds between two signed heads of a chain of audit rows that grows, 1 to 86,400: what is younger than the newest
    /// head can be cut off unseen by whoever writes to the database.
    pub audit_head_interval_s: u32,
    /// Public keys that standings were signed with before the one of now, base64: heads they signed are still believed.
    pub audit_former_keys: Vec<String>,
    /// Days for which refusals of callers nobody knows stay counted, 1 to 3,650.
    pub refusals_kept_days: u16,
}

impl Default for AuthzSettings {
    fn default() -> Self {
        Self {
            entry_life_s: 10,
            audit_head_interval_s: 3600,
            audit_former_keys: Vec::new(),
            refusals_kept_days: 30,
        }
    }
}

impl AuthzSettings {
    /// Whether this can work at all.
    ///
    /// # Errors
    /// `validation-failed` naming the field.
    pub fn validate(&self) -> Result<()> {
        if !(1..=10).contains(&self.entry_life_s) {
            return Err(Fault::field("entry_life_s", "1 to 10"));
        }
        if !(1..=86_400).contains(&self.audit_head_interval_s) {
            return Err(Fault::field("audit_head_interval_s", "1 to 86400"));
        }
        if !(1..=3650).contains(&self.refusals_kept_days) {
            return Err(Fault::field("refusals_kept_days", "1 to 3650"));
        }
        self.former_keys().map(drop)
    }

    /// The keys of `audit_former_keys`.
    ///
    /// # Errors
    /// `validation-failed` for one that is none.
    pub fn former_keys(&self) -> Result<Vec<VerifyingKey>> {
        let wrong = || Fault::field("audit_former_keys", "Ed25519 public keys, 32 bytes in base64 each");
        let keys = self.audit_former_keys.iter().map(|text| {
            let bytes = STANDARD.decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            VerifyingKey::from_bytes(&bytes.ok_or_else(wrong)?).map_err(|_| wrong())
        });
        keys.collect()
    }
}
