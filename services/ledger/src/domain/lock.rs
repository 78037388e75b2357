//! Promised rates: what one unit of a currency is worth in another for whoever comes in time.

use super::digest::{Digest, Hash};
use beem_clock::Moment;
use beem_ids::RateLockId;
use beem_money::{CurrencyCode, Rate};

/// Which amount of a conversion whoever asked for the promise means to fix. It decides nothing: the spread is against whoever
/// converts, so that the rate is the same on both sides, and it binds neither deposits nor payouts. It is kept, and answered
/// as it was asked, for whoever looks into what a promise was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockSide {
    /// The one that is given.
    Sell,
    /// The one that is received.
    Buy,
}

impl LockSide {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sell => "SELL",
            Self::Buy => "BUY",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Sell, Self::Buy].into_iter().find(|side| side.as_str() == text)
    }
}

/// A promised rate; nothing of it ever changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    pub id: RateLockId,
    pub from: CurrencyCode,
    pub to: CurrencyCode,
    pub side: LockSide,
    /// In the middle.
    pub mid: Rate,
    /// What is kept of it.
    pub spread_millionths: u32,
    pub created: Moment,
    /// From here on it is too late.
    pub expires: Moment,
}

impl Lock {
    /// Over the row as it is written.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Digest::of("beem.ledger.v1 rate lock")
            .bytes(self.id.0.as_bytes())
            .text(self.from.as_str())
            .text(self.to.as_str())
            .text(self.side.as_str())
            .text(&self.mid.exact())
            .number(i64::from(self.spread_millionths))
            .number(self.created.unix_ms())
            .number(self.expires.unix_ms())
            .done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn every_field_is_in_the_digest() {
        let lock = Lock {
            id: RateLockId(Uuid::from_u128(1)),
            from: "USD".parse().unwrap(),
            to: "EUR".parse().unwrap(),
            side: LockSide::Sell,
            mid: Rate::ONE,
            spread_millionths: 10,
            created: Moment::from_unix_ms(1_000),
            expires: Moment::from_unix_ms(2_000),
        };
        let changes: [fn(&mut Lock); 8] = [
            |l| l.id = RateLockId(Uuid::from_u128(2)),
            |l| l.from = "GBP".parse().unwrap(),
            |l| l.to = "GBP".parse().unwrap(),
            |l| l.side = LockSide::Buy,
            |l| l.mid = "2".parse().unwrap(),
            |l| l.spread_millionths = 11,
            |l| l.created = Moment::from_unix_ms(1_001),
            |l| l.expires = Moment::from_unix_ms(2_001),
        ];
        for (place, change) in changes.into_iter().enumerate() {
            let mut changed = lock.clone();
            change(&mut changed);
            assert_ne!(changed.digest(), lock.digest(), "{place}");
        }
    }
}
