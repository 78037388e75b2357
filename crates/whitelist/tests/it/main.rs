//! Properties of the CIDR rules, against a plain bit-by-bit reading of the same texts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy sees tests in test functions only, not in what they share"
)]

use beem_whitelist::{TrustedProxies, Whitelist};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network by its bits; few addresses, so that lists overlap and touch.
#[derive(Clone, Debug)]
struct Network {
    v4: bool,
    bits: u128,
    prefix: u32,
}

impl Network {
    const fn width(&self) -> u32 {
        if self.v4 { 32 } else { 128 }
    }

    fn mask(&self) -> u128 {
        let all = u128::MAX >> (128 - self.width());
        all & !(all.checked_shr(self.prefix).unwrap_or(0))
    }

    fn address(&self, bits: u128) -> IpAddr {
        if self.v4 {
            Ipv4Addr::from(u32::try_from(bits).unwrap()).into()
        } else {
            Ipv6Addr::from(bits).into()
        }
    }

    fn text(&self) -> String {
        format!("{}/{}", self.address(self.bits & self.mask()), self.prefix)
    }

    fn holds(&self, v4: bool, bits: u128) -> bool {
        (self.v4 && self.prefix == 0) || (self.v4 == v4 && bits & self.mask() == self.bits & self.mask())
    }

    /// Addresses at and just beyond both ends.
    fn edges(&self) -> Vec<(bool, u128)> {
        let (first, all) = (self.bits & self.mask(), u128::MAX >> (128 - self.width()));
        let last = first | (all & !self.mask());
        [first, last, first.saturating_sub(1), last.saturating_add(1).min(all)]
            .map(|bits| (self.v4, bits))
            .into()
    }
}

fn network() -> impl Strategy<Value = Network> {
    let v4 = (0_u32..8, 0_u32..=32).prop_map(|(n, prefix)| (true, u128::from(n << 29 | n), prefix));
    let v6 = (1_u128..8, prop_oneof![Just(0), 1_u32..=4, 120_u32..=128])
        .prop_map(|(n, prefix)| (false, n << 125 | n, prefix));
    prop_oneof![v4, v6].prop_map(|(v4, bits, prefix)| Network { v4, bits, prefix })
}

fn parsed(networks: &[Network]) -> Whitelist {
    Whitelist::parse(&networks.iter().map(Network::text).collect::<Vec<_>>()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic(text in "[0-9a-f:./%\\[\\] ]{0,50}") {
        if let Ok(list) = Whitelist::parse(&[&text]) {
            prop_assert_eq!(&Whitelist::parse(&list.texts()).unwrap(), &list);
            prop_assert_eq!(list.texts(), Whitelist::parse(&list.texts()).unwrap().texts());
        }
        let _ = TrustedProxies::parse(&[&text]);
        let trusted = TrustedProxies::parse(&["0.0.0.0/0", "::/0"]).unwrap();
        let _ = trusted.client_address(Ipv4Addr::LOCALHOST.into(), &[&text]);
    }

    #[test]
    fn allowed_is_what_the_bits_say(networks in prop::collection::vec(network(), 1..6), other in network()) {
        let list = parsed(&networks);
        for (v4, bits) in networks.iter().chain([&other]).flat_map(Network::edges) {
            let want = networks.iter().any(|n| n.holds(v4, bits));
            let address = Network { v4, bits, prefix: 0 }.address(bits);
            prop_assert_eq!(list.allows(address), want, "{} {:?}", address, list);
            if let IpAddr::V4(address) = address {
                prop_assert_eq!(list.allows(address.to_ipv6_mapped().into()), want);
            }
        }
    }

    #[test]
    fn wider_is_an_address_more(
        a in prop::collection::vec(network(), 1..5), b in prop::collection::vec(network(), 1..5),
    ) {
        let (mine, other) = (parsed(&a), parsed(&b));
        // Where two unions of ranges differ, they differ at an edge of one of them; the rest covers `0.0.0.0/0`.
        let ends = [(true, 0), (true, u128::from(u32::MAX)), (false, 0), (false, u128::MAX)];
        let more = a.iter().chain(&b).flat_map(Network::edges).chain(ends).any(|(v4, bits)| {
            a.iter().any(|n| n.holds(v4, bits)) && !b.iter().any(|n| n.holds(v4, bits))
        });
        prop_assert_eq!(mine.is_wider_than(&other), more, "{:?} {:?}", mine, other);
        prop_assert!(!mine.is_wider_than(&mine));
        prop_assert!(!mine.is_wider_than(&Whitelist::all()));
    }

    #[test]
    fn an_untrusted_peer_is_the_caller(peer in any::<u32>(), forwarded in prop::collection::vec("[0-9., :a-z]{0,20}", 0..4)) {
        let trusted = TrustedProxies::parse(&["10.0.0.0/8"]).unwrap();
        let peer = Ipv4Addr::from(peer);
        let lines: Vec<&str> = forwarded.iter().map(String::as_str).collect();
        let caller = trusted.client_address(peer.into(), &lines);
        prop_assert!(peer.octets()[0] == 10 || caller == IpAddr::V4(peer));
    }
}
