//! A place on the network as guessing is slowed down by: one IPv4 address, or the /64 that one IPv6 customer has whole.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Printed as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(IpAddr);

impl Place {
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(match beem_whitelist::normalised(address) {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(address) => write!(f, "{address}/64"),
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
    }
}
