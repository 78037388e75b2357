//! How fast may be guessed: after some free tries each further one waits, twice as long as the one before, up to a bound
//! that an honest owner can sit out. A try is counted before it is judged, so that many at once are no way around it. With
//! every hour in which nothing failed, half of what failed is forgotten; of codes, with every day.

use beem_clock::Moment;

/// A bucket goes when nothing failed for so long.
pub const FORGOTTEN_MS: i64 = DAY_MS;

const FIRST_DELAY_MS: i64 = 1_000;
const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What is known of one bucket of tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// That did not succeed, or are still being judged.
    pub count: i64,
    /// Until then none is judged.
    pub next: Moment,
    /// When the last of them was counted.
    pub updated: Moment,
}

impl Tries {
    /// Half of the count with every whole `half_ms` since the last.
    fn left(self, half_ms: i64, now: Moment) -> i64 {
        let halves = now.ms_since(self.updated).max(0).checked_div(half_ms);
        let halves = halves.and_then(|halves| u32::try_from(halves).ok()).unwrap_or(u32::MAX);
        self.count.checked_shr(halves).unwrap_or(0)
    }
}

/// How a bucket slows down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Tries without any wait.
    free: i64,
    /// The longest wait.
    longest_ms: i64,
    /// Without a failure for so long, half of them are forgotten.
    half_ms: i64,
}

impl Pace {
    /// Sign-ins from one address, whoever is to be.
    pub const ADDRESS: Self = Self { free: 20, longest_ms: 60_000, half_ms: HOUR_MS };
    /// Sign-ins with one e-mail address. A minute at most: more would lock its owner out.
    pub const SIGN_IN: Self = Self { free: 5, longest_ms: 60_000, half_ms: HOUR_MS };
    /// Codes of a second factor: there are a million, so this must become slow, and stay so: about a hundred a day. Only who
    /// knows the password comes here.
    pub const SECOND_FACTOR: Self = Self { free: 5, longest_ms: 15 * 60_000, half_ms: DAY_MS };
    /// Password resets asked for from one address.
    pub const RESET: Self = Self { free: 10, longest_ms: 60_000, half_ms: HOUR_MS };
    /// Passwords to be, put beside one link.
    pub const ACTIVATION: Self = Self { free: 5, longest_ms: 60_000, half_ms: HOUR_MS };

    /// That a try is not too early.
    ///
    /// # Errors
    /// How long to wait, in milliseconds.
    pub fn wait(tries: Option<Tries>, now: Moment) -> Result<(), i64> {
        match tries.map_or(0, |t| t.next.ms_since(now)) {
            wait if wait > 0 => Err(wait),
            _ => Ok(()),
        }
    }

    /// The bucket with one more try in it.
    ///
    /// # Errors
    /// As [`Pace::wait`]; then nothing is counted.
    pub fn reserve(self, tries: Option<Tries>, now: Moment) -> Result<Tries, i64> {
        Self::wait(tries, now)?;
        let count = tries.map_or(0, |t| t.left(self.half_ms, now)).saturating_add(1);
        let next = match self.delay_ms(count) {
            // Nobody waits, not even one who began a moment earlier and is counted a moment later.
            0 => Moment::from_unix_ms(0),
            delay => now.plus_ms(delay),
        };
        Ok(Tries { count, next, updated: now })
    }

    /// How long after try number `count` the next one is judged.
    fn delay_ms(self, count: i64) -> i64 {
        match u32::try_from(count.saturating_sub(self.free)) {
            Err(_) => 0,
            Ok(_) if count < self.free => 0,
            Ok(beyond) => {
                let doubled = FIRST_DELAY_MS.checked_shl(beyond.min(32)).unwrap_or(self.longest_ms);
                doubled.min(self.longest_ms)
            }
        }
    }
}

/// How many reset mails one address gets in an hour, and in a day.
pub const RESET_MAILS: i64 = 3;
pub const RESET_MAILS_A_DAY: i64 = 10;
/// How many invitations, resets of the second factor included, one address gets of one account in an hour.
pub const INVITATION_MAILS: i64 = 5;

/// The counts of reset mails, in the hour and in the day, with one more; None when either has had enough.
#[must_use]
pub fn another_reset_mail(hour: Option<Tries>, day: Option<Tries>, now: Moment) -> Option<(Tries, Tries)> {
    Some((another_mail(hour, RESET_MAILS, now)?, another_within(DAY_MS, day, RESET_MAILS_A_DAY, now)?))
}

/// The count of mails with one more; None when there were `most` in the hour that began with the first.
#[must_use]
pub fn another_mail(sent: Option<Tries>, most: i64, now: Moment) -> Option<Tries> {
    another_within(HOUR_MS, sent, most, now)
}

fn another_within(window_ms: i64, sent: Option<Tries>, most: i64, now: Moment) -> Option<Tries> {
    match sent.filter(|s| s.next > now) {
        None => Some(Tries { count: 1, next: now.plus_ms(window_ms), updated: now }),
        Some(window) if window.count < most => {
            Some(Tries { count: window.count.saturating_add(1), updated: now, ..window })
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_unix_s(1_800_000_000);

    /// The waits met by somebody who tries as soon as may be.
    fn waits(pace: Pace, tries: usize) -> Vec<i64> {
        let (mut now, mut bucket, mut waits) = (NOW, None, Vec::new());
        while waits.len() < tries {
            match pace.reserve(bucket, now) {
                Ok(next) => {
                    waits.push(next.next.ms_since(now).max(0) / 1000);
                    bucket = Some(next);
                }
                Err(wait) => now = now.plus_ms(wait),
            }
        }
        waits
    }

    #[test]
    fn the_wait_doubles_up_to_its_bound() {
        assert_eq!(waits(Pace::SIGN_IN, 13), [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(
            waits(Pace::SECOND_FACTOR, 17)[4..],
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
        );
        let address = waits(Pace::ADDRESS, 100);
        assert!(address[..19].iter().all(|w| *w == 0) && address[19] == 1 && address[99] == 60);
    }

    #[test]
    fn a_try_that_comes_too_early_is_not_counted() {
        let five = (0..5).fold(None, |b, _| Some(Pace::SIGN_IN.reserve(b, NOW).unwrap())).unwrap();
        assert_eq!(Pace::SIGN_IN.reserve(Some(five), NOW.plus_ms(400)).unwrap_err(), 600);
        let sixth = Pace::SIGN_IN.reserve(Some(five), NOW.plus_ms(1000)).unwrap();
        assert_eq!(sixth.count, 6);
    }

    #[test]
    fn free_tries_come_in_any_order() {
        let first = Pace::SIGN_IN.reserve(None, NOW).unwrap();
        assert_eq!(Pace::SIGN_IN.reserve(Some(first), NOW.plus_ms(-1)).unwrap().count, 2);
    }

    #[test]
    fn half_is_forgotten_with_every_hour_without_a_failure() {
        let many = Tries { count: 1_000, next: Moment::from_unix_ms(0), updated: NOW };
        let after = |ms| Pace::SIGN_IN.reserve(Some(many), NOW.plus_ms(ms)).unwrap().count - 1;
        assert_eq!([after(HOUR_MS - 1), after(HOUR_MS), after(3 * HOUR_MS)], [1_000, 500, 125]);
        assert_eq!([after(10 * HOUR_MS), after(FORGOTTEN_MS), after(i64::MAX / 2)], [0, 0, 0]);
        assert_eq!(after(-HOUR_MS), 1_000, "a clock that went back forgets nothing");
        let codes = |ms| Pace::SECOND_FACTOR.reserve(Some(many), NOW.plus_ms(ms)).unwrap().count - 1;
        assert_eq!([codes(DAY_MS - 1), codes(DAY_MS)], [1_000, 500], "codes are forgotten by the day");
    }

    #[test]
    fn three_reset_mails_an_hour_and_ten_a_day() {
        let (mut hour, mut day, mut sent) = (None, None, Vec::new());
        for minute in 0..30 * 60 {
            let now = NOW.plus_ms(minute * 60_000);
            if let Some((h, d)) = another_reset_mail(hour, day, now) {
                (hour, day) = (Some(h), Some(d));
                sent.push(minute);
            }
        }
        assert_eq!(
            sent,
            [
                0, 1, 2, 60, 61, 62, 120, 121, 122, 180, 1440, 1441, 1442, 1500, 1501, 1502, 1560, 1561,
                1562, 1620
            ]
        );
    }
}
