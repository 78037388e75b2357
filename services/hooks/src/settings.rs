//! What an operator may set about hooks.

use beem_fault::{Code, Fault, FieldFault, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Settings of hooks; the defaults fit production.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HooksSettings {
    /// Lets hooks use http and https to this machine, for development.
    pub allow_loopback: bool,
    /// Certificate authorities (PEM) that receivers may have besides the system's; empty: none.
    pub authorities_file: PathBuf,
    /// Hooks of one account, 1 to 1000.
    pub hooks_per_account: u32,
    /// Requests to one receiver under way at once, 1 to 64.
    pub at_once_per_hook: u32,
    /// Requests of this process under way at once, 1 to 10000.
    pub at_once: u32,
    /// Hooks this process sends to at once, 1 to 10000.
    pub hooks_at_once: u32,
    /// Seconds a receiver has to answer, 1 to 60.
    pub answer_within_s: u32,
    /// Days events, what was sent and its attempts are kept, 14 to 365: longer than a delivery can be under way.
    pub kept_days: u32,
    /// Tests and single replays of one hook a second, in one process, 1 to 1000.
    pub by_hand_per_s: u32,
    /// And so many at once, 1 to 600.
    pub by_hand_burst: u32,
    /// Public writes under way at once, 1 to 200.
    pub writes_at_once: u32,
    /// Seconds between two rounds of forgetting, 1 to 3600.
    pub purge_interval_s: u32,
}

impl Default for HooksSettings {
    fn default() -> Self {
        Self {
            allow_loopback: false,
            authorities_file: PathBuf::new(),
            hooks_per_account: 100,
            at_once_per_hook: 8,
            at_once: 512,
            hooks_at_once: 1000,
            answer_within_s: 15,
            kept_days: 30,
            by_hand_per_s: 1,
            by_hand_burst: 20,
            writes_at_once: 6,
            purge_interval_s: 60,
        }
    }
}

impl HooksSettings {
    /// `kept_days` in milliseconds.
    #[must_use]
    pub fn kept_ms(&self) -> i64 {
        i64::from(self.kept_days).saturating_mul(24 * 60 * 60 * 1000)
    }

    /// Whether this can work at all.
    ///
    /// # Errors
    /// `validation-failed` naming each field that is wrong.
    pub fn validate(&self) -> Result<()> {
        let bounds = [
            ("hooks_per_account", self.hooks_per_account, 1, 1000),
            ("at_once_per_hook", self.at_once_per_hook, 1, 64),
            ("at_once", self.at_once, 1, 10_000),
            ("hooks_at_once", self.hooks_at_once, 1, 10_000),
            ("answer_within_s", self.answer_within_s, 1, 60),
            ("kept_days", self.kept_days, 14, 365),
            ("by_hand_per_s", self.by_hand_per_s, 1, 1000),
            ("by_hand_burst", self.by_hand_burst, 1, 600),
            ("writes_at_once", self.writes_at_once, 1, 200),
            ("purge_interval_s", self.purge_interval_s, 1, 3600),
        ];
        let wrong: Vec<FieldFault> = bounds
            .into_iter()
            .filter(|(_, value, least, most)| !(least..=most).contains(&value))
            .map(|(field, _, least, most)| FieldFault {
                field: field.to_owned(),
                code: Code::ValidationFailed,
                detail: format!("{least} to {most}"),
            })
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(Fault::fields(wrong)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_and_every_wrong_field_is_named() {
        HooksSettings::default().validate().unwrap();
        let wrong = HooksSettings { at_once: 0, kept_days: 13, ..HooksSettings::default() };
        let fault = wrong.validate().unwrap_err();
        assert_eq!(
            fault.fields.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(),
            ["at_once", "kept_days"]
        );
    }
}
