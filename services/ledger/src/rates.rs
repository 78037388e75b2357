//! Rates: what one unit of each currency is worth in US dollars, and every pair crossed through them. A direct pair is made
//! the same way, so that two ways to one currency never differ by more than their rounding. A price is either current and
//! agreed upon or it is not there (`rate-unavailable`): nothing is guessed, and nothing old is used.

mod document;
mod fixed;
mod http;
mod prices;

use crate::settings::LedgerSettings;
use beem_clock::{Clock, Moment};
use beem_fault::{Code, Fault, Result};
use beem_money::{Currencies, Currency, CurrencyCode, Rate, Terms};
use beem_runtime::{Task, task};
use beem_telemetry::Telemetry;
use prices::{Missing, Price};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// What units of one currency are worth in another, in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mid {
    /// Units of `to` for one unit of `from`.
    pub rate: Rate,
    /// The oldest of the prices it is made of.
    pub time: Moment,
}

/// Where prices come from.
trait Feed: Send + Sync {
    /// What one unit is worth in US dollars; never asked for US dollars themselves.
    fn price(&self, currency: CurrencyCode, now: Moment) -> std::result::Result<Price, Missing>;
}

/// What is kept of a conversion, in millionths.
#[derive(Clone, Copy, Debug)]
struct Margin {
    spread: u32,
    fee: u32,
}

/// The rates of this process. Cheap to clone.
#[derive(Clone)]
pub struct Rates(Arc<Inner>);

struct Inner {
    feed: Arc<dyn Feed>,
    poller: Option<http::Poller>,
    usual: Margin,
    pairs: HashMap<(CurrencyCode, CurrencyCode), Margin>,
    /// Whether each currency had a price when it was last looked at, so that a change is told once.
    available: Mutex<BTreeMap<CurrencyCode, bool>>,
    telemetry: Telemetry,
}

impl Rates {
    /// Reads the feed's settings.
    ///
    /// # Errors
    /// `validation-failed` for a file or source that cannot work, and for what has no price in a file.
    pub fn open(
        settings: &LedgerSettings,
        currencies: &Currencies,
        clock: &Clock,
        telemetry: &Telemetry,
    ) -> Result<Self> {
        let mut pairs = HashMap::new();
        for pair in &settings.pairs {
            let code = |text: &str| {
                let known = CurrencyCode::parse(text).ok().filter(|code| currencies.get(*code).is_some());
                known.ok_or_else(|| Fault::field("pairs", format!("{text:?} is no currency")))
            };
            let margin = Margin { spread: pair.spread_millionths, fee: pair.fee_millionths };
            if pairs.insert((code(&pair.from)?, code(&pair.to)?), margin).is_some() {
                let twice = format!("{} to {} is there twice", pair.from, pair.to);
                return Err(Fault::field("pairs", twice));
            }
        }
        let (feed, poller): (Arc<dyn Feed>, _) = match settings.rates.feed.as_str() {
            "http" => {
                let poller = http::Poller::open(&settings.rates, currencies, clock.clone())?;
                (poller.prices(), Some(poller))
            }
            _ => (Arc::new(fixed::Fixed::open(&settings.rates.fixed_file, currencies)?), None),
        };
        Ok(Self(Arc::new(Inner {
            feed,
            poller,
            usual: Margin { spread: settings.spread_millionths, fee: settings.fee_millionths },
            pairs,
            available: Mutex::default(),
            telemetry: telemetry.clone(),
        })))
    }

    /// The middle rate of a pair.
    ///
    /// # Errors
    /// `rate-unavailable` when either has no current price.
    pub fn mid(&self, from: CurrencyCode, to: CurrencyCode, now: Moment) -> Result<Mid> {
        if from == to {
            return Ok(Mid { rate: Rate::ONE, time: now });
        }
        let (given, received) = (self.price(from, now)?, self.price(to, now)?);
        let rate = Rate::cross(given.usd, received.usd).ok_or_else(|| unavailable(from))?;
        Ok(Mid { rate, time: given.time.min(received.time) })
    }

    /// The middle rate with what this pair keeps.
    ///
    /// # Errors
    /// `rate-unavailable` without a current rate.
    pub fn terms<'a>(&self, from: &'a Currency, to: &'a Currency, now: Moment) -> Result<Terms<'a>> {
        let mid = self.mid(from.code, to.code, now)?.rate;
        let margin = self.0.pairs.get(&(from.code, to.code)).unwrap_or(&self.0.usual);
        Ok(Terms { from, to, mid, spread_millionths: margin.spread, fee_millionths: margin.fee })
    }

    /// What asks the sources; none when prices stand in a file.
    #[must_use]
    pub fn task(&self) -> Option<Task> {
        let poller = self.0.poller.clone()?;
        let rates = self.clone();
        Some(task("ledger-rates", move |cancel| {
            let (poller, rates) = (poller.clone(), rates.clone());
            async move { poller.run(cancel, |currency, now| drop(rates.price(currency, now))).await }
        }))
    }

    fn price(&self, currency: CurrencyCode, now: Moment) -> Result<Price> {
        if currency == CurrencyCode::USD {
            return Ok(Price { usd: Rate::ONE, time: now });
        }
        let price = self.0.feed.price(currency, now);
        if self.0.poller.as_ref().is_none_or(http::Poller::has_asked) {
            self.note(currency, price.as_ref().err());
        }
        price.map_err(|_| unavailable(currency))
    }

    /// Tells once when a currency's price goes, and when it is back.
    fn note(&self, currency: CurrencyCode, missing: Option<&Missing>) {
        let mut available = self.0.available.lock().unwrap_or_else(PoisonError::into_inner);
        let was = available.insert(currency, missing.is_none());
        drop(available);
        if was == Some(missing.is_none()) {
            return;
        }
        let meters = self.0.telemetry.meters();
        meters.gauge(
            "beem.ledger.rate.available",
            &[("currency", currency.as_str())],
            i64::from(missing.is_none()),
        );
        match missing {
            Some(reason) => {
                tracing::error!(%currency, %reason, "a currency has no current rate: nothing converts from or to it");
            }
            None if was.is_some() => tracing::info!(%currency, "a currency has a current rate again"),
            None => {}
        }
    }
}

fn unavailable(currency: CurrencyCode) -> Fault {
    Fault::new(Code::RateUnavailable, format!("there is no current rate for {currency}")).retry_after_s(1)
}
