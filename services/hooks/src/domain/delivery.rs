//! A delivery: one event on its way to one hook, from the first attempt to the end.

use beem_clock::Moment;
use beem_ids::{DeliveryId, EventId, HookId};

/// The waits before the second attempt, the third, and so on, in seconds: eleven attempts over about three days.
const WAITS_S: [i64; 10] = [5, 30, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// Each wait is longer or shorter by up to this share of it, in thousandths, so that what failed together does not come
/// back together.
const JITTER_THOUSANDTHS: i64 = 200;

/// A receiver may ask for so much time at most.
pub const LARGEST_RETRY_AFTER_S: u32 = 86_400;

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Pending,
    Delivered,
    Failed,
}

impl Status {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Delivered => "DELIVERED",
            Self::Failed => "FAILED",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Failed].into_iter().find(|status| status.as_str() == text)
    }
}

/// One event on its way to one hook.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub id: DeliveryId,
    pub hook: HookId,
    pub event_id: EventId,
    /// The event's type.
    pub event: String,
    pub status: Status,
    /// All attempts ever made.
    pub attempts: u64,
    /// Of these, those since it was made or last replayed.
    pub tries: u32,
    /// While it is pending.
    pub next: Option<Moment>,
    pub created: Moment,
}

/// One request to the receiver, as kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub time: Moment,
    pub duration_ms: u32,
    pub status_code: Option<u32>,
    pub error: Option<String>,
    /// The first 4 KiB of the answer as text.
    pub answer: Option<String>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Of the answer, if there was one.
    pub status_code: Option<u32>,
    /// Why there was no answer, or why it counts for nothing.
    pub error: Option<String>,
    /// How long the receiver asks to be left alone, at most [`LARGEST_RETRY_AFTER_S`].
    pub retry_after_s: Option<u32>,
}

impl Finding {
    /// Any 2xx acknowledges.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        self.status_code.is_some_and(|code| (200..300).contains(&code))
    }
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Ended(Ending),
    /// Tried again then.
    Again(Moment),
}

/// How a delivery ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Delivered,
    /// The attempts are used up.
    Failed,
}

/// Judges attempt number `tries` (from 1, this one included), which ended at `now`. `random` is any number, drawn anew.
#[must_use]
pub fn judge(finding: &Finding, tries: u32, now: Moment, random: u64) -> Verdict {
    if finding.is_acknowledged() {
        return Verdict::Ended(Ending::Delivered);
    }
    let nth = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(wait_s) = WAITS_S.get(nth) else { return Verdict::Ended(Ending::Failed) };
    let spread = u64::try_from(2 * JITTER_THOUSANDTHS + 1).unwrap_or(1);
    let drawn = i64::try_from(random % spread).unwrap_or(0) - JITTER_THOUSANDTHS;
    // Seconds times thousandths are milliseconds.
    let wait_ms = wait_s * (1_000 + drawn);
    let asked_s = finding.retry_after_s.unwrap_or(0).min(LARGEST_RETRY_AFTER_S);
    Verdict::Again(now.plus_ms(wait_ms.max(i64::from(asked_s) * 1000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Moment = Moment::from_unix_ms(1_800_000_000_000);

    fn found(status_code: u32, retry_after_s: Option<u32>) -> Finding {
        Finding { status_code: Some(status_code), error: None, retry_after_s }
    }

    proptest! {
        #[test]
        fn waits_stay_within_a_fifth_of_the_schedule(tries in 1_u32..=10, random: u64) {
            let Verdict::Again(at) = judge(&found(500, None), tries, NOW, random) else { panic!("it gave up") };
            let wait_ms = WAITS_S[usize::try_from(tries).unwrap() - 1] * 1000;
            prop_assert!((wait_ms * 4 / 5..=wait_ms * 6 / 5).contains(&at.ms_since(NOW)));
        }

        #[test]
        fn only_a_2xx_acknowledges(code in 100_u32..600, tries in 1_u32..12, random: u64) {
            let delivered = judge(&found(code, None), tries, NOW, random) == Verdict::Ended(Ending::Delivered);
            prop_assert_eq!(delivered, (200..300).contains(&code));
        }
    }

    #[test]
    fn the_eleventh_failure_ends_it_and_retry_after_only_ever_lengthens_a_wait() {
        assert_eq!(judge(&found(500, None), 11, NOW, 0), Verdict::Ended(Ending::Failed));
        assert_eq!(judge(&found(503, Some(60)), 1, NOW, 0), Verdict::Again(NOW.plus_ms(60_000)));
        assert_eq!(judge(&found(503, Some(1)), 1, NOW, 200), Verdict::Again(NOW.plus_ms(5_000)));
        assert_eq!(judge(&found(429, Some(u32::MAX)), 1, NOW, 0), Verdict::Again(NOW.plus_ms(86_400_000)));
    }
}
