//! How fast may be guessed: after some free tries each further one waits, twice as long as the one before, up to a bound
//! that an honest owner can sit out. A try is counted before it is judged, so that many at once are no way around it.

use beem_clock::Moment;

/// Tries are forgotten when there was none for so long.
pub const FORGOTTEN_MS: i64 = 24 * 60 * 60 * 1000;

const FIRST_DELAY_MS: i64 = 1_000;

/// What is known of one bucket of tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// That did not succeed, or are still being judged.
    pub count: i64,
    /// Until then none is judged.
    pub next: Moment,
    pub updated: Moment,
}

/// How a bucket slows down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Tries without any wait.
    free: i64,
    /// The longest wait.
    longest_ms: i64,
}

impl Pace {
    /// Sign-ins from one address, whoever is to be.
    pub const ADDRESS: Self = Self { free: 20, longest_ms: 60_000 };
    /// Sign-ins with one e-mail address. A minute at most: more would lock its owner out.
    pub const SIGN_IN: Self = Self { free: 5, longest_ms: 60_000 };
    /// Codes of a second factor: there are a million, so this must become slow; only who knows the password comes here.
    pub const SECOND_FACTOR: Self = Self { free: 5, longest_ms: 15 * 60_000 };
    /// Password resets asked for from one address.
    pub const RESET: Self = Self { free: 10, longest_ms: 60_000 };

    /// The bucket with one more try in it.
    ///
    /// # Errors
    /// How long to wait, in milliseconds, when it comes too early; then nothing is counted.
    pub fn reserve(self, tries: Option<Tries>, now: Moment) -> Result<Tries, i64> {
        let known = tries.filter(|t| now.ms_since(t.updated) < FORGOTTEN_MS);
        let wait = known.map_or(0, |t| t.next.ms_since(now));
        if wait > 0 {
            return Err(wait);
        }
        let count = known.map_or(0, |t| t.count).saturating_add(1);
        Ok(Tries { count, next: now.plus_ms(self.delay_ms(count)), updated: now })
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

/// How many reset mails one address gets in an hour.
pub const RESET_MAILS: i64 = 3;
const HOUR_MS: i64 = 60 * 60 * 1000;

/// The count of reset mails with one more; None when it has had enough for this hour.
#[must_use]
pub fn another_reset_mail(sent: Option<Tries>, now: Moment) -> Option<Tries> {
    match sent.filter(|s| s.next > now) {
        None => Some(Tries { count: 1, next: now.plus_ms(HOUR_MS), updated: now }),
        Some(hour) if hour.count < RESET_MAILS => {
            Some(Tries { count: hour.count.saturating_add(1), updated: now, ..hour })
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
                    waits.push(next.next.ms_since(now) / 1000);
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
    fn a_day_without_a_try_forgets_them() {
        let many = Tries { count: 1_000, next: NOW, updated: NOW };
        assert_eq!(Pace::SIGN_IN.reserve(Some(many), NOW.plus_ms(FORGOTTEN_MS - 1)).unwrap().count, 1_001);
        assert_eq!(Pace::SIGN_IN.reserve(Some(many), NOW.plus_ms(FORGOTTEN_MS)).unwrap().count, 1);
    }

    #[test]
    fn three_reset_mails_an_hour() {
        let mut sent = None;
        for minute in [0, 10, 20] {
            sent = Some(another_reset_mail(sent, NOW.plus_ms(minute * 60_000)).unwrap());
        }
        assert_eq!(another_reset_mail(sent, NOW.plus_ms(HOUR_MS - 1)), None);
        assert_eq!(another_reset_mail(sent, NOW.plus_ms(HOUR_MS)).unwrap().count, 1);
    }
}
