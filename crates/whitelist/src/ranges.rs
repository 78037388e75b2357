//! Networks as sets of addresses: sorted ranges per family, so that "does this list allow anything that one does not"
//! has an exact answer.

use crate::network::{MAPPED_FIRST, MAPPED_LAST};
use ipnetwork::IpNetwork;
use std::net::IpAddr;

/// The addresses of one family from first to last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    family: Family,
    first: u128,
    last: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    V4,
    V6,
}

/// A set of addresses: ranges that neither overlap nor touch, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// The union of the networks.
    pub fn of(networks: impl IntoIterator<Item = IpNetwork>) -> Self {
        Self::merged(networks.into_iter().map(range).collect())
    }

    /// Every address of both families.
    pub fn everything() -> Self {
        let v4 = Range { family: Family::V4, first: 0, last: u128::from(u32::MAX) };
        Self(vec![v4, Range { family: Family::V6, first: 0, last: u128::MAX }])
    }

    /// Whether every address in here that can occur is in `other` too. The IPv6 block that stands for IPv4 cannot:
    /// addresses are normalised first.
    pub fn is_within(&self, other: &Self) -> bool {
        let mapped = Range { family: Family::V6, first: MAPPED_FIRST.to_bits(), last: MAPPED_LAST.to_bits() };
        let mut all = other.0.clone();
        all.push(mapped);
        let other = Self::merged(all);
        self.0.iter().all(|own| {
            other.0.iter().any(|o| o.family == own.family && o.first <= own.first && own.last <= o.last)
        })
    }

    fn merged(mut ranges: Vec<Range>) -> Self {
        ranges.sort_unstable();
        let mut out: Vec<Range> = Vec::with_capacity(ranges.len());
        for next in ranges {
            match out.last_mut() {
                Some(last) if last.family == next.family && next.first <= last.last.saturating_add(1) => {
                    last.last = last.last.max(next.last);
                }
                _ => out.push(next),
            }
        }
        Self(out)
    }
}

fn range(network: IpNetwork) -> Range {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    };
    let family = if network.is_ipv4() { Family::V4 } else { Family::V6 };
    Range { family, first: bits(network.network()), last: bits(network.broadcast()) }
}
