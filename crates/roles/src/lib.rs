//! The closed set of 15 roles and sets of them. Additive: no role implies another. What each one opens is declared at
//! the RPCs; what each one is for stands in the authz service's catalogue.

use std::fmt;

/// One role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    UserViewer,
    UserOperator,
    ClientViewer,
    ClientOperator,
    LedgerViewer,
    LedgerOperator,
    ConversionOperator,
    ChannelsViewer,
    ChannelsOperator,
    PaymentViewer,
    PaymentOperator,
    PaymentApprover,
    ApprovalSettingsOperator,
    HookViewer,
    HookOperator,
}

/// What stands before every role's short name on the wire.
pub const PREFIX: &str = "layer1:role:";

impl Role {
    /// Every role, in catalogue order: the order of bits and of answers.
    pub const ALL: [Self; 15] = [
        Self::UserViewer,
        Self::UserOperator,
        Self::ClientViewer,
        Self::ClientOperator,
        Self::LedgerViewer,
        Self::LedgerOperator,
        Self::ConversionOperator,
        Self::ChannelsViewer,
        Self::ChannelsOperator,
        Self::PaymentViewer,
        Self::PaymentOperator,
        Self::PaymentApprover,
        Self::ApprovalSettingsOperator,
        Self::HookViewer,
        Self::HookOperator,
    ];

    /// The short name: `ledger:operator`.
    #[must_use]
    pub const fn short(self) -> &'static str {
        match self {
            Self::UserViewer => "user:viewer",
            Self::UserOperator => "user:operator",
            Self::ClientViewer => "client:viewer",
            Self::ClientOperator => "client:operator",
            Self::LedgerViewer => "ledger:viewer",
            Self::LedgerOperator => "ledger:operator",
            Self::ConversionOperator => "conversion:operator",
            Self::ChannelsViewer => "channels:viewer",
            Self::ChannelsOperator => "channels:operator",
            Self::PaymentViewer => "payment:viewer",
            Self::PaymentOperator => "payment:operator",
            Self::PaymentApprover => "payment:approver",
            Self::ApprovalSettingsOperator => "approval-settings:operator",
            Self::HookViewer => "hook:viewer",
            Self::HookOperator => "hook:operator",
        }
    }

    /// The full name: `layer1:role:ledger:operator`.
    #[must_use]
    pub fn full(self) -> String {
        format!("{PREFIX}{}", self.short())
    }

    /// From a short or a full name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let short = text.strip_prefix(PREFIX).unwrap_or(text);
        Self::ALL.into_iter().find(|r| r.short() == short)
    }

    const fn bit(self) -> u32 {
        #[expect(clippy::as_conversions, reason = "the discriminants are 0 to 14")]
        let shift = self as u32;
        1 << shift
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.short())
    }
}

/// A set of roles; bit n is role n of [`Role::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RoleSet(u32);

impl RoleSet {
    pub const EMPTY: Self = Self(0);
    pub const ALL: Self = Self((1 << 15) - 1);

    /// From stored or sent bits; None when a bit names no role.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 { Some(Self(bits)) } else { None }
    }

    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | role.bit())
    }

    #[must_use]
    pub const fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether every role of `other` is in here.
    #[must_use]
    pub const fn holds(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether the sets share a role.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The roles in catalogue order.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |r| self.has(*r))
    }

    /// The full names in catalogue order, as answers carry them.
    #[must_use]
    pub fn full_names(self) -> Vec<String> {
        self.iter().map(Role::full).collect()
    }

    /// From short or full names; the position of the first that names no role otherwise. Doubles are fine.
    ///
    /// # Errors
    /// The index of the name that is unknown.
    pub fn parse<S: AsRef<str>>(names: &[S]) -> Result<Self, usize> {
        names
            .iter()
            .enumerate()
            .try_fold(Self::EMPTY, |set, (i, name)| Role::parse(name.as_ref()).map(|r| set.with(r)).ok_or(i))
    }
}

impl FromIterator<Role> for RoleSet {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::EMPTY, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.short()), Some(role));
            assert_eq!(Role::parse(&role.full()), Some(role));
        }
        assert_eq!(Role::parse("layer1:role:root"), None);
        assert_eq!(Role::parse(""), None);
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let set: RoleSet = [Role::HookOperator, Role::UserViewer].into_iter().collect();
        assert_eq!(set.len(), 2);
        assert_eq!(set.full_names(), ["layer1:role:user:viewer", "layer1:role:hook:operator"]);
        assert!(RoleSet::ALL.holds(set) && !set.holds(RoleSet::ALL));
        assert_eq!(RoleSet::from_bits(1 << 15), None);
        assert_eq!(RoleSet::parse(&["hook:viewer", "nope"]), Err(1));
    }
}
