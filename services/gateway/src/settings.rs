//! The gateway's settings: where it listens, what it calls itself, whom it trusts, how much it takes.

use crate::edge::EdgeSettings;
use serde::{Deserialize, Serialize};

/// `[gateway]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewaySettings {
    /// Address and port of the public listener.
    pub listen: String,
    /// The origins callers use (`https://api.example.com`), the first in links. Empty: `http://` and the listen address.
    pub public_origins: Vec<String>,
    /// Addresses and CIDRs of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    pub rates: RateSettings,
    pub signature: SignatureSettings,
    pub edge: EdgeSettings,
    pub audit: AuditSettings,
    /// How long one request may take in all, milliseconds.
    pub deadline_ms: u32,
    /// How many clients' parsed keys are kept, and how many sessions.
    pub credentials_kept: u32,
    /// A kept key or session is read again after this, seconds, even when no change was announced.
    pub credentials_kept_s: u32,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            public_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            rates: RateSettings::default(),
            signature: SignatureSettings::default(),
            edge: EdgeSettings::default(),
            audit: AuditSettings::default(),
            deadline_ms: 10_000,
            credentials_kept: 10_000,
            credentials_kept_s: 60,
        }
    }
}

/// Requests a second; twice as many may come at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateSettings {
    /// Of one IPv4 address or one IPv6 /64, before anything is verified.
    pub address_per_s: u32,
    /// Of one client after its signature was verified, and of one user, whatever their sessions.
    pub client_per_s: u32,
}

impl Default for RateSettings {
    fn default() -> Self {
        Self { address_per_s: 1_000, client_per_s: 500 }
    }
}

/// The time rules of signatures.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignatureSettings {
    /// How far in the past `created` may be, seconds.
    pub past_s: u32,
    /// How far in the future `created` may be, seconds.
    pub future_s: u32,
}

impl Default for SignatureSettings {
    fn default() -> Self {
        Self { past_s: 300, future_s: 60 }
    }
}

/// What is recorded in the audit trail beyond what must be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSettings {
    /// One in how many allowed reads is recorded; 0: none.
    pub read_sample: u32,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { read_sample: 100 }
    }
}
