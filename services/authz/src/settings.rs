//! What an operator says about authz.

use beem_fault::{Fault, Result};
use serde::{Deserialize, Serialize};

/// See the fields; the defaults are right for every installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthzSettings {
    /// Seconds for which a gateway may use an entry of the cache, 1 to 10: how long a revocation takes at most when authz
    /// cannot reach the cache.
    pub entry_life_s: u8,
}

impl Default for AuthzSettings {
    fn default() -> Self {
        Self { entry_life_s: 10 }
    }
}

impl AuthzSettings {
    /// Whether this can work at all.
    ///
    /// # Errors
    /// `validation-failed` naming the field.
    pub fn validate(&self) -> Result<()> {
        if (1..=10).contains(&self.entry_life_s) {
            Ok(())
        } else {
            Err(Fault::field("entry_life_s", "1 to 10"))
        }
    }
}
