//! Prices from JSON documents on the network. Each source is asked again and again; what it says is kept with its time. A
//! source's text never reaches a log: only its name, and what is wrong in our words.

use super::Feed;
use super::document::{Document, Pointer};
use super::prices::{AHEAD_MS, Price, Prices, Rules};
use crate::settings::{RateSettings, SourceSettings};
use beem_clock::{Clock, Moment};
use beem_fault::{Fault, Result};
use beem_money::{Currencies, CurrencyCode, Rate};
use futures::future::join_all;
use reqwest::{Client, StatusCode, Url, redirect};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// For one look at a source, from the first byte sent to the last one read.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes read of a document at most.
const LARGEST: usize = 4 * 1024 * 1024;
const FIELD: &str = "rates.sources";

/// Asks the sources. Cheap to clone.
#[derive(Clone)]
pub struct Poller(Arc<Inner>);

struct Inner {
    client: Client,
    clock: Clock,
    interval: Duration,
    sources: Vec<Source>,
    currencies: Vec<CurrencyCode>,
    prices: Arc<Prices>,
    /// All of them, once.
    asked: AtomicBool,
}

/// A source, and what its newest look came to: empty when it was good.
struct Source {
    place: usize,
    name: String,
    url: Url,
    price: Pointer,
    time: Option<Pointer>,
    inverse: bool,
    /// What it calls each currency.
    named: Vec<(CurrencyCode, String)>,
    wrong: Mutex<String>,
}

impl Poller {
    /// Checks the sources; asks none yet.
    ///
    /// # Errors
    /// `validation-failed` naming a source that cannot work.
    pub fn open(settings: &RateSettings, currencies: &Currencies, clock: Clock) -> Result<Self> {
        let quorum = usize::try_from(settings.quorum).map_err(Fault::internal)?;
        if settings.sources.len() < quorum {
            let few = format!("{} sources, and {quorum} must agree", settings.sources.len());
            return Err(Fault::field(FIELD, few));
        }
        let mut names = BTreeSet::new();
        let mut sources = Vec::with_capacity(settings.sources.len());
        for (place, asked) in settings.sources.iter().enumerate() {
            let source = Source::open(place, asked, currencies);
            let source = source.map_err(|wrong| Fault::field(FIELD, format!("{:?}: {wrong}", asked.name)))?;
            if !names.insert(source.name.clone()) {
                return Err(Fault::field(FIELD, format!("{:?} is there twice", source.name)));
            }
            sources.push(source);
        }
        let client = Client::builder()
            .timeout(PATIENCE)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("beem/", env!("CARGO_PKG_VERSION")))
            .build();
        let prices = Arc::new(Prices::new(Rules {
            quorum,
            stale_after_ms: i64::from(settings.stale_after_s).saturating_mul(1000),
            disagreement_millionths: u64::from(settings.disagreement_millionths),
        }));
        let interval = Duration::from_secs(u64::from(settings.poll_interval_s));
        let currencies =
            currencies.iter().map(|c| c.code).filter(|code| *code != CurrencyCode::USD).collect();
        let (client, asked) = (client.map_err(Fault::internal)?, AtomicBool::new(false));
        Ok(Self(Arc::new(Inner { client, clock, interval, sources, currencies, prices, asked })))
    }

    /// Where they are put.
    #[must_use]
    pub fn prices(&self) -> Arc<dyn Feed> {
        Arc::<Prices>::clone(&self.0.prices)
    }

    /// Whether a first round has ended: before it, that there are no prices is nothing to tell.
    #[must_use]
    pub fn has_asked(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Asks all sources at once, again and again; after each round `look` is called with every currency.
    pub async fn run(self, cancel: CancellationToken, look: impl Fn(CurrencyCode, Moment)) {
        let inner = &*self.0;
        let mut ticks = tokio::time::interval(inner.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {}
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = join_all(inner.sources.iter().map(|source| inner.ask(source))) => {}
            }
            inner.asked.store(true, Ordering::Relaxed);
            let now = inner.clock.now();
            inner.currencies.iter().for_each(|currency| look(*currency, now));
        }
    }
}

impl Inner {
    /// One look at one source. What it does not say stays as it was, until that is too old.
    async fn ask(&self, source: &Source) {
        // From before it was asked: what it says is at least as young.
        let asked = self.clock.now();
        let wrong = match fetch(&self.client, &source.url).await {
            Ok(body) => source.read(&body, asked, &self.prices),
            Err(wrong) => wrong,
        };
        let mut last = source.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == wrong {
            return;
        }
        if wrong.is_empty() {
            tracing::info!(source = source.name, "a source of rates is well again");
        } else {
            tracing::warn!(source = source.name, wrong, "a source of rates does not say all it should");
        }
        *last = wrong;
    }
}

impl Source {
    fn open(
        place: usize,
        asked: &SourceSettings,
        currencies: &Currencies,
    ) -> std::result::Result<Self, String> {
        let url = Url::parse(asked.url.expose()).map_err(|_| "the url is none".to_owned())?;
        if !may_be_asked(&url) {
            return Err("the url is https, or http to this machine".into());
        }
        let pointer = |text: &str| Pointer::parse(text).ok_or("a JSON pointer begins with a slash");
        let price = pointer(&asked.price)?;
        if !price.names_currency() {
            return Err("price names the currency: {code} or {lower}".into());
        }
        for code in asked.names.keys() {
            let known = CurrencyCode::parse(code).is_ok_and(|code| currencies.get(code).is_some());
            if !known {
                return Err(format!("names: {code:?} is no currency"));
            }
        }
        let name_of = |code: CurrencyCode| asked.names.get(code.as_str()).cloned();
        let codes = currencies.iter().map(|c| c.code).filter(|code| *code != CurrencyCode::USD);
        Ok(Self {
            place,
            name: asked.name.clone(),
            url,
            price,
            time: (!asked.time.is_empty()).then(|| pointer(&asked.time)).transpose()?,
            inverse: asked.inverse,
            named: codes.map(|code| (code, name_of(code).unwrap_or_else(|| code.to_string()))).collect(),
            wrong: Mutex::default(),
        })
    }

    /// Keeps every price the document has; what is wrong with it, if anything. A source need not have every currency, but
    /// what it has must be right.
    fn read(&self, body: &[u8], asked: Moment, prices: &Prices) -> String {
        let Some(document) = Document::parse(body) else { return "no JSON".into() };
        let (mut found, mut wrong) = (0_usize, BTreeSet::new());
        for (currency, name) in &self.named {
            match self.price(&document, name, asked) {
                Ok(price) => {
                    prices.put(self.place, *currency, price, asked);
                    found = found.saturating_add(1);
                }
                Err("missing") => {}
                Err(other) => drop(wrong.insert(format!("{currency}: {other}"))),
            }
        }
        if found == 0 && wrong.is_empty() {
            return "no prices where they should be".into();
        }
        wrong.into_iter().collect::<Vec<_>>().join(", ")
    }

    fn price(
        &self,
        document: &Document<'_>,
        name: &str,
        asked: Moment,
    ) -> std::result::Result<Price, &'static str> {
        let price = document.price(&self.price, name)?;
        let usd = if self.inverse { Rate::cross(Rate::ONE, price).ok_or("no price")? } else { price };
        let Some(pointer) = &self.time else { return Ok(Price { usd, time: asked }) };
        let time = document.time(pointer, name).ok_or("no time")?;
        if time.ms_since(asked) > AHEAD_MS {
            return Err("a time in the future");
        }
        Ok(Price { usd, time })
    }
}

/// Encrypted, or not leaving this machine.
fn may_be_asked(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let here = host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => !host.is_empty(),
        "http" => here,
        _ => false,
    }
}

/// The document, or what is wrong in our words.
async fn fetch(client: &Client, url: &Url) -> std::result::Result<Vec<u8>, String> {
    let asking = client.get(url.clone()).header("accept", "application/json").send().await;
    let mut answer = asking.map_err(|e| reason(&e))?;
    if answer.status() != StatusCode::OK {
        return Err(format!("status {}", answer.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|e| reason(&e))? {
        if body.len().saturating_add(piece.len()) > LARGEST {
            return Err("the document is too large".into());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Without addresses, keys in a query, or anything the other side wrote.
fn reason(error: &reqwest::Error) -> String {
    let reason = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the answer broke off"
    };
    reason.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(url: &str) -> SourceSettings {
        SourceSettings {
            name: "a".into(),
            url: url.to_owned().into(),
            price: "/{code}".into(),
            names: [("POL".to_owned(), "MATIC".to_owned())].into(),
            time: String::new(),
            inverse: false,
        }
    }

    fn open(sources: Vec<SourceSettings>, quorum: u32) -> Result<Poller> {
        let settings = RateSettings { feed: "http".into(), sources, quorum, ..RateSettings::default() };
        Poller::open(&settings, &Currencies::built_in(), Clock::System)
    }

    #[test]
    fn what_cannot_work_is_refused_at_the_start() {
        for good in [
            "https://rates.example/v1?key=x",
            "http://127.0.0.1:1/",
            "http://[::1]:1/",
            "http://localhost:1/",
        ] {
            assert!(open(vec![source(good)], 1).is_ok(), "{good}");
        }
        for bad in [
            "http://rates.example/",
            "http://10.0.0.1/",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
            "",
            "rates",
        ] {
            assert!(open(vec![source(bad)], 1).is_err(), "{bad}");
        }
        let good = || source("https://rates.example/");
        assert!(open(vec![good(), good()], 1).is_err(), "the same name twice");
        assert!(open(vec![good()], 2).is_err(), "fewer than must agree");
        assert!(open(vec![SourceSettings { price: "/usd".into(), ..good() }], 1).is_err());
        assert!(open(vec![SourceSettings { price: "{code}".into(), ..good() }], 1).is_err());
        assert!(open(vec![SourceSettings { time: "t".into(), ..good() }], 1).is_err());
        let names = [("PLO".to_owned(), "MATIC".to_owned())].into();
        assert!(open(vec![SourceSettings { names, ..good() }], 1).is_err());
    }

    #[test]
    fn a_document_gives_what_is_right_in_it() {
        let asked = Moment::from_unix_s(1_800_000_000);
        let poller =
            open(vec![SourceSettings { time: "/at".into(), ..source("https://rates.example/") }], 1).unwrap();
        let (source, prices) = (&poller.0.sources[0], &*poller.0.prices);
        let usd = |code: &str| prices.price(code.parse().unwrap(), asked).map(|p| p.usd.to_string()).ok();
        let said = source.read(br#"{"at":1800000000,"MATIC":"0.5","POL":9,"BTC":-1}"#, asked, prices);
        assert_eq!(said, "BTC: no price");
        assert_eq!((usd("POL").as_deref(), usd("BTC")), (Some("0.5"), None));
        assert_eq!(source.read(br#"{"at":1800000061,"ETH":1}"#, asked, prices), "ETH: a time in the future");
        assert_eq!(source.read(br#"{"ETH":1}"#, asked, prices), "ETH: no time");
        assert_eq!(source.read(b"{}", asked, prices), "no prices where they should be");
        assert_eq!(source.read(b"<html>", asked, prices), "no JSON");
        assert_eq!(usd("ETH"), None);
    }

    #[test]
    fn an_inverse_source_says_what_a_dollar_is_worth() {
        let asked = Moment::from_unix_s(1_800_000_000);
        let poller =
            open(vec![SourceSettings { inverse: true, ..source("https://rates.example/") }], 1).unwrap();
        assert_eq!(poller.0.sources[0].read(br#"{"JPY":150}"#, asked, &poller.0.prices), "");
        let price = poller.0.prices.price("JPY".parse().unwrap(), asked).unwrap();
        assert_eq!(price.usd.to_string(), "0.00666666666666666666");
    }
}
