//! A place on the network as guessing is slowed down by: one IPv4 address, or the /64 that one IPv6 customer has whole. Who
//! tries many names is counted by the /48: customers get as much, and so have 65,536 places.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Printed as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    first: IpAddr,
    /// Bits of an IPv6 address.
    prefix: u32,
}

impl Place {
    /// What a user is known at.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self::within(address, 64)
    }

    /// What one customer may have at most.
    #[must_use]
    pub fn site(address: IpAddr) -> Self {
        Self::within(address, 48)
    }

    fn within(address: IpAddr, prefix: u32) -> Self {
        let first = match beem_whitelist::normalised(address) {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => {
                let rest = u128::MAX.checked_shr(prefix).unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & !rest).into()
            }
        };
        Self { first, prefix }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(address) => write!(f, "{address}/{}", self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_a_customer_are_one_place() {
        let place = |text: &str| Place::of(text.parse().unwrap()).to_string();
        assert_eq!(place("203.0.113.9"), "203.0.113.9");
        assert_eq!(place("::ffff:203.0.113.9"), "203.0.113.9");
        assert_eq!(place("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        let site = |text: &str| Place::site(text.parse().unwrap()).to_string();
        assert_eq!(site("203.0.113.9"), "203.0.113.9");
        assert_eq!(site("2001:db8:1:2:3:4:5:6"), "2001:db8:1::/48");
        assert_ne!(site("2001:db8:1::1"), site("2001:db8:2::1"));
    }
}
