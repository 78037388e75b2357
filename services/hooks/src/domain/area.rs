//! Areas: whose business an event is, and which roles may read it. A hook carries the areas that its maker could read.

use beem_roles::{Role, RoleSet};

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Area {
    Users,
    Clients,
    Ledger,
    Conversion,
    Channels,
    Payments,
    Approvals,
}

impl Area {
    /// In the order of their stored bits, which never changes.
    pub const ALL: [Self; 7] = [
        Self::Users,
        Self::Clients,
        Self::Ledger,
        Self::Conversion,
        Self::Channels,
        Self::Payments,
        Self::Approvals,
    ];

    /// Of an event's type, by what its name begins with: a type that a newer producer brought is nobody's loss. None for
    /// what no area has, which nobody may read.
    #[must_use]
    pub fn of(event: &str) -> Option<Self> {
        let begins = |prefix: &str| event.starts_with(prefix);
        Some(match () {
            () if begins("layer1:identity:client:") => Self::Clients,
            () if begins("layer1:identity:") => Self::Users,
            () if begins("layer1:ledger:conversion:") => Self::Conversion,
            () if begins("layer1:ledger:") => Self::Ledger,
            () if begins("layer1:payment:channel:") => Self::Channels,
            () if begins("layer1:payment:") => Self::Payments,
            () if begins("layer1:approval:") => Self::Approvals,
            () => return None,
        })
    }

    /// Any one of these roles may read it: those that read the same things by RPC.
    #[must_use]
    pub const fn readers(self) -> &'static [Role] {
        match self {
            Self::Users => &[Role::UserViewer, Role::UserOperator],
            Self::Clients => &[Role::ClientViewer, Role::ClientOperator],
            Self::Ledger => &[Role::LedgerViewer, Role::LedgerOperator],
            Self::Conversion => &[Role::ConversionOperator],
            Self::Channels => &[Role::ChannelsViewer, Role::ChannelsOperator],
            Self::Payments => &[Role::PaymentViewer, Role::PaymentOperator],
            Self::Approvals => &[Role::PaymentApprover],
        }
    }

    /// As stored.
    #[must_use]
    pub const fn bit(self) -> i64 {
        match self {
            Self::Users => 1,
            Self::Clients => 2,
            Self::Ledger => 4,
            Self::Conversion => 8,
            Self::Channels => 16,
            Self::Payments => 32,
            Self::Approvals => 64,
        }
    }
}

/// A set of areas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Areas(i64);

impl Areas {
    /// What somebody with these roles may read.
    #[must_use]
    pub fn readable(roles: RoleSet) -> Self {
        let readable = |area: &Area| area.readers().iter().any(|role| roles.has(*role));
        Self(Area::ALL.iter().filter(|area| readable(area)).fold(0, |bits, area| bits | area.bit()))
    }

    /// From stored bits; those that name no area are dropped.
    #[must_use]
    pub fn from_bits(bits: i64) -> Self {
        Self(bits & Area::ALL.iter().fold(0, |all, area| all | area.bit()))
    }

    #[must_use]
    pub const fn bits(self) -> i64 {
        self.0
    }

    #[must_use]
    pub const fn has(self, area: Area) -> bool {
        self.0 & area.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_area_is_read_by_its_own_roles_and_a_narrower_name_wins() {
        assert_eq!(Areas::readable(RoleSet::EMPTY), Areas::default());
        assert!(Area::ALL.iter().all(|area| Areas::readable(RoleSet::ALL).has(*area)));
        let viewer = Areas::readable(RoleSet::EMPTY.with(Role::LedgerViewer));
        assert!(viewer.has(Area::Ledger) && !viewer.has(Area::Conversion));
        assert_eq!(Area::of("layer1:ledger:conversion:executed"), Some(Area::Conversion));
        assert_eq!(Area::of("layer1:ledger:hold:placed"), Some(Area::Ledger));
        assert_eq!(Area::of("layer1:payment:channel:transaction-held"), Some(Area::Channels));
        assert_eq!(Area::of("layer1:payment:checkout:status-change"), Some(Area::Payments));
        assert_eq!(Area::of("layer2:ledger:wallet:created"), None);
        assert_eq!(Areas::from_bits(-1), Areas::readable(RoleSet::ALL));
    }
}
