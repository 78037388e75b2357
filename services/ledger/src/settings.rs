//! What an operator may set about the ledger.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_fault::{Code, Fault, FieldFault, Result};
use beem_money::Currencies;
use beem_settings::Secret;
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Settings of the ledger; the defaults fit a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerSettings {
    /// A TOML file of currencies and networks in place of the built-in one; empty: built in.
    pub currencies_file: PathBuf,
    /// Per currency, how far liquidity may go below zero in a live installation, in that currency, in place of the
    /// registry's: `USD = "5000000"`.
    pub overdraft: BTreeMap<String, String>,
    /// Seconds a quote holds, 1 to 3600.
    pub quote_ttl_s: u32,
    /// Days a quote that was not carried out is kept after it expired, 1 to 3650.
    pub quotes_kept_days: u32,
    /// Millionths between the middle rate and the one a conversion gets, 0 to 500000.
    pub spread_millionths: u32,
    /// Millionths of what is given that are kept as a fee, 0 to 500000.
    pub fee_millionths: u32,
    /// Other spreads and fees for some pairs.
    pub pairs: Vec<PairSettings>,
    pub rates: RateSettings,
    /// Transfers and holds in one database transaction at most, 1 to 1000.
    pub group_size: u32,
    /// Transfers and holds that may wait for the writer, 1000 to 1000000; beyond them callers are answered 503.
    pub queue_size: u32,
    /// Microseconds a group waits for more orders while they keep coming, 0 to 10000.
    pub gather_us: u32,
    /// Public writes, and other services' that are not transfers or holds alone, under way at once, 1 to 200. They share the
    /// database's connections with the writer, which must find some left: fewer than `max_connections` of the database.
    pub writes_at_once: u32,
    /// Seconds between two signed heads of the books, 10 to 86400.
    pub head_interval_s: u32,
    /// Former public keys of the ledger, base64, that signed heads.
    pub former_keys: Vec<String>,
    /// Seconds between two rounds of forgetting, 1 to 3600.
    pub purge_interval_s: u32,
    /// Days an event stays in the feed, 1 to 365.
    pub feed_retention_days: u32,
}

/// `[[ledger.pairs]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairSettings {
    pub from: String,
    pub to: String,
    pub spread_millionths: u32,
    pub fee_millionths: u32,
}

/// `[ledger.rates]`: where prices come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateSettings {
    /// fixed or http.
    pub feed: String,
    /// Of `fixed`: a TOML file `[usd]` with what one unit of each currency is worth; empty: built in.
    pub fixed_file: PathBuf,
    /// Of `http`: the sources.
    pub sources: Vec<SourceSettings>,
    /// Sources that must agree on a price, 1 to 10.
    pub quorum: u32,
    /// Seconds after which a price is too old, 1 to 86400.
    pub stale_after_s: u32,
    /// Millionths by which sources may differ, 1 to 500000.
    pub disagreement_millionths: u32,
    /// Seconds between two looks at a source, 1 to 3600.
    pub poll_interval_s: u32,
}

/// `[[ledger.rates.sources]]`: a JSON document of prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// For logs and metrics.
    pub name: String,
    /// https, or http to this machine. Not printed: it may hold a key.
    pub url: Secret<String>,
    /// A JSON pointer to the price in US dollars of one unit, with `{code}` or `{lower}` for the currency: `/data/{code}/usd`.
    pub price: String,
    /// Other names the source has for a currency: `{ POL = "MATIC" }`.
    #[serde(default)]
    pub names: BTreeMap<String, String>,
    /// A JSON pointer to when the price was made: Unix seconds, milliseconds, or RFC 3339. Empty: when it was fetched.
    #[serde(default)]
    pub time: String,
    /// The price is US dollars' in the currency (1 USD = …), not the other way round.
    #[serde(default)]
    pub inverse: bool,
}

impl Default for RateSettings {
    fn default() -> Self {
        Self {
            feed: "fixed".into(),
            fixed_file: PathBuf::new(),
            sources: Vec::new(),
            quorum: 1,
            stale_after_s: 120,
            disagreement_millionths: 20_000,
            poll_interval_s: 15,
        }
    }
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self {
            currencies_file: PathBuf::new(),
            overdraft: BTreeMap::new(),
            quote_ttl_s: 60,
            quotes_kept_days: 30,
            spread_millionths: 0,
            fee_millionths: 0,
            pairs: Vec::new(),
            rates: RateSettings::default(),
            group_size: 1000,
            queue_size: 10_000,
            gather_us: 300,
            writes_at_once: 6,
            head_interval_s: 3600,
            former_keys: Vec::new(),
            purge_interval_s: 60,
            feed_retention_days: 30,
        }
    }
}

impl LedgerSettings {
    /// The registry of currencies.
    ///
    /// # Errors
    /// `validation-failed` when the file cannot be read or does not fit.
    pub fn currencies(&self) -> Result<Currencies> {
        if self.currencies_file.as_os_str().is_empty() {
            return Ok(Currencies::built_in());
        }
        let wrong = |e: &dyn std::fmt::Display| Fault::field("currencies_file", e.to_string());
        let text = std::fs::read_to_string(&self.currencies_file).map_err(|e| wrong(&e))?;
        Currencies::from_toml(&text).map_err(|e| wrong(&e))
    }

    /// Every key that heads of the books were ever signed with.
    ///
    /// # Errors
    /// `validation-failed` for a former key that is none.
    pub fn keys(&self, current: &SigningKey) -> Result<Vec<VerifyingKey>> {
        let wrong = || Fault::field("former_keys", "Ed25519 public keys, 32 bytes in base64");
        let former = self.former_keys.iter().map(|text| {
            let bytes = STANDARD.decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            VerifyingKey::from_bytes(&bytes.ok_or_else(wrong)?).map_err(|_| wrong())
        });
        former.chain([Ok(current.verifying_key())]).collect()
    }

    /// Whether this can work at all.
    ///
    /// # Errors
    /// `validation-failed` naming each field that is wrong.
    pub fn validate(&self) -> Result<()> {
        let mut wrong = Vec::new();
        let mut check = |fits: bool, field: &str, detail: &str| {
            if !fits {
                let (field, detail) = (field.to_owned(), detail.to_owned());
                wrong.push(FieldFault { field, code: Code::ValidationFailed, detail });
            }
        };
        let millionths = |n: u32| n <= 500_000;
        check((1..=3600).contains(&self.quote_ttl_s), "quote_ttl_s", "1 to 3600");
        check((1..=3650).contains(&self.quotes_kept_days), "quotes_kept_days", "1 to 3650");
        check(millionths(self.spread_millionths), "spread_millionths", "0 to 500000");
        check(millionths(self.fee_millionths), "fee_millionths", "0 to 500000");
        let pairs =
            self.pairs.iter().all(|p| millionths(p.spread_millionths) && millionths(p.fee_millionths));
        check(pairs, "pairs", "spread_millionths and fee_millionths are 0 to 500000");
        check((1..=1000).contains(&self.group_size), "group_size", "1 to 1000");
        check((1000..=1_000_000).contains(&self.queue_size), "queue_size", "1000 to 1000000");
        check(self.gather_us <= 10_000, "gather_us", "0 to 10000");
        check((1..=200).contains(&self.writes_at_once), "writes_at_once", "1 to 200");
        check((10..=86_400).contains(&self.head_interval_s), "head_interval_s", "10 to 86400");
        check((1..=3600).contains(&self.purge_interval_s), "purge_interval_s", "1 to 3600");
        check((1..=365).contains(&self.feed_retention_days), "feed_retention_days", "1 to 365");
        let rates = &self.rates;
        check(matches!(rates.feed.as_str(), "fixed" | "http"), "rates.feed", "fixed or http");
        check((1..=10).contains(&rates.quorum), "rates.quorum", "1 to 10");
        check((1..=86_400).contains(&rates.stale_after_s), "rates.stale_after_s", "1 to 86400");
        check((1..=3600).contains(&rates.poll_interval_s), "rates.poll_interval_s", "1 to 3600");
        let apart = (1..=500_000).contains(&rates.disagreement_millionths);
        check(apart, "rates.disagreement_millionths", "1 to 500000");
        if wrong.is_empty() { Ok(()) } else { Err(Fault::fields(wrong)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_and_every_wrong_field_is_named() {
        LedgerSettings::default().validate().unwrap();
        let rates = RateSettings { feed: "guess".into(), quorum: 0, ..RateSettings::default() };
        let wrong = LedgerSettings {
            quote_ttl_s: 0,
            group_size: 1001,
            queue_size: 999,
            writes_at_once: 0,
            rates,
            ..LedgerSettings::default()
        };
        assert_eq!(wrong.validate().unwrap_err().fields.len(), 6);
    }

    #[test]
    fn the_address_of_a_source_is_not_printed() {
        let source =
            serde_json::json!({ "name": "a", "url": "https://h.example/?key=hidden", "price": "/{code}" });
        let source: SourceSettings = serde_json::from_value(source).unwrap();
        assert_eq!(source.url.expose(), "https://h.example/?key=hidden");
        let rates = RateSettings { sources: vec![source], ..RateSettings::default() };
        let settings = LedgerSettings { rates, ..LedgerSettings::default() };
        let shown = format!("{settings:?}{}", serde_json::to_string(&settings).unwrap());
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
