//! How often: the same bucket for all gateways in Redis, or for this process.

use crate::gcra::{Rate, Verdict, judge};
use crate::lease::{Leases, Spent};
use beem_clock::Moment;
use beem_redis::{Away, Redis};
use moka::sync::Cache;
use redis::Script;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A bucket that nobody touched for so long is full again, at any rate whose window is shorter.
const IDLE_S: u64 = 600;

/// A rate limiter. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Limiter {
    near: Near,
    far: Option<Far>,
}

/// Buckets of this process. Bounded: many callers with many addresses push out rarely seen ones, never the busy ones.
#[derive(Clone, Debug)]
struct Near {
    tats_us: Cache<String, Arc<AtomicI64>>,
}

#[derive(Clone, Debug)]
struct Far {
    redis: Redis,
    script: Arc<Script>,
    leases: Leases,
}

impl Limiter {
    /// For one process; at most `max_keys` buckets of about 150 bytes are kept.
    #[must_use]
    pub fn in_process(max_keys: u64) -> Self {
        let tats_us =
            Cache::builder().max_capacity(max_keys).time_to_idle(Duration::from_secs(IDLE_S)).build();
        Self { near: Near { tats_us }, far: None }
    }

    /// For all processes on one Redis, which each asks for many requests of a busy key at once: see [`Leases`] for what
    /// that does to a limit. While Redis is away, each process limits by itself, which allows as many times more as there
    /// are processes, and blocks nobody.
    #[must_use]
    pub fn in_redis(redis: Redis, max_keys: u64) -> Self {
        let script = Arc::new(Script::new(include_str!("limiter.lua")));
        let leases = Leases::new(max_keys, Duration::from_secs(IDLE_S));
        Self { far: Some(Far { redis, script, leases }), ..Self::in_process(max_keys) }
    }

    /// Counts one request of `key` (with its area: `address:192.0.2.1`, `client:<id>`) and judges it. A refused one does
    /// not count. Takes at most the answer limit of the Redis connection.
    pub async fn check(&self, key: &str, rate: Rate, now: Moment) -> Verdict {
        if let Some(far) = &self.far
            && let Ok(verdict) = far.check(key, rate, now).await
        {
            return verdict;
        }
        self.near.check(key, rate, now)
    }
}

impl Near {
    fn check(&self, key: &str, rate: Rate, now: Moment) -> Verdict {
        let tat = self.tats_us.get_with_by_ref(key, Arc::default);
        let mut seen = tat.load(Ordering::Relaxed);
        loop {
            let (verdict, next) = judge(seen, rate, now);
            let Some(next) = next else { return verdict };
            match tat.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return verdict,
                Err(other) => seen = other,
            }
        }
    }
}

impl Far {
    async fn check(&self, key: &str, rate: Rate, now: Moment) -> Result<Verdict, Away> {
        let taking = match self.leases.spend(key, rate, now) {
            Spent::One(verdict) => return Ok(verdict),
            Spent::None(taking) => taking,
        };
        let mut invocation = self.script.key(self.redis.key("rate", key.as_bytes()));
        invocation.arg(rate.interval_us()).arg(rate.window_us()).arg(now.unix_ms().saturating_mul(1000));
        invocation.arg(taking.wanted());
        let (granted, remaining, full_in_us, retry_in_us): (i64, i64, i64, i64) =
            self.redis.script(&invocation).await?;
        if granted < 1 {
            return Ok(Verdict::new(rate, false, 0, full_in_us, retry_in_us));
        }
        let spare = granted.saturating_sub(1);
        let full_in_us = full_in_us.saturating_sub(rate.interval_us().saturating_mul(spare));
        taking.keep(spare, now.unix_ms().saturating_mul(1000).saturating_add(full_in_us));
        Ok(Verdict::new(rate, true, remaining.saturating_add(spare), full_in_us, 0))
    }
}
