//! Which addresses may be called: those that are globally reachable by the special-purpose registries of IANA
//! (RFC 6890 and what has been added since), less the metadata services that clouds run at public ones.

use super::Policy;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const RESERVED: &str = "a reserved network";
const PRIVATE: &str = "a private network";
const LOOPBACK: &str = "a loopback network";
const LINK_LOCAL: &str = "a link-local network";
const SHARED: &str = "a carrier's shared network";
const DOCUMENTATION: &str = "a network for documentation";
const BENCHMARKS: &str = "a network for benchmarks";
const MULTICAST: &str = "a multicast network";
const METADATA: &str = "a cloud's metadata service";
const TRANSITION: &str = "a network that carries IPv4 inside IPv6";

/// Network, length of its prefix, what it is. No network lies inside another.
const REFUSED_V4: [(Ipv4Addr, u32, &str); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, RESERVED),
    (Ipv4Addr::new(10, 0, 0, 0), 8, PRIVATE),
    // Has Alibaba's metadata service, 100.100.100.200.
    (Ipv4Addr::new(100, 64, 0, 0), 10, SHARED),
    (Ipv4Addr::new(127, 0, 0, 0), 8, LOOPBACK),
    // Azure's, at a public address.
    (Ipv4Addr::new(168, 63, 129, 16), 32, METADATA),
    // Has the metadata service of most clouds, 169.254.169.254.
    (Ipv4Addr::new(169, 254, 0, 0), 16, LINK_LOCAL),
    (Ipv4Addr::new(172, 16, 0, 0), 12, PRIVATE),
    // Has Oracle's metadata service, 192.0.0.192.
    (Ipv4Addr::new(192, 0, 0, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 0, 2, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(192, 88, 99, 0), 24, TRANSITION),
    (Ipv4Addr::new(192, 168, 0, 0), 16, PRIVATE),
    (Ipv4Addr::new(198, 18, 0, 0), 15, BENCHMARKS),
    (Ipv4Addr::new(198, 51, 100, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(203, 0, 113, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(224, 0, 0, 0), 4, MULTICAST),
    // Ends with the broadcast address.
    (Ipv4Addr::new(240, 0, 0, 0), 4, RESERVED),
];

/// What is refused of [`GLOBAL_UNICAST`].
const REFUSED_V6: [(Ipv6Addr, u32, &str); 4] = [
    // Teredo, ORCHID, benchmarks and more: protocol assignments (RFC 2928).
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, RESERVED),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, DOCUMENTATION),
    // 6to4: the IPv4 address inside could be any.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, TRANSITION),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, DOCUMENTATION),
];

/// Nothing outside is called (RFC 4291 section 2.4).
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// For the message only: all of it is outside [`GLOBAL_UNICAST`], and so refused whether named here or not.
const NAMED_V6: [(Ipv6Addr, u32, &str); 7] = [
    (Ipv6Addr::LOCALHOST, 128, LOOPBACK),
    // IPv4-mapped, and NAT64 (RFC 6052, RFC 8215): the IPv4 address inside could be any.
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, TRANSITION),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 32, TRANSITION),
    // Unique local (RFC 4193), which has AWS's metadata service, fd00:ec2::254; and site-local, which it replaced.
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, PRIVATE),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, PRIVATE),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, LINK_LOCAL),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, MULTICAST),
];

/// Whether an address may be called.
///
/// # Errors
/// What network it is in, as in "the address is in …".
pub fn judge(address: IpAddr, policy: Policy) -> Result<(), &'static str> {
    match refused(address) {
        Some(LOOPBACK) if policy.allow_loopback => Ok(()),
        Some(network) => Err(network),
        None => Ok(()),
    }
}

/// Whether it is this machine itself.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    refused(address) == Some(LOOPBACK)
}

fn refused(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => {
            let holds = |network: Ipv4Addr, length: u32| {
                (u32::from(address) ^ u32::from(network)).leading_zeros() >= length
            };
            REFUSED_V4.iter().find(|(network, length, _)| holds(*network, *length)).map(|(_, _, name)| *name)
        }
        IpAddr::V6(address) => {
            let holds = |network: Ipv6Addr, length: u32| {
                (u128::from(address) ^ u128::from(network)).leading_zeros() >= length
            };
            let named = |table: &'static [(Ipv6Addr, u32, &'static str)]| {
                table.iter().find(|(network, length, _)| holds(*network, *length)).map(|(_, _, name)| *name)
            };
            if holds(GLOBAL_UNICAST.0, GLOBAL_UNICAST.1) {
                named(&REFUSED_V6)
            } else {
                Some(named(&NAMED_V6).unwrap_or(RESERVED))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: Policy = Policy { allow_loopback: false };
    const DEVELOPMENT: Policy = Policy { allow_loopback: true };

    /// First, one inside and last of every range that is refused, and what is allowed right before and right after it.
    const V4: [(&str, [&str; 3], [&str; 2]); 16] = [
        (RESERVED, ["0.0.0.0", "0.1.2.3", "0.255.255.255"], ["", "1.0.0.0"]),
        (PRIVATE, ["10.0.0.0", "10.1.2.3", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]),
        (SHARED, ["100.64.0.0", "100.100.100.200", "100.127.255.255"], ["100.63.255.255", "100.128.0.0"]),
        (LOOPBACK, ["127.0.0.0", "127.0.0.1", "127.255.255.255"], ["126.255.255.255", "128.0.0.0"]),
        (METADATA, ["168.63.129.16", "168.63.129.16", "168.63.129.16"], ["168.63.129.15", "168.63.129.17"]),
        (
            LINK_LOCAL,
            ["169.254.0.0", "169.254.169.254", "169.254.255.255"],
            ["169.253.255.255", "169.255.0.0"],
        ),
        (PRIVATE, ["172.16.0.0", "172.20.10.1", "172.31.255.255"], ["172.15.255.255", "172.32.0.0"]),
        (RESERVED, ["192.0.0.0", "192.0.0.192", "192.0.0.255"], ["191.255.255.255", "192.0.1.0"]),
        (DOCUMENTATION, ["192.0.2.0", "192.0.2.7", "192.0.2.255"], ["192.0.1.255", "192.0.3.0"]),
        (TRANSITION, ["192.88.99.0", "192.88.99.1", "192.88.99.255"], ["192.88.98.255", "192.88.100.0"]),
        (PRIVATE, ["192.168.0.0", "192.168.1.1", "192.168.255.255"], ["192.167.255.255", "192.169.0.0"]),
        (BENCHMARKS, ["198.18.0.0", "198.19.0.0", "198.19.255.255"], ["198.17.255.255", "198.20.0.0"]),
        (
            DOCUMENTATION,
            ["198.51.100.0", "198.51.100.7", "198.51.100.255"],
            ["198.51.99.255", "198.51.101.0"],
        ),
        (DOCUMENTATION, ["203.0.113.0", "203.0.113.7", "203.0.113.255"], ["203.0.112.255", "203.0.114.0"]),
        (MULTICAST, ["224.0.0.0", "239.1.1.1", "239.255.255.255"], ["223.255.255.255", ""]),
        (RESERVED, ["240.0.0.0", "250.1.1.1", "255.255.255.255"], ["", ""]),
    ];

    const V6: [(&str, [&str; 3], [&str; 2]); 4] = [
        (
            RESERVED,
            ["2001::", "2001:0:4136:e378::1", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"],
        ),
        (
            DOCUMENTATION,
            ["2001:db8::", "2001:db8:1::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"],
        ),
        (
            TRANSITION,
            ["2002::", "2002:7f00:1::1", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"],
        ),
        (
            DOCUMENTATION,
            ["3fff::", "3fff:1::1", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"],
        ),
    ];

    /// Outside of global unicast: all refused, whatever they are called.
    const V6_OUTSIDE: [(&str, &[&str]); 7] = [
        (LOOPBACK, &["::1"]),
        (
            TRANSITION,
            &[
                "::ffff:0.0.0.0",
                "::ffff:127.0.0.1",
                "::ffff:10.0.0.1",
                "::ffff:93.184.216.34",
                "::ffff:255.255.255.255",
                "64:ff9b::",
                "64:ff9b::7f00:1",
                "64:ff9b:1::a00:1",
            ],
        ),
        (
            PRIVATE,
            &["fc00::", "fd00:ec2::254", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fec0::1", "feff::1"],
        ),
        (LINK_LOCAL, &["fe80::", "fe80::1", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]),
        (MULTICAST, &["ff00::", "ff02::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]),
        (RESERVED, &["::", "::2", "::127.0.0.1", "::fffe:7f00:1", "100::1", "100:0:0:1::1", "5f00::1"]),
        (RESERVED, &["1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "fe00::1", "fbff::1"]),
    ];

    const ALLOWED: [&str; 9] = [
        "1.1.1.1",
        "8.8.8.8",
        "93.184.216.34",
        "192.31.196.1",
        "2000::",
        "2606:4700:4700::1111",
        "2620:4f:8000::1",
        "2a00:1450:4001:81b::200e",
        "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ];

    fn judged(text: &str, policy: Policy) -> Result<(), &'static str> {
        judge(text.parse().unwrap(), policy)
    }

    #[test]
    fn row_26_every_class_of_addresses_that_is_not_public_is_refused_up_to_its_edges() {
        for (name, inside, outside) in V4.into_iter().chain(V6) {
            for address in inside {
                assert_eq!(judged(address, PUBLIC), Err(name), "{address}");
            }
            for address in outside.into_iter().filter(|address| !address.is_empty()) {
                assert_eq!(judged(address, PUBLIC), Ok(()), "{address}");
            }
        }
        for (name, addresses) in V6_OUTSIDE {
            for address in addresses {
                assert_eq!(judged(address, PUBLIC), Err(name), "{address}");
            }
        }
        assert!(ALLOWED.iter().all(|address| judged(address, PUBLIC) == Ok(())));
    }

    #[test]
    fn development_adds_this_machine_and_nothing_else() {
        let refused =
            V4.iter().chain(&V6).flat_map(|(name, inside, _)| inside.map(|address| (*name, address)));
        let outside = V6_OUTSIDE.iter().flat_map(|(name, all)| all.iter().map(|address| (*name, *address)));
        for (name, address) in refused.chain(outside) {
            let want = if name == LOOPBACK { Ok(()) } else { Err(name) };
            assert_eq!(judged(address, DEVELOPMENT), want, "{address}");
        }
        assert!(is_loopback("127.1.2.3".parse().unwrap()) && is_loopback("::1".parse().unwrap()));
        assert!(
            !is_loopback("::ffff:127.0.0.1".parse().unwrap()) && !is_loopback("8.8.8.8".parse().unwrap())
        );
    }
}
