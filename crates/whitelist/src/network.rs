//! One entry of a list: an address, or a network in CIDR notation (RFC 4632, RFC 4291 section 2.3).

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `::ffff:0:0/96` holds the IPv4 addresses.
const MAPPED_PREFIX: u8 = 96;
/// The longest text of a network: an IPv6 address with an IPv4 tail and a prefix, and some.
const MAX_TEXT_BYTES: usize = 64;

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("it is not an IPv4 or IPv6 address")]
    NotAnAddress,
    #[error("the prefix length must be a number from 0 to {0}")]
    BadPrefix(u8),
    #[error("the address lies inside the network; its network address is {0}")]
    HostBits(String),
}

/// The address, an IPv4 one when it was mapped into IPv6.
#[must_use]
pub const fn normalised(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Reads `a.b.c.d`, `a.b.c.d/n` and the same in IPv6. Numbers with leading zeros, netmasks, zones and ports are refused:
/// programs disagree on what they mean.
pub fn parse(text: &str) -> Result<IpNetwork, NetworkError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(NetworkError::NotAnAddress);
    }
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
    let address: IpAddr = address.parse().map_err(|_| NetworkError::NotAnAddress)?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => longest,
        Some(digits) => number(digits).filter(|p| *p <= longest).ok_or(NetworkError::BadPrefix(longest))?,
    };
    let network = match address {
        IpAddr::V4(address) => v4(address, prefix),
        IpAddr::V6(address) => match (address.to_ipv4_mapped(), prefix.checked_sub(MAPPED_PREFIX)) {
            (Some(mapped), Some(prefix)) => v4(mapped, prefix),
            _ => Ipv6Network::new(address, prefix).ok().map(IpNetwork::V6),
        },
    };
    let network = network.ok_or(NetworkError::BadPrefix(longest))?;
    if network.ip() != network.network() {
        return Err(NetworkError::HostBits(format!("{}/{}", network.network(), network.prefix())));
    }
    Ok(network)
}

fn v4(address: Ipv4Addr, prefix: u8) -> Option<IpNetwork> {
    Ipv4Network::new(address, prefix).ok().map(IpNetwork::V4)
}

/// One to three digits without a leading zero.
fn number(digits: &str) -> Option<u8> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}

/// The canonical text: an address alone without its prefix, a network as CIDR.
pub fn text(network: &IpNetwork) -> String {
    let longest = if network.is_ipv4() { 32 } else { 128 };
    if network.prefix() == longest {
        network.network().to_string()
    } else {
        format!("{}/{}", network.network(), network.prefix())
    }
}

/// The IPv6 block that stands for IPv4; no normalised address lies in it.
pub const MAPPED_FIRST: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0);
/// Its last address.
pub const MAPPED_LAST: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xffff, 0xffff);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_canonical() {
        for (given, want) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7/32", "203.0.113.7"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8:0::/32", "2001:db8::/32"),
            ("::1/128", "::1"),
            ("::/0", "::/0"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:cb00:7107", "203.0.113.7"),
        ] {
            assert_eq!(parse(given).map(|n| text(&n)), Ok(want.to_owned()), "{given}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        use NetworkError::{BadPrefix, NotAnAddress};
        for (given, want) in [
            ("", NotAnAddress),
            ("localhost", NotAnAddress),
            ("10.0.0", NotAnAddress),
            ("10.0.0.01", NotAnAddress),
            ("10.0.0.256", NotAnAddress),
            (" 10.0.0.1", NotAnAddress),
            ("10.0.0.1:80", NotAnAddress),
            ("fe80::1%eth0", NotAnAddress),
            ("[::1]", NotAnAddress),
            ("10.0.0.0/33", BadPrefix(32)),
            ("10.0.0.0/255.0.0.0", BadPrefix(32)),
            ("10.0.0.0/08", BadPrefix(32)),
            ("10.0.0.0/+8", BadPrefix(32)),
            ("10.0.0.0/", BadPrefix(32)),
            ("10.0.0.0/8/8", BadPrefix(32)),
            ("::/129", BadPrefix(128)),
        ] {
            assert_eq!(parse(given), Err(want), "{given}");
        }
    }

    #[test]
    fn host_bits_are_refused_with_the_network_meant() {
        let meant = |text: &str| parse(text).unwrap_err().to_string();
        assert!(meant("10.1.2.3/8").ends_with("10.0.0.0/8"));
        assert!(meant("1.1.1.1/0").ends_with("0.0.0.0/0"));
        assert!(meant("2001:db8::1/32").ends_with("2001:db8::/32"));
        assert!(meant("::ffff:10.1.2.3/104").ends_with("10.0.0.0/8"));
    }
}
