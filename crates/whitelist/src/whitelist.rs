//! The network whitelist of a client or a user.

use crate::network::{self, NetworkError, normalised};
use crate::ranges::Ranges;
use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The default: every network, IPv6 too (2.2 of the public contract). In any list it means the same.
pub const ALL_NETWORKS: &str = "0.0.0.0/0";
/// The most entries of a list.
pub const MAX_NETWORKS: usize = 100;

/// Why a list is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhitelistError {
    /// Absent means the default; an empty list would allow nobody.
    #[error("the list is empty")]
    Empty,
    #[error("the list has more than {MAX_NETWORKS} entries")]
    TooMany,
    /// One entry, by its place in the list from 0.
    #[error("entry {index}: {reason}")]
    Entry { index: usize, reason: NetworkError },
}

impl WhitelistError {
    /// The place of the entry at fault, for a field path like `networkWhitelist[2]`.
    #[must_use]
    pub const fn index(&self) -> Option<usize> {
        match self {
            Self::Entry { index, .. } => Some(*index),
            Self::Empty | Self::TooMany => None,
        }
    }
}

/// Addresses and networks a caller may come from; never empty. As JSON it is the list of its texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Whitelist(Vec<IpNetwork>);

impl Whitelist {
    /// Every network.
    #[must_use]
    pub fn all() -> Self {
        Self(network::parse(ALL_NETWORKS).into_iter().collect())
    }

    /// Reads the entries in their order; an entry that says what an earlier one says is dropped.
    ///
    /// # Errors
    /// [`WhitelistError`].
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, WhitelistError> {
        if texts.is_empty() {
            return Err(WhitelistError::Empty);
        }
        if texts.len() > MAX_NETWORKS {
            return Err(WhitelistError::TooMany);
        }
        let mut networks = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let entry =
                network::parse(text.as_ref()).map_err(|reason| WhitelistError::Entry { index, reason })?;
            if !networks.contains(&entry) {
                networks.push(entry);
            }
        }
        Ok(Self(networks))
    }

    /// Whether a caller at that address may call.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = normalised(address);
        self.is_all() || self.0.iter().any(|network| network.contains(address))
    }

    /// Whether it allows any address that `other` does not.
    #[must_use]
    pub fn is_wider_than(&self, other: &Self) -> bool {
        !self.ranges().is_within(&other.ranges())
    }

    /// The entries in canonical form: addresses plain, networks as CIDR.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(network::text).collect()
    }

    fn is_all(&self) -> bool {
        self.0.iter().any(|network| network.is_ipv4() && network.prefix() == 0)
    }

    fn ranges(&self) -> Ranges {
        if self.is_all() { Ranges::everything() } else { Ranges::of(self.0.iter().copied()) }
    }
}

impl Default for Whitelist {
    fn default() -> Self {
        Self::all()
    }
}

impl TryFrom<Vec<String>> for Whitelist {
    type Error = WhitelistError;

    fn try_from(texts: Vec<String>) -> Result<Self, WhitelistError> {
        Self::parse(&texts)
    }
}

impl From<Whitelist> for Vec<String> {
    fn from(list: Whitelist) -> Self {
        list.texts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Whitelist {
        Whitelist::parse(texts).unwrap()
    }

    fn allows(texts: &[&str], address: &str) -> bool {
        list(texts).allows(address.parse().unwrap())
    }

    #[test]
    fn the_default_allows_everybody() {
        for address in ["127.0.0.1", "255.255.255.255", "::1", "2001:db8::7", "::ffff:10.0.0.1"] {
            assert!(Whitelist::all().allows(address.parse().unwrap()), "{address}");
            assert!(allows(&["10.0.0.0/8", "0.0.0.0/0"], address), "{address}");
        }
        assert_eq!(Whitelist::default().texts(), ["0.0.0.0/0"]);
    }

    #[test]
    fn only_what_is_listed_is_allowed() {
        let texts = ["10.0.0.0/8", "203.0.113.7", "2001:db8::/32"];
        for inside in ["10.0.0.0", "10.255.255.255", "203.0.113.7", "::ffff:10.1.1.1", "2001:db8:ffff::1"] {
            assert!(allows(&texts, inside), "{inside}");
        }
        for outside in
            ["9.255.255.255", "11.0.0.0", "203.0.113.8", "2001:db9::", "::10.1.1.1", "::ffff:11.0.0.0"]
        {
            assert!(!allows(&texts, outside), "{outside}");
        }
        assert!(!allows(&["::/0"], "10.0.0.1"), "all of IPv6 is not IPv4");
        assert!(!allows(&["::/0"], "::ffff:10.0.0.1"));
        assert!(allows(&["::ffff:10.0.0.0/104"], "10.9.9.9"));
    }

    #[test]
    fn a_list_is_bounded_and_says_where_it_is_wrong() {
        assert_eq!(Whitelist::parse::<&str>(&[]), Err(WhitelistError::Empty));
        let many: Vec<String> = (0..=MAX_NETWORKS).map(|i| format!("10.0.0.{i}")).collect();
        assert_eq!(Whitelist::parse(&many), Err(WhitelistError::TooMany));
        assert_eq!(Whitelist::parse(&many[..MAX_NETWORKS]).unwrap().texts().len(), MAX_NETWORKS);
        let wrong = Whitelist::parse(&["10.0.0.0/8", "10.0.0.1/8"]).unwrap_err();
        assert_eq!(wrong.index(), Some(1));
        assert_eq!(
            wrong.to_string(),
            "entry 1: the address lies inside the network; its network address is 10.0.0.0/8"
        );
        assert_eq!(list(&["10.0.0.1/32", "::ffff:10.0.0.1", "10.0.0.1"]).texts(), ["10.0.0.1"]);
    }

    #[test]
    fn wider_is_judged_by_the_addresses() {
        let wider = |a: &[&str], b: &[&str]| list(a).is_wider_than(&list(b));
        assert!(wider(&["10.0.0.0/8"], &["10.0.0.0/9"]));
        assert!(!wider(&["10.0.0.0/9"], &["10.0.0.0/8"]));
        assert!(!wider(&["10.0.0.0/8"], &["10.0.0.0/9", "10.128.0.0/9"]), "two halves are the whole");
        assert!(wider(&["10.0.0.0/8"], &["10.0.0.0/9", "10.128.0.0/10"]));
        assert!(wider(&["10.0.0.0/8", "::1"], &["10.0.0.0/8"]));
        assert!(wider(&["0.0.0.0/0"], &["0.0.0.0/1", "128.0.0.0/1"]), "the whole of IPv4 lacks IPv6");
        assert!(!wider(&["0.0.0.0/0"], &["0.0.0.0/1", "128.0.0.0/1", "::/0", "0.0.0.0/0"]));
        assert!(!wider(&["::/0"], &["0.0.0.0/0"]));
        assert!(wider(&["0.0.0.0/0"], &["::/0"]));
        assert!(!wider(&["10.0.0.1"], &["10.0.0.1/32"]));
    }

    #[test]
    fn json_is_the_list_of_texts() {
        let listed = list(&["10.0.0.0/8", "::1"]);
        let json = serde_json::to_string(&listed).unwrap();
        assert_eq!(json, r#"["10.0.0.0/8","::1"]"#);
        assert_eq!(serde_json::from_str::<Whitelist>(&json).unwrap(), listed);
        assert!(serde_json::from_str::<Whitelist>("[]").is_err());
        assert!(serde_json::from_str::<Whitelist>(r#"["10.0.0.1/8"]"#).is_err());
    }
}
