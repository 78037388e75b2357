//! Prices in memory: what each source said last of each currency, and whether that adds up to a price now.

use super::Feed;
use beem_clock::Moment;
use beem_money::{CurrencyCode, Rate};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// How far ahead of our clock a source's may be.
pub const AHEAD_MS: i64 = 60_000;

/// What one unit is worth, and since when that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    pub usd: Rate,
    pub time: Moment,
}

/// Why there is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// So many sources have a current one, so many must.
    TooFew { current: usize, quorum: usize },
    /// They are so many millionths apart.
    Disagreement(u64),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew { current, quorum } => write!(f, "{current} sources are current, {quorum} must be"),
            Self::Disagreement(millionths) => write!(f, "the sources are {millionths} millionths apart"),
        }
    }
}

/// When prices count.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub quorum: usize,
    pub stale_after_ms: i64,
    pub disagreement_millionths: u64,
}

/// What the sources said last, by currency and by the place of the source.
#[derive(Debug)]
pub struct Prices {
    rules: Rules,
    known: Mutex<HashMap<CurrencyCode, HashMap<usize, Price>>>,
}

impl Prices {
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, known: Mutex::default() }
    }

    /// What a source says now. Of two of its prices the younger counts: a cache on the way may answer with an old one. One
    /// that lies too far ahead of `now` is from before our clock was set back, and must not stand in the way of new ones.
    pub fn put(&self, source: usize, currency: CurrencyCode, price: Price, now: Moment) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = known.entry(currency).or_default().entry(source).or_insert(price);
        if slot.time <= price.time || is_ahead(slot, now) {
            *slot = price;
        }
    }

    fn is_current(&self, price: &Price, now: Moment) -> bool {
        !is_ahead(price, now) && now.ms_since(price.time) <= self.rules.stale_after_ms
    }
}

fn is_ahead(price: &Price, now: Moment) -> bool {
    price.time.ms_since(now) > AHEAD_MS
}

impl Feed for Prices {
    /// The median of what is current.
    fn price(&self, currency: CurrencyCode, now: Moment) -> Result<Price, Missing> {
        let current: Vec<Price> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let said = known.get(&currency).into_iter().flat_map(HashMap::values);
            said.filter(|price| self.is_current(price, now)).copied().collect()
        };
        let too_few = Missing::TooFew { current: current.len(), quorum: self.rules.quorum };
        if current.len() < self.rules.quorum {
            return Err(too_few);
        }
        let rates: Vec<Rate> = current.iter().map(|price| price.usd).collect();
        let (least, most) = rates.iter().min().zip(rates.iter().max()).ok_or(too_few)?;
        let apart = Rate::apart_millionths(*least, *most);
        if apart > self.rules.disagreement_millionths {
            return Err(Missing::Disagreement(apart));
        }
        let usd = Rate::median(&rates).ok_or(too_few)?;
        let time = current.iter().map(|price| price.time).min().ok_or(too_few)?;
        Ok(Price { usd, time: time.min(now) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { quorum: 2, stale_after_ms: 120_000, disagreement_millionths: 20_000 };
    const NOW: Moment = Moment::from_unix_s(1_800_000_000);

    fn btc() -> CurrencyCode {
        "BTC".parse().unwrap()
    }

    fn said(prices: &[(&str, i64)]) -> Prices {
        let all = Prices::new(RULES);
        for (source, (usd, age_ms)) in prices.iter().enumerate() {
            all.put(source, btc(), Price { usd: usd.parse().unwrap(), time: NOW.plus_ms(-age_ms) }, NOW);
        }
        all
    }

    fn usd(prices: &Prices, now: Moment) -> Result<String, Missing> {
        prices.price(btc(), now).map(|price| price.usd.to_string())
    }

    #[test]
    fn the_median_of_what_is_current() {
        assert_eq!(usd(&said(&[("100", 0), ("101", 0), ("99.5", 0)]), NOW).unwrap(), "100");
        assert_eq!(usd(&said(&[("100", 0), ("101", 0)]), NOW).unwrap(), "100.5");
        // The old one would be the middle one, and would disagree.
        assert_eq!(usd(&said(&[("100", 0), ("101", 0), ("500", 120_001)]), NOW).unwrap(), "100.5");
        let price = said(&[("100", 5_000), ("101", 1_000)]).price(btc(), NOW).unwrap();
        assert_eq!(price.time, NOW.plus_ms(-5_000));
    }

    #[test]
    fn too_few_too_old_too_far_ahead_too_far_apart() {
        let few = |current| Err(Missing::TooFew { current, quorum: 2 });
        assert_eq!(usd(&said(&[]), NOW), few(0));
        assert_eq!(usd(&said(&[("100", 0)]), NOW), few(1));
        let edge = said(&[("100", 120_000), ("100", -60_000)]);
        assert_eq!(usd(&edge, NOW).unwrap(), "100");
        assert_eq!(usd(&edge, NOW.plus_ms(1)), few(1));
        // Our clock went back: they lie in the future and do not count.
        assert_eq!(usd(&edge, NOW.plus_ms(-1)), few(1));
        assert_eq!(usd(&said(&[("100", 0), ("102", 0)]), NOW).unwrap(), "101");
        assert_eq!(usd(&said(&[("100", 0), ("102.0001", 0)]), NOW), Err(Missing::Disagreement(20_001)));
    }

    #[test]
    fn an_older_answer_of_the_same_source_does_not_replace_a_younger_one() {
        let prices = said(&[("100", 0), ("100", 0)]);
        prices.put(0, btc(), Price { usd: "90".parse().unwrap(), time: NOW.plus_ms(-1) }, NOW);
        assert_eq!(usd(&prices, NOW).unwrap(), "100");
    }

    #[test]
    fn prices_from_before_the_clock_was_set_back_give_way() {
        let prices = said(&[("100", 0), ("100", 0)]);
        let (before, edge) = (NOW.plus_ms(-60_001), NOW.plus_ms(-60_000));
        let put = |usd: &str, now: Moment| {
            for source in 0..2 {
                prices.put(source, btc(), Price { usd: usd.parse().unwrap(), time: now }, now);
            }
        };
        // Within the limit the younger one still counts.
        put("90", edge);
        assert_eq!(usd(&prices, edge).unwrap(), "100");
        put("90", before);
        assert_eq!(usd(&prices, before).unwrap(), "90");
    }
}
