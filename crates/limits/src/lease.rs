//! Requests taken from a bucket in Redis before they come, so that a busy caller does not cost a round trip each time.
//!
//! What is leased is counted in Redis when it is taken, and what is left of it is spent later: nothing is lost, and nothing is
//! spent twice. So a limit holds but for what processes hold in advance: each may allow up to a [`PART`]th of the burst
//! more than the bucket would have at that moment. A burst below twice that is never leased, and exact.

use crate::gcra::{Rate, Verdict, judge};
use beem_clock::Moment;
use moka::sync::Cache;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A lease is at most this part of the burst.
const PART: u32 = 32;

/// And at most so many requests: beyond that, fewer round trips are not felt.
const MOST: u32 = 64;

/// The leases of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Leases {
    by_key: Cache<String, Arc<Mutex<Lease>>>,
}

#[derive(Debug, Default)]
struct Lease {
    left: i64,
    /// When the bucket is full again, by what this process knows (see gcra.rs): for what answers say of the limit.
    tat_us: i64,
    /// Somebody asks for the next lease. Others meanwhile ask for their one request, and wait for nobody.
    being_taken: bool,
}

/// What a lease gave.
pub(crate) enum Spent {
    One(Verdict),
    /// Nothing: Redis has to be asked.
    None(Taking),
}

/// A question to Redis under way.
pub(crate) struct Taking {
    /// None: for one request alone.
    lease: Option<Arc<Mutex<Lease>>>,
    wanted: u32,
}

impl Leases {
    /// At most `max_keys` leases; one that nobody touched for `idle` is given up.
    pub(crate) fn new(max_keys: u64, idle: Duration) -> Self {
        Self { by_key: Cache::builder().max_capacity(max_keys).time_to_idle(idle).build() }
    }

    /// Spends one request of the key's lease.
    pub(crate) fn spend(&self, key: &str, rate: Rate, now: Moment) -> Spent {
        let size = (rate.burst / PART).min(MOST);
        if size < 2 {
            return Spent::None(Taking { lease: None, wanted: 1 });
        }
        let kept = self.by_key.get_with_by_ref(key, Arc::default);
        let mut lease = locked(&kept);
        if lease.left > 0
            && let (verdict, Some(next)) = judge(lease.tat_us, rate, now)
        {
            lease.left = lease.left.saturating_sub(1);
            lease.tat_us = next;
            return Spent::One(verdict);
        }
        if lease.being_taken {
            return Spent::None(Taking { lease: None, wanted: 1 });
        }
        lease.being_taken = true;
        drop(lease);
        Spent::None(Taking { lease: Some(kept), wanted: size })
    }
}

impl Taking {
    /// How many requests to ask for.
    pub(crate) const fn wanted(&self) -> u32 {
        self.wanted
    }

    /// Keeps what was granted beyond the one request; `tat_us` as it is after that one.
    pub(crate) fn keep(self, spare: i64, tat_us: i64) {
        if let Some(lease) = &self.lease {
            let mut lease = locked(lease);
            lease.left = spare;
            lease.tat_us = tat_us;
        }
    }
}

/// However it ended, answered, away or given up: the next one may ask.
impl Drop for Taking {
    fn drop(&mut self) {
        if let Some(lease) = &self.lease {
            locked(lease).being_taken = false;
        }
    }
}

fn locked(lease: &Mutex<Lease>) -> MutexGuard<'_, Lease> {
    lease.lock().unwrap_or_else(PoisonError::into_inner)
}
