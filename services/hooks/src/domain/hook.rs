//! A hook: where events go, which ones, and whether.

use super::{Area, Areas, CATALOGUE, EventType, TEST_EVENT};
use beem_clock::Moment;
use beem_fault::{Code, Fault, FieldFault, Result};
use beem_ids::{AccountId, HookId, PrincipalId};
use beem_roles::RoleSet;

/// Characters of a URL at most.
pub const LONGEST_URL: usize = 2_048;

/// Codes of one hook at most.
pub const MOST_EVENT_CODES: usize = 50;

/// All types of the areas that the maker may read.
const ALL: &str = "*";

/// Which events a hook asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventCodes {
    codes: Vec<String>,
    /// What its maker could read when the codes were set.
    areas: Areas,
}

/// Why a hook is not enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisabledReason {
    /// Somebody disabled it.
    Operator,
    /// The receiver answered 410.
    Gone,
    /// Nothing but failures for five days.
    Failing,
}

/// A destination of an account's events.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    pub id: HookId,
    pub account: AccountId,
    /// Normalised.
    pub url: String,
    pub codes: EventCodes,
    /// None while it is enabled.
    pub disabled: Option<DisabledReason>,
    pub created_by: PrincipalId,
    pub created: Moment,
    pub updated: Moment,
}

/// What CreateHook asks for, well formed.
#[derive(Clone, Debug, PartialEq)]
pub struct NewHook {
    pub url: String,
    pub codes: EventCodes,
    pub enabled: bool,
}

/// What UpdateHook asks for, well formed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HookPatch {
    pub url: Option<String>,
    pub codes: Option<EventCodes>,
    pub enabled: Option<bool>,
}

impl DisabledReason {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "OPERATOR",
            Self::Gone => "GONE",
            Self::Failing => "FAILING",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Operator, Self::Gone, Self::Failing].into_iter().find(|reason| reason.as_str() == text)
    }
}

impl EventCodes {
    /// What somebody with these roles asks for.
    ///
    /// # Errors
    /// `validation-failed` naming each code that is none; `role-missing` with the roles that would do, for a code of an area
    /// that may not be read.
    pub fn parse(codes: &[String], roles: RoleSet) -> Result<Self> {
        let wrong = |field: String, detail: &str| FieldFault {
            field,
            code: Code::ValidationFailed,
            detail: detail.to_owned(),
        };
        if codes.is_empty() || codes.len() > MOST_EVENT_CODES {
            return Err(Fault::field("eventCodes", format!("1 to {MOST_EVENT_CODES} types, or [\"*\"]")));
        }
        let mut faults = Vec::new();
        for (n, code) in codes.iter().enumerate() {
            let detail = match () {
                () if code == ALL && codes.len() == 1 => continue,
                () if code == ALL => "\"*\" stands alone",
                () if EventType::find(code).is_none() => "not an event type: see /platform/v1/hook-events",
                () if codes.iter().take(n).any(|earlier| earlier == code) => "is there already",
                () => continue,
            };
            faults.push(wrong(format!("eventCodes[{n}]"), detail));
        }
        if !faults.is_empty() {
            return Err(Fault::fields(faults));
        }
        let parsed = Self { codes: codes.to_vec(), areas: Areas::readable(roles) };
        parsed.readable_by(roles)?;
        Ok(parsed)
    }

    /// Whether somebody with these roles may read everything that it asks for.
    ///
    /// # Errors
    /// `role-missing` with the roles that would do, for the first code that asks for more.
    pub fn readable_by(&self, roles: RoleSet) -> Result<()> {
        let readable = Areas::readable(roles);
        let beyond = self.codes.iter().find_map(|code| {
            let area = match EventType::find(code) {
                Some(ty) => Some(ty.area).filter(|area| !readable.has(*area)),
                None if code == ALL => {
                    Area::ALL.into_iter().find(|area| self.areas.has(*area) && !readable.has(*area))
                }
                None => None,
            };
            area.map(|area| (code, area))
        });
        let Some((code, area)) = beyond else { return Ok(()) };
        let roles: Vec<String> = area.readers().iter().map(|role| role.full()).collect();
        Err(Fault::new(Code::RoleMissing, format!("{code} needs one of {}", roles.join(", "))))
    }

    /// As stored.
    #[must_use]
    pub const fn stored(codes: Vec<String>, areas: Areas) -> Self {
        Self { codes, areas }
    }

    #[must_use]
    pub fn codes(&self) -> &[String] {
        &self.codes
    }

    #[must_use]
    pub const fn areas(&self) -> Areas {
        self.areas
    }

    /// Whether it asks for events of this type.
    #[must_use]
    pub fn ask_for(&self, event: &str) -> bool {
        let named = self.codes.iter().any(|code| code == ALL || code == event);
        named && Area::of(event).is_some_and(|area| self.areas.has(area))
    }

    /// Whether an event of this type may be sent to the hook: one that it asks for, or its own test.
    #[must_use]
    pub fn allow(&self, event: &str) -> bool {
        event == TEST_EVENT || self.ask_for(event)
    }

    /// The types it asks for today.
    pub fn types(&self) -> impl Iterator<Item = &'static EventType> {
        CATALOGUE.iter().filter(|ty| self.ask_for(ty.event))
    }
}

/// What others are told of a URL: its query may be a secret of the receiver, and stays out.
#[must_use]
pub fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

impl Hook {
    /// With the changes made.
    #[must_use]
    pub fn patched(&self, patch: HookPatch, now: Moment) -> Self {
        let disabled = match patch.enabled {
            Some(true) => None,
            Some(false) => Some(self.disabled.unwrap_or(DisabledReason::Operator)),
            None => self.disabled,
        };
        Self {
            url: patch.url.unwrap_or_else(|| self.url.clone()),
            codes: patch.codes.unwrap_or_else(|| self.codes.clone()),
            disabled,
            updated: now,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_roles::Role;

    const WALLET: &str = "layer1:ledger:wallet:created";
    const EXECUTED: &str = "layer1:ledger:conversion:executed";

    fn parse(codes: &[&str], roles: RoleSet) -> Result<EventCodes> {
        EventCodes::parse(&codes.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>(), roles)
    }

    #[test]
    fn codes_are_known_ones_each_once_or_everything() {
        assert!(parse(&[WALLET, EXECUTED], RoleSet::ALL).unwrap().ask_for(EXECUTED));
        assert!(!parse(&[WALLET], RoleSet::ALL).unwrap().ask_for(EXECUTED));
        assert!(parse(&["*"], RoleSet::ALL).unwrap().ask_for("layer1:ledger:wallet:renamed"));
        assert!(!parse(&["*"], RoleSet::ALL).unwrap().ask_for("layer1:hook:test"));
        let fields = |codes: &[&str]| {
            let fault = parse(codes, RoleSet::ALL).unwrap_err();
            assert_eq!(fault.code, Code::ValidationFailed);
            fault.fields.into_iter().map(|field| field.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(&[]), ["eventCodes"]);
        assert_eq!(fields(&[""; 51]), ["eventCodes"]);
        assert_eq!(
            fields(&["*", WALLET, WALLET, "wallet"]),
            ["eventCodes[0]", "eventCodes[2]", "eventCodes[3]"]
        );
    }

    #[test]
    fn a_maker_names_only_what_it_may_read() {
        let roles = RoleSet::EMPTY.with(Role::HookOperator).with(Role::LedgerViewer);
        assert!(parse(&[WALLET], roles).is_ok());
        let refusal = parse(&[WALLET, EXECUTED], roles).unwrap_err();
        assert_eq!(refusal.code, Code::RoleMissing);
        assert!(refusal.detail.contains("layer1:role:conversion:operator"), "{}", refusal.detail);
        let all = parse(&["*"], roles).unwrap();
        assert!(all.ask_for(WALLET) && !all.ask_for(EXECUTED));
        assert_eq!(all.types().count(), 1);
    }

    #[test]
    fn whoever_takes_a_hook_over_may_read_what_it_asks_for() {
        let viewer = RoleSet::EMPTY.with(Role::LedgerViewer);
        let both = viewer.with(Role::ConversionOperator);
        let refused = |codes: EventCodes| codes.readable_by(viewer).unwrap_err().detail;
        assert!(refused(parse(&["*"], both).unwrap()).starts_with("* needs one of"));
        assert!(refused(parse(&[WALLET, EXECUTED], both).unwrap()).starts_with(EXECUTED));
        parse(&[WALLET], both).unwrap().readable_by(viewer).unwrap();
        parse(&["*"], viewer).unwrap().readable_by(both).unwrap();
        parse(&["*"], both).unwrap().readable_by(both).unwrap();
    }

    #[test]
    fn a_url_is_told_without_what_may_be_secret() {
        for (url, told) in [
            ("https://a.example/x?token=1", "https://a.example/x"),
            ("https://a.example/?", "https://a.example/"),
            ("https://a.example/x#y?z", "https://a.example/x"),
            ("https://a.example/x", "https://a.example/x"),
        ] {
            assert_eq!(without_query(url), told);
        }
    }
}
