//! Time and randomness as arguments. Domain code takes a moment and bytes; the shell around it holds a [`Clock`] and an
//! [`Entropy`], the system's in production and a scripted one in tests, so that nothing below reads a global.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A moment: Unix milliseconds, UTC. Everything stored or sent is in this unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// From Unix milliseconds.
    #[must_use]
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// From Unix seconds; saturates.
    #[must_use]
    pub const fn from_unix_s(s: i64) -> Self {
        Self(s.saturating_mul(1000))
    }

    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    #[must_use]
    pub const fn unix_s(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Later by that many milliseconds; saturates.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to here, negative when it is later.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// RFC 3339 in UTC with milliseconds: `2026-01-02T03:04:05.678Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let nanos = i128::from(self.0).saturating_mul(1_000_000);
        let at = time::OffsetDateTime::from_unix_timestamp_nanos(nanos)
            .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
    }
}

/// Where the current moment comes from. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// One that a test moves.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at` until [`Clock::advance_ms`].
    #[must_use]
    pub fn manual(at: Moment) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(at.unix_ms())))
    }

    /// The moment now.
    #[must_use]
    pub fn now(&self) -> Moment {
        match self {
            Self::System => {
                #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                Moment(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
            }
            Self::Manual(at) => Moment(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; a system clock stays as it is.
    pub fn advance_ms(&self, ms: i64) {
        if let Self::Manual(at) = self {
            at.fetch_add(ms, Ordering::SeqCst);
        }
    }
}

/// Where random bytes come from. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Entropy {
    /// The operating system's generator.
    #[default]
    System,
    /// A counted sequence, the same for the same seed; for tests that replay.
    Seeded(Arc<AtomicU64>),
}

impl Entropy {
    /// A sequence that is the same for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(AtomicU64::new(seed)))
    }

    /// `N` random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: nothing safe can be done without it.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0_u8; N];
        match self {
            Self::System => {
                #[expect(clippy::expect_used, reason = "no key or id may be made without randomness")]
                getrandom::fill(&mut out).expect("the operating system gives randomness");
            }
            Self::Seeded(state) => {
                for chunk in out.chunks_mut(8) {
                    let word =
                        split_mix(state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst)).to_le_bytes();
                    for (to, from) in chunk.iter_mut().zip(word) {
                        *to = from;
                    }
                }
            }
        }
        out
    }
}

/// SplitMix64's finaliser (Steele, Lea, Flood 2014).
const fn split_mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(Moment::from_unix_s(1_700_000_000));
        assert_eq!(clock.now().unix_s(), 1_700_000_000);
        clock.advance_ms(1500);
        assert_eq!(clock.now().rfc3339(), "2023-11-14T22:13:21.5Z");
    }

    #[test]
    fn a_seed_repeats_its_bytes() {
        let (a, b) = (Entropy::seeded(7), Entropy::seeded(7));
        assert_eq!(a.bytes::<20>(), b.bytes::<20>());
        assert_ne!(a.bytes::<20>(), Entropy::System.bytes::<20>());
    }
}
