//! How many connections are open, in all and per address. An IPv6 peer counts by its /64: one customer of a provider
//! has at least that many addresses, and could otherwise open as many connections as they like.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What one limit is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Neighbourhood {
    V4(Ipv4Addr),
    /// The first 64 bits.
    V6(u128),
}

impl From<IpAddr> for Neighbourhood {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4),
            IpAddr::V6(v6) => Self::V6(v6.to_bits() >> 64),
        }
    }
}

/// Counts open connections against two limits.
#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    most_per_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<Neighbourhood, usize>,
}

impl Crowd {
    pub(super) fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self { most, most_per_address, counts: Mutex::default() })
    }

    /// A place for a connection from there, or `None` when a limit is reached. The place is given back on drop.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let from = Neighbourhood::from(address);
        let mut counts = self.counts();
        let there = counts.by_address.get(&from).copied().unwrap_or(0);
        if counts.all >= self.most || there >= self.most_per_address {
            return None;
        }
        counts.all += 1;
        counts.by_address.insert(from, there + 1);
        drop(counts);
        Some(Place { crowd: Arc::clone(self), from })
    }

    /// Connections open now.
    pub(super) fn open(&self) -> usize {
        self.counts().all
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    from: Neighbourhood,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        counts.all = counts.all.saturating_sub(1);
        if let Some(there) = counts.by_address.get_mut(&self.from) {
            *there = there.saturating_sub(1);
            if *there == 0 {
                counts.by_address.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_is_given_back_and_nothing_is_kept_of_it() {
        let crowd = Crowd::new(10, 1);
        let place = crowd.enter(at("10.0.0.1"));
        assert!(place.is_some());
        assert!(crowd.enter(at("10.0.0.1")).is_none());
        assert!(crowd.enter(at("10.0.0.2")).is_some());
        drop(place);
        assert!(crowd.enter(at("10.0.0.1")).is_some());
        assert_eq!(crowd.open(), 0);
        assert!(crowd.counts().by_address.is_empty());
    }

    #[test]
    fn a_slash_64_is_one_address_and_a_mapped_one_is_ipv4() {
        let crowd = Crowd::new(10, 1);
        let _a = crowd.enter(at("2001:db8:0:1::1")).unwrap();
        assert!(crowd.enter(at("2001:db8:0:1:ffff::2")).is_none());
        assert!(crowd.enter(at("2001:db8:0:2::1")).is_some());
        let _b = crowd.enter(at("::ffff:10.0.0.1")).unwrap();
        assert!(crowd.enter(at("10.0.0.1")).is_none());
    }

    #[test]
    fn the_limit_for_all_holds_across_addresses() {
        let crowd = Crowd::new(2, 2);
        let _a = crowd.enter(at("10.0.0.1")).unwrap();
        let _b = crowd.enter(at("10.0.0.2")).unwrap();
        assert!(crowd.enter(at("10.0.0.3")).is_none());
    }
}
