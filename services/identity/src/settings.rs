//! What an operator may set about identity.

use crate::domain::SessionLife;
use beem_fault::{Code, Fault, FieldFault};
use serde::{Deserialize, Serialize};

/// Settings of the identity service; the defaults fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentitySettings {
    /// The base currency of a new account: three to five capital letters.
    pub base_currency: String,
    /// Seconds a change of a client or account waits for the one before it, 1 to 30.
    pub change_patience_s: u32,
    /// Seconds between two rounds of forgetting request keys past their 24 hours and events past retention, 1 to 3600.
    pub purge_interval_s: u32,
    /// Minutes after its last use at which a session ends, 2 to 1440: uses are noted once a minute.
    pub session_idle_min: u32,
    /// Hours after the sign-in at which a session ends whatever happens, 1 to 168.
    pub session_max_h: u32,
    /// Passwords hashed at once, each over 19 MiB and on a core of its own, 1 to 64.
    pub password_hashes_at_once: u32,
    /// Passwords that may wait for that, 0 to 10000; beyond them sign-ins are answered 503.
    pub password_hashes_waiting: u32,
    /// Days an event stays in the feed, 1 to 365.
    pub feed_retention_days: u32,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            base_currency: "USD".into(),
            change_patience_s: 5,
            purge_interval_s: 60,
            session_idle_min: 30,
            session_max_h: 12,
            password_hashes_at_once: 2,
            password_hashes_waiting: 64,
            feed_retention_days: 30,
        }
    }
}

impl IdentitySettings {
    /// How long sessions are good.
    #[must_use]
    pub(crate) fn session_life(&self) -> SessionLife {
        let minutes = |count: u32| i64::from(count).saturating_mul(60_000);
        SessionLife {
            longest_ms: minutes(self.session_max_h).saturating_mul(60),
            idle_ms: minutes(self.session_idle_min),
        }
    }

    /// Whether this can work at all.
    ///
    /// # Errors
    /// `validation-failed` naming each field that is wrong.
    pub fn validate(&self) -> Result<(), Fault> {
        let mut wrong = Vec::new();
        let mut check = |fits: bool, field: &str, detail: &str| {
            if !fits {
                let (field, detail) = (field.to_owned(), detail.to_owned());
                wrong.push(FieldFault { field, code: Code::ValidationFailed, detail });
            }
        };
        let currency = crate::domain::BaseCurrency::parse(&self.base_currency);
        check(currency.is_some(), "base_currency", "three to five capital letters");
        check((1..=30).contains(&self.change_patience_s), "change_patience_s", "1 to 30");
        check((1..=3600).contains(&self.purge_interval_s), "purge_interval_s", "1 to 3600");
        check((2..=1440).contains(&self.session_idle_min), "session_idle_min", "2 to 1440");
        check((1..=168).contains(&self.session_max_h), "session_max_h", "1 to 168");
        check((1..=64).contains(&self.password_hashes_at_once), "password_hashes_at_once", "1 to 64");
        check(self.password_hashes_waiting <= 10_000, "password_hashes_waiting", "0 to 10000");
        check((1..=365).contains(&self.feed_retention_days), "feed_retention_days", "1 to 365");
        if wrong.is_empty() { Ok(()) } else { Err(Fault::fields(wrong)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_and_every_wrong_field_is_named() {
        IdentitySettings::default().validate().unwrap();
        let wrong = IdentitySettings {
            base_currency: "usd".into(),
            change_patience_s: 0,
            purge_interval_s: 0,
            session_idle_min: 1,
            session_max_h: 200,
            password_hashes_at_once: 0,
            password_hashes_waiting: 20_000,
            feed_retention_days: 0,
        };
        assert_eq!(wrong.validate().unwrap_err().fields.len(), 8);
    }
}
