//! Prices that stand in a TOML file, one for each currency of the registry. They are never stale: whoever writes them down
//! stands for them.

use super::Feed;
use super::prices::{Missing, Price};
use beem_clock::Moment;
use beem_fault::{Fault, Result};
use beem_money::{Currencies, CurrencyCode, Rate};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

const BUILT_IN: &str = include_str!("fixed.toml");
const FIELD: &str = "rates.fixed_file";

/// `[usd]`: texts, since a TOML number would be a float.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    usd: BTreeMap<String, String>,
}

/// See the module.
#[derive(Debug)]
pub struct Fixed(BTreeMap<CurrencyCode, Rate>);

impl Fixed {
    /// Reads the file; an empty path is the built-in one.
    ///
    /// # Errors
    /// `validation-failed` naming every currency of the registry that has no price, or the price that is none.
    pub fn open(path: &Path, currencies: &Currencies) -> Result<Self> {
        if path.as_os_str().is_empty() {
            return Self::read(BUILT_IN, currencies);
        }
        let text = std::fs::read_to_string(path).map_err(|e| Fault::field(FIELD, e.to_string()))?;
        Self::read(&text, currencies)
    }

    /// Prices of currencies that the registry does not have are not looked at.
    fn read(text: &str, currencies: &Currencies) -> Result<Self> {
        let file: File = toml::from_str(text).map_err(|e| Fault::field(FIELD, e.to_string()))?;
        let (mut prices, mut missing) = (BTreeMap::new(), Vec::new());
        for currency in currencies.iter() {
            let code = currency.code;
            let Some(text) = file.usd.get(code.as_str()) else {
                if code != CurrencyCode::USD {
                    missing.push(currency.code.as_str());
                }
                continue;
            };
            let price = Rate::parse(text).map_err(|e| Fault::field(FIELD, format!("{code}: {e}")))?;
            if code == CurrencyCode::USD && price != Rate::ONE {
                return Err(Fault::field(FIELD, "USD is 1"));
            }
            prices.insert(code, price);
        }
        if missing.is_empty() {
            return Ok(Self(prices));
        }
        Err(Fault::field(FIELD, format!("no price for {}", missing.join(", "))))
    }
}

impl Feed for Fixed {
    fn price(&self, currency: CurrencyCode, now: Moment) -> std::result::Result<Price, Missing> {
        let usd = self.0.get(&currency).copied().ok_or(Missing::TooFew { current: 0, quorum: 1 })?;
        Ok(Price { usd, time: now })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_file_covers_the_built_in_registry() {
        let currencies = Currencies::built_in();
        let fixed = Fixed::open(Path::new(""), &currencies).unwrap();
        let now = Moment::from_unix_ms(0);
        assert!(currencies.iter().all(|currency| fixed.price(currency.code, now).is_ok()));
    }

    #[test]
    fn what_is_missing_or_no_price_is_named() {
        let currencies = Currencies::built_in();
        let read = |text: &str| Fixed::read(text, &currencies).unwrap_err().detail;
        let whole: Vec<&str> =
            BUILT_IN.lines().filter(|l| !l.starts_with("ETH") && !l.starts_with("TRX")).collect();
        assert!(read(&whole.join("\n")).ends_with("no price for ETH, TRX"));
        assert!(read(&BUILT_IN.replace("USD = \"1\"", "USD = \"2\"")).ends_with("USD is 1"));
        assert!(
            read(&BUILT_IN.replace("\"97000.5\"", "\"1e5\""))
                .contains("BTC: the rate must not have an exponent")
        );
        assert!(read(&BUILT_IN.replace("\"97000.5\"", "97000.5")).contains("BTC"), "a float");
        assert!(read(&BUILT_IN.replace("\"97000.5\"", "\"0\"")).contains("BTC"));
        assert!(read("").contains("usd"));
    }
}
