//! Once: whether a key (the hash of a signature base, or of a client's nonce) was used before.
//!
//! Unlike a limit this may not forget early: the in-process form drops nothing that is still to be kept, and says
//! [`Seen::StoreAway`] when it is full, as the Redis form does when Redis is away. The caller decides what that means.

use beem_clock::Moment;
use beem_redis::Redis;
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// What is known about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Now it is used.
    First,
    Again,
    /// Nobody can tell, and whether it was written down is unknown.
    StoreAway,
}

/// A store of used keys. Cheap to clone; clones know the same.
#[derive(Clone, Debug)]
pub enum ReplayStore {
    InProcess(Arc<InProcess>),
    InRedis(Redis),
}

/// The used keys of this process.
#[derive(Debug)]
pub struct InProcess {
    max_keys: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    keys: HashSet<[u8; 32]>,
    /// Unix milliseconds up to which each is kept.
    by_end: BTreeSet<(i64, [u8; 32])>,
}

impl ReplayStore {
    /// For one process; at most `max_keys` of about 120 bytes.
    #[must_use]
    pub fn in_process(max_keys: usize) -> Self {
        Self::InProcess(Arc::new(InProcess { max_keys, used: Mutex::default() }))
    }

    /// For all processes on one Redis.
    #[must_use]
    pub const fn in_redis(redis: Redis) -> Self {
        Self::InRedis(redis)
    }

    /// Uses `key` up and says whether it was used before. Remembered up to and including `keep_until`.
    pub async fn first_use(&self, key: &[u8; 32], keep_until: Moment, now: Moment) -> Seen {
        let keep_ms = keep_until.ms_since(now).saturating_add(1);
        if keep_ms <= 0 {
            return Seen::First;
        }
        match self {
            Self::InProcess(store) => store.first_use(key, keep_until, now),
            Self::InRedis(redis) => {
                let mut set = redis::cmd("SET");
                set.arg(redis.key("used", key)).arg(1).arg("NX").arg("PX").arg(keep_ms);
                match redis.query::<Option<String>>(&set).await {
                    Ok(Some(_)) => Seen::First,
                    Ok(None) => Seen::Again,
                    Err(_) => Seen::StoreAway,
                }
            }
        }
    }
}

impl InProcess {
    fn first_use(&self, key: &[u8; 32], keep_until: Moment, now: Moment) -> Seen {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.forget_before(now);
        if used.keys.contains(key) {
            return Seen::Again;
        }
        if used.keys.len() >= self.max_keys {
            return Seen::StoreAway;
        }
        used.keys.insert(*key);
        used.by_end.insert((keep_until.unix_ms(), *key));
        Seen::First
    }
}

impl Used {
    fn forget_before(&mut self, now: Moment) {
        while let Some((end, key)) = self.by_end.first().copied()
            && end < now.unix_ms()
        {
            self.by_end.pop_first();
            self.keys.remove(&key);
        }
    }
}
