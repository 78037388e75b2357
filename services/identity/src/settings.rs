//! What an operator may set about identity.

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
    /// Days an event stays in the feed, 1 to 365.
    pub feed_retention_days: u32,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            base_currency: "USD".into(),
            change_patience_s: 5,
            purge_interval_s: 60,
            feed_retention_days: 30,
        }
    }
}

impl IdentitySettings {
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
            feed_retention_days: 0,
        };
        assert_eq!(wrong.validate().unwrap_err().fields.len(), 4);
    }
}
