//! How a hook has been doing, from one attempt to the next: when its circuit is open, and when it has failed for so long that
//! it is disabled. One success forgives everything.

use super::delivery::Finding;
use super::hook::DisabledReason;
use beem_clock::Moment;

/// Failures in a row after which the circuit is open: one attempt at a time, and first attempts wait.
pub const OPEN_AFTER: u32 = 5;

/// How long an open circuit holds up a first attempt at most.
const LONGEST_HOLD_MS: i64 = 10_000;

/// Nothing but failures for so long disables a hook.
const SUSTAINED_MS: i64 = 5 * 24 * HOUR_MS;

/// A time without attempts that is longer than any wait between two of one delivery (24 h and a fifth) is no time of failure:
/// nothing was tried.
const QUIET_MS: i64 = 36 * HOUR_MS;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// A hook's record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Failures in a row.
    pub failures: u32,
    /// The first of them; later by every quiet time between two of them.
    pub failing_since: Option<Moment>,
    /// The last of them.
    pub failed: Option<Moment>,
    /// First attempts wait until then.
    pub held_until: Option<Moment>,
}

impl Health {
    /// Whether deliveries are tried one at a time only.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.failures >= OPEN_AFTER
    }

    /// When the first attempt of something that comes now is due.
    #[must_use]
    pub fn first_attempt(&self, now: Moment) -> Moment {
        self.held_until.map_or(now, |until| until.clamp(now, now.plus_ms(LONGEST_HOLD_MS)))
    }

    /// After an attempt that ended at `now`; and why the hook is to be disabled, if it is.
    #[must_use]
    pub fn after(self, finding: &Finding, now: Moment) -> (Self, Option<DisabledReason>) {
        if finding.is_acknowledged() {
            return (Self::default(), None);
        }
        let failures = self.failures.saturating_add(1);
        let since = self.failing_since.unwrap_or(now).plus_ms(self.quiet_ms(now));
        let asked_ms =
            finding.retry_after_s.map_or(0, |s| i64::from(s).saturating_mul(1000)).min(LONGEST_HOLD_MS);
        let hold_ms = if failures >= OPEN_AFTER { LONGEST_HOLD_MS } else { asked_ms };
        let held_until = if hold_ms > 0 { Some(now.plus_ms(hold_ms)) } else { self.held_until };
        let disabled = match finding.status_code {
            Some(410) => Some(DisabledReason::Gone),
            _ if now.ms_since(since) >= SUSTAINED_MS => Some(DisabledReason::Failing),
            _ => None,
        };
        (Self { failures, failing_since: Some(since), failed: Some(now), held_until }, disabled)
    }

    /// What of the time since the last failure was quiet.
    fn quiet_ms(&self, now: Moment) -> i64 {
        let since_ms = self.failed.map_or(0, |failed| now.ms_since(failed));
        if since_ms > QUIET_MS { since_ms } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_unix_ms(1_800_000_000_000);

    fn answered(status_code: u32) -> Finding {
        Finding { status_code: Some(status_code), error: None, retry_after_s: None }
    }

    fn failed(health: Health, times: u32, at: Moment) -> Health {
        (0..times).fold(health, |health, _| health.after(&answered(500), at).0)
    }

    #[test]
    fn the_circuit_opens_holds_a_first_attempt_ten_seconds_at_most_and_closes_with_one_success() {
        let nearly = failed(Health::default(), OPEN_AFTER - 1, NOW);
        assert!(!nearly.is_open());
        assert_eq!(nearly.first_attempt(NOW), NOW);
        let open = failed(nearly, 1, NOW);
        assert!(open.is_open());
        assert_eq!(open.first_attempt(NOW), NOW.plus_ms(10_000));
        assert_eq!(open.first_attempt(NOW.plus_ms(4_000)), NOW.plus_ms(10_000));
        assert_eq!(open.first_attempt(NOW.plus_ms(10_001)), NOW.plus_ms(10_001), "it always probes");
        assert_eq!(open.first_attempt(NOW.plus_ms(-60_000)), NOW.plus_ms(-50_000), "a clock that went back");
        assert_eq!(open.after(&answered(204), NOW), (Health::default(), None));
    }

    #[test]
    fn only_sustained_failure_disables_and_gone_at_once() {
        let five_days = 5 * 24 * HOUR_MS;
        let failing =
            (0..5).fold(Health::default(), |health, day| failed(health, 8, NOW.plus_ms(day * 24 * HOUR_MS)));
        assert_eq!(failing.after(&answered(500), NOW.plus_ms(five_days - 1)).1, None);
        assert_eq!(failing.after(&answered(500), NOW.plus_ms(five_days)).1, Some(DisabledReason::Failing));
        let forgiven = failing.after(&answered(200), NOW.plus_ms(five_days - 1)).0;
        assert_eq!(forgiven.after(&answered(500), NOW.plus_ms(five_days)).1, None);
        assert_eq!(Health::default().after(&answered(410), NOW).1, Some(DisabledReason::Gone));
    }

    #[test]
    fn a_time_in_which_nothing_was_tried_is_no_failure() {
        // A delivery that failed for three days, and nothing to send for four weeks.
        let daily = |health, days: i64, from: Moment| {
            (0..days).fold(health, |health, day| failed(health, 1, from.plus_ms(day * 24 * HOUR_MS)))
        };
        let given_up = daily(Health::default(), 4, NOW);
        let later = NOW.plus_ms(28 * 24 * HOUR_MS);
        let (once, disabled) = given_up.after(&answered(503), later);
        assert_eq!(disabled, None, "the first attempt in four weeks");
        assert_eq!(
            once.failing_since,
            Some(later.plus_ms(-72 * HOUR_MS)),
            "what it had failed for until then"
        );
        assert_eq!(daily(once, 2, later).after(&answered(503), later.plus_ms(47 * HOUR_MS)).1, None);
        let five_days_in_all = daily(once, 2, later).after(&answered(503), later.plus_ms(48 * HOUR_MS));
        assert_eq!(five_days_in_all.1, Some(DisabledReason::Failing));
    }

    #[test]
    fn a_receiver_that_asks_for_time_gets_up_to_ten_seconds_for_first_attempts() {
        let asked = |s| Finding { status_code: Some(429), error: None, retry_after_s: Some(s) };
        assert_eq!(Health::default().after(&asked(3), NOW).0.first_attempt(NOW), NOW.plus_ms(3_000));
        assert_eq!(Health::default().after(&asked(3_600), NOW).0.first_attempt(NOW), NOW.plus_ms(10_000));
    }
}
