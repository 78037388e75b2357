//! From where a caller may call: lists of addresses and CIDR networks over `ipnetwork`, and the walk through trusted
//! proxies that finds out which address calls.
//!
//! Invariant: every address is normalised before it is compared: an IPv4 address mapped into IPv6 (`::ffff:a.b.c.d`,
//! RFC 4291 section 2.5.5.2) is that IPv4 address, in lists and in requests alike.

mod network;
mod ranges;
mod trusted_proxies;
mod whitelist;

pub use network::{NetworkError, normalised};
pub use trusted_proxies::TrustedProxies;
pub use whitelist::{ALL_NETWORKS, MAX_NETWORKS, Whitelist, WhitelistError};
