//! An account and its settings, and which roles each setting needs.

use super::{Email, Name};
use beem_clock::Moment;
use beem_fault::{Code, Fault};
use beem_ids::AccountId;
use beem_roles::{Role, RoleSet};
use serde_json::json;

/// One account. Everything in the installation belongs to exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub name: Name,
    /// In which approval ranges are compared.
    pub base_currency: BaseCurrency,
    pub grant_policy: GrantPolicy,
    pub fee_payer: FeePayer,
    pub owner_email: Email,
    pub created: Moment,
}

impl Account {
    /// The settings, as the audit trail shows them before and after.
    #[must_use]
    pub fn record(&self) -> serde_json::Value {
        json!({
            "name": self.name.as_str(),
            "baseCurrency": self.base_currency.as_str(),
            "roleGrantPolicy": self.grant_policy.as_str(),
            "networkFeePayer": self.fee_payer.as_str(),
        })
    }
}

/// A currency's code: three to five capital letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseCurrency(String);

impl BaseCurrency {
    /// None when it has another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (3..=5).contains(&text.len()) && text.chars().all(|c| c.is_ascii_uppercase());
        fits.then(|| Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who may hand out a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantPolicy {
    /// Only those who hold it.
    Held,
    /// Any operator.
    Any,
}

impl GrantPolicy {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Any => "any",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Held, Self::Any].into_iter().find(|p| p.as_str() == text)
    }
}

/// Who pays the fees of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeePayer {
    Merchant,
    Recipient,
}

impl FeePayer {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Merchant => "MERCHANT",
            Self::Recipient => "RECIPIENT",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Merchant, Self::Recipient].into_iter().find(|p| p.as_str() == text)
    }
}

/// The settings a PATCH names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountPatch {
    pub name: Option<Name>,
    pub base_currency: Option<BaseCurrency>,
    pub grant_policy: Option<GrantPolicy>,
    pub fee_payer: Option<FeePayer>,
}

impl AccountPatch {
    /// The account as it is afterwards.
    #[must_use]
    pub fn applied_to(&self, account: &Account) -> Account {
        let mut after = account.clone();
        if let Some(name) = &self.name {
            after.name = name.clone();
        }
        if let Some(currency) = &self.base_currency {
            after.base_currency = currency.clone();
        }
        after.grant_policy = self.grant_policy.unwrap_or(after.grant_policy);
        after.fee_payer = self.fee_payer.unwrap_or(after.fee_payer);
        after
    }
}

/// Whether these roles suffice to change the settings named (proto names), before their values are looked at.
///
/// # Errors
/// `role-missing` naming every role that lacks.
pub fn require_roles<'a>(held: RoleSet, settings: impl IntoIterator<Item = &'a str>) -> Result<(), Fault> {
    let needed = settings.into_iter().fold(RoleSet::EMPTY, |needed, setting| match setting {
        "name" => needed.with(Role::UserOperator),
        "base_currency" | "network_fee_payer" => needed.with(Role::ApprovalSettingsOperator),
        "role_grant_policy" => RoleSet::ALL,
        _ => needed,
    });
    let missing = needed.minus(held);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.full_names().join(", ");
    Err(Fault::new(Code::RoleMissing, format!("these settings need roles that are missing: {names}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_needs_its_own_roles() {
        let user = RoleSet::EMPTY.with(Role::UserOperator);
        let approvals = RoleSet::EMPTY.with(Role::ApprovalSettingsOperator);
        require_roles(RoleSet::EMPTY, []).unwrap();
        require_roles(user, ["name"]).unwrap();
        require_roles(approvals, ["base_currency", "network_fee_payer"]).unwrap();
        require_roles(RoleSet::ALL, ["role_grant_policy", "name"]).unwrap();
        let fault = require_roles(user, ["name", "base_currency"]).unwrap_err();
        assert_eq!(fault.code, Code::RoleMissing);
        assert!(fault.detail.ends_with("missing: layer1:role:approval-settings:operator"), "{fault}");
        let fault = require_roles(RoleSet::ALL.minus(user), ["role_grant_policy"]).unwrap_err();
        assert!(fault.detail.ends_with("missing: layer1:role:user:operator"), "{fault}");
    }

    #[test]
    fn currencies_are_three_to_five_capitals() {
        for fine in ["USD", "USDT", "USDCE"] {
            assert_eq!(BaseCurrency::parse(fine).unwrap().as_str(), fine);
        }
        for wrong in ["", "US", "usd", "USDOLL", "U1D", "ÜSD"] {
            assert_eq!(BaseCurrency::parse(wrong), None, "{wrong}");
        }
    }
}
