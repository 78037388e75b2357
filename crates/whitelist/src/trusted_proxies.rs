//! Which address calls, when proxies stand between. The socket's peer is the only thing known for sure; what it wrote
//! into `X-Forwarded-For` counts only if it is one of ours, and so on from right to left.

use crate::network::{self, normalised};
use crate::whitelist::{MAX_NETWORKS, WhitelistError};
use ipnetwork::IpNetwork;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Networks of proxies whose `X-Forwarded-For` is believed. Empty by default: nobody is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNetwork>);

impl TrustedProxies {
    /// Reads the entries of `gateway.trusted_proxies`; may be empty.
    ///
    /// # Errors
    /// [`WhitelistError::TooMany`] and [`WhitelistError::Entry`].
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, WhitelistError> {
        if texts.len() > MAX_NETWORKS {
            return Err(WhitelistError::TooMany);
        }
        let entry = |(index, text): (usize, &T)| {
            network::parse(text.as_ref()).map_err(|reason| WhitelistError::Entry { index, reason })
        };
        texts.iter().enumerate().map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// Whether that address is one of the proxies'.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = normalised(address);
        self.0.iter().any(|network| network.contains(address))
    }

    /// The caller's address: the first one from the right that is no trusted proxy, beginning with the peer. `forwarded`
    /// are the lines of `X-Forwarded-For` in their order. An entry that is no address ends the walk at the last
    /// trusted hop: what lies behind it is unknown, and the nearest known address is the one to judge. When every hop
    /// is trusted it is the farthest.
    #[must_use]
    pub fn client_address(&self, peer: IpAddr, forwarded: &[&str]) -> IpAddr {
        let mut nearest = normalised(peer);
        let mut hops = forwarded.iter().rev().flat_map(|line| line.rsplit(','));
        while self.contains(nearest) {
            let Some(hop) = hops.next().and_then(hop) else { break };
            nearest = hop;
        }
        nearest
    }
}

/// One entry: an address, with or without brackets and a port, which proxies write in all these ways.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let address = text.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    address.or_else(bracketed).map(normalised)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let trusted = TrustedProxies::parse(trusted).unwrap();
        trusted.client_address(peer.parse().unwrap(), forwarded).to_string()
    }

    #[test]
    fn nobody_is_believed_by_default() {
        assert_eq!(client(&[], "10.0.0.1", &["1.2.3.4"]), "10.0.0.1");
        assert_eq!(
            TrustedProxies::default().client_address([10, 0, 0, 1].into(), &["1.2.3.4"]).to_string(),
            "10.0.0.1"
        );
    }

    #[test]
    fn the_walk_goes_from_right_to_left() {
        let ours = ["10.0.0.0/8", "fd00::/8"];
        for (peer, forwarded, want) in [
            ("10.0.0.1", &[][..], "10.0.0.1"),
            ("192.0.2.1", &["1.2.3.4"], "192.0.2.1"),
            ("10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.9.9.9"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6", "1.2.3.4,10.9.9.9", " 10.8.8.8\t"], "1.2.3.4"),
            ("10.0.0.1", &["10.7.7.7, 10.8.8.8"], "10.7.7.7"),
            ("::ffff:10.0.0.1", &["::ffff:1.2.3.4"], "1.2.3.4"),
            ("fd00::1", &["1.2.3.4:5678"], "1.2.3.4"),
            ("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
        ] {
            assert_eq!(client(&ours, peer, forwarded), want, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_malformed_entry_ends_the_walk_where_it_stood() {
        let ours = ["10.0.0.0/8"];
        for bad in [
            "",
            "unknown",
            "_hidden",
            "1.2.3.4.5",
            "1.2.3.4:99999",
            "[::1",
            "::1]",
            "fe80::1%eth0",
            "\"1.2.3.4\"",
        ] {
            assert_eq!(client(&ours, "10.0.0.1", &[bad]), "10.0.0.1", "{bad}");
            let line = format!("1.2.3.4, {bad}, 10.9.9.9");
            assert_eq!(client(&ours, "10.0.0.1", &[&line]), "10.9.9.9", "{bad}");
        }
    }

    #[test]
    fn a_list_says_where_it_is_wrong() {
        assert_eq!(TrustedProxies::parse(&["10.0.0.0/8", "proxy"]).unwrap_err().index(), Some(1));
    }
}
