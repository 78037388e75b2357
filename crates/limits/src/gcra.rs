//! The generic cell rate algorithm (ITU-T I.371), as a pure function: one number per key, the *theoretical arrival time*
//! (`tat`) at which the bucket is full again. `limiter.lua` is the same arithmetic for Redis, and a test holds them
//! together. Microseconds, because Lua counts in doubles, which hold today's Unix microseconds exactly and not nanoseconds.

use beem_clock::Moment;

const US_PER_S: i64 = 1_000_000;

/// `per_s` a second on average and `burst` at once. Zeros count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub per_s: u32,
    pub burst: u32,
}

impl Rate {
    /// Microseconds until one more is allowed.
    #[must_use]
    pub(crate) fn interval_us(self) -> i64 {
        (US_PER_S / i64::from(self.per_s.max(1))).max(1)
    }

    /// Microseconds in which an empty bucket fills.
    #[must_use]
    pub(crate) fn window_us(self) -> i64 {
        self.interval_us().saturating_mul(i64::from(self.burst.max(1)))
    }

    /// The `RateLimit-Policy` field of draft-ietf-httpapi-ratelimit-headers, section 3: the burst, and the seconds in which
    /// it comes back.
    #[must_use]
    pub fn policy_field(self, policy: &str) -> String {
        format!("\"{policy}\";q={};w={}", self.burst.max(1), ceil_div(self.window_us(), US_PER_S).max(1))
    }
}

/// What a limit says to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// The burst: how many an idle caller may send at once.
    pub limit: u32,
    /// How many more it may send now.
    pub remaining: u32,
    /// Seconds until `remaining` is `limit` again, rounded up.
    pub reset_s: u32,
    /// Seconds after which to try again, rounded up, at least 1; 0 when allowed.
    pub retry_after_s: u32,
}

impl Verdict {
    /// The `RateLimit` field of draft-ietf-httpapi-ratelimit-headers, section 4: what remains, and for how long that says
    /// something.
    #[must_use]
    pub fn rate_limit_field(&self, policy: &str) -> String {
        format!("\"{policy}\";r={};t={}", self.remaining, self.reset_s)
    }

    /// The `Retry-After` field (RFC 9110 section 10.2.3) of a refusal.
    #[must_use]
    pub fn retry_after_field(&self) -> Option<String> {
        (!self.allowed).then(|| self.retry_after_s.to_string())
    }

    pub(crate) fn new(rate: Rate, allowed: bool, remaining: i64, full_in_us: i64, retry_in_us: i64) -> Self {
        let seconds = |us: i64| bounded(ceil_div(us.max(0), US_PER_S));
        let retry_after_s = if allowed { 0 } else { seconds(retry_in_us).max(1) };
        let limit = rate.burst.max(1);
        Self {
            allowed,
            limit,
            remaining: bounded(remaining).min(limit),
            reset_s: seconds(full_in_us),
            retry_after_s,
        }
    }
}

/// Judges one request: the verdict, and the new `tat_us` when it was allowed.
///
/// A stored time further ahead than a whole window can only come from a clock that was wrong; it is cut, so that nobody
/// stays locked out when a clock is set back.
pub(crate) fn judge(tat_us: i64, rate: Rate, now: Moment) -> (Verdict, Option<i64>) {
    let (interval, window) = (rate.interval_us(), rate.window_us());
    let now_us = now.unix_ms().saturating_mul(1000);
    let tat = tat_us.clamp(now_us, now_us.saturating_add(window));
    let next = tat.saturating_add(interval);
    let over_us = next.saturating_sub(now_us).saturating_sub(window);
    if over_us > 0 {
        return (Verdict::new(rate, false, 0, tat.saturating_sub(now_us), over_us), None);
    }
    let remaining = over_us.saturating_neg().checked_div(interval).unwrap_or(0);
    (Verdict::new(rate, true, remaining, next.saturating_sub(now_us), 0), Some(next))
}

fn ceil_div(a: i64, b: i64) -> i64 {
    a.saturating_add(b.saturating_sub(1)).checked_div(b).unwrap_or(0)
}

fn bounded(n: i64) -> u32 {
    u32::try_from(n.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Moment = Moment::from_unix_s(1_700_000_000);

    fn allowed(rate: Rate, arrivals_ms: &[i64]) -> usize {
        let mut tat = 0;
        let mut count = 0;
        for at in arrivals_ms {
            if let (_, Some(next)) = judge(tat, rate, NOW.plus_ms(*at)) {
                tat = next;
                count += 1;
            }
        }
        count
    }

    #[test]
    fn a_burst_passes_at_once_and_not_one_more() {
        let rate = Rate { per_s: 10, burst: 20 };
        assert_eq!(allowed(rate, &[0; 100]), 20);
        let (first, _) = judge(0, rate, NOW);
        assert_eq!((first.limit, first.remaining, first.reset_s), (20, 19, 1));
        assert_eq!(first.rate_limit_field("client"), "\"client\";r=19;t=1");
        assert_eq!(rate.policy_field("client"), "\"client\";q=20;w=2");
    }

    #[test]
    fn a_refusal_says_when_and_then_it_is_allowed() {
        let rate = Rate { per_s: 1, burst: 2 };
        let full = (NOW.unix_ms() + 2000) * 1000;
        let (refused, none) = judge(full, rate, NOW);
        assert_eq!((refused.allowed, refused.remaining, refused.retry_after_s, none), (false, 0, 1, None));
        assert_eq!(refused.retry_after_field().as_deref(), Some("1"));
        assert!(!judge(full, rate, NOW.plus_ms(999)).0.allowed);
        assert!(judge(full, rate, NOW.plus_ms(1000)).0.allowed);
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out_for_longer_than_a_window() {
        let rate = Rate { per_s: 1, burst: 2 };
        let from_the_future = (NOW.unix_ms() + 86_400_000) * 1000;
        assert!(!judge(from_the_future, rate, NOW).0.allowed);
        let (verdict, _) = judge(from_the_future, rate, NOW);
        assert_eq!(verdict.retry_after_s, 1);
    }

    #[test]
    fn zeros_count_as_one() {
        assert_eq!(allowed(Rate { per_s: 0, burst: 0 }, &[0, 0, 500, 1000]), 2);
    }

    proptest! {
        #[test]
        fn never_more_than_burst_plus_rate_times_time(
            per_s in 1_u32..2000, burst in 1_u32..100, mut at in prop::collection::vec(0_i64..5000, 1..300),
        ) {
            at.sort_unstable();
            let span_ms = at[at.len() - 1] - at[0];
            let interval_us = 1_000_000 / i64::from(per_s);
            let most = i64::from(burst) + span_ms * 1000 / interval_us;
            let got = i64::try_from(allowed(Rate { per_s, burst }, &at)).unwrap();
            prop_assert!(got <= most, "{got} of at most {most}");
        }

        #[test]
        fn what_remains_really_passes(tat in 0_i64..3_000_000, per_s in 1_u32..500, burst in 1_u32..50) {
            let rate = Rate { per_s, burst };
            let (verdict, next) = judge(NOW.unix_ms() * 1000 + tat, rate, NOW);
            let mut tat = next.unwrap_or(NOW.unix_ms() * 1000 + tat);
            for _ in 0..verdict.remaining {
                let (v, next) = judge(tat, rate, NOW);
                prop_assert!(v.allowed);
                tat = next.unwrap();
            }
            prop_assert!(!judge(tat, rate, NOW).0.allowed);
        }
    }
}
