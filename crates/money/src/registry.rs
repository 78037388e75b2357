//! The registry: which currencies this installation has. A TOML file, checked whole when it is read, so that a mistake in
//! it stops the start and names the currency and the field.

use crate::wide::MOST_DECIMALS;
use crate::{Amount, Currency, CurrencyCode, CurrencyKind, CurrencyNetwork};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

const BUILT_IN: &str = include_str!("currencies.toml");

/// The currencies of an installation; clones share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currencies(Arc<BTreeMap<CurrencyCode, Currency>>);

/// What is wrong with a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Not TOML, or not the tables of a registry.
    #[error("the registry of currencies cannot be read: {0}")]
    Malformed(String),
    #[error("network {network}: {reason}")]
    Network { network: String, reason: String },
    /// The currency is its code as it is written, or its place when it has none.
    #[error("currency {currency}: {field}: {reason}")]
    Field { currency: String, field: &'static str, reason: String },
    /// A field is missing, has the wrong type or is unknown; the reason names it.
    #[error("currency {currency}: {reason}")]
    Fields { currency: String, reason: String },
    #[error("currency {0}: code: it is there twice")]
    Duplicate(CurrencyCode),
    #[error("currency USD is missing; rates are kept against it")]
    NoUsd,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRegistry {
    #[serde(default)]
    networks: BTreeMap<String, toml::Value>,
    currencies: Vec<toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNetwork {
    confirmations: u32,
    #[serde(default)]
    sandbox: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCurrency {
    code: String,
    name: String,
    kind: String,
    decimals: u8,
    #[serde(default)]
    networks: Vec<String>,
    overdraft: String,
}

impl Currencies {
    /// The registry that comes with the house.
    #[must_use]
    pub fn built_in() -> Self {
        static READ: OnceLock<Currencies> = OnceLock::new();
        #[expect(clippy::expect_used, reason = "the text is part of the program, and a test reads it")]
        let read = || Self::from_toml(BUILT_IN).expect("the built-in registry is valid");
        READ.get_or_init(read).clone()
    }

    /// Reads a registry in the form of the built-in one.
    ///
    /// # Errors
    /// As [`RegistryError`] says: the first mistake.
    pub fn from_toml(text: &str) -> Result<Self, RegistryError> {
        let raw: RawRegistry =
            toml::from_str(text).map_err(|error| RegistryError::Malformed(error.to_string()))?;
        let mut networks = BTreeMap::new();
        for (name, value) in raw.networks {
            networks.insert(name.clone(), network(name, value)?);
        }
        let mut currencies = BTreeMap::new();
        for (place, value) in raw.currencies.into_iter().enumerate() {
            let currency = currency(place, value, &networks)?;
            let code = currency.code;
            if currencies.insert(code, currency).is_some() {
                return Err(RegistryError::Duplicate(code));
            }
        }
        if !currencies.contains_key(&CurrencyCode::USD) {
            return Err(RegistryError::NoUsd);
        }
        Ok(Self(Arc::new(currencies)))
    }

    #[must_use]
    pub fn get(&self, code: CurrencyCode) -> Option<&Currency> {
        self.0.get(&code)
    }

    /// All of them, in the order of their codes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Currency> {
        self.0.values()
    }
}

/// The parser names the field on a line of its own.
fn one_line(text: &str) -> String {
    text.trim_end().replace('\n', " ")
}

fn network(name: String, value: toml::Value) -> Result<CurrencyNetwork, RegistryError> {
    let wrong = |network: &str, reason: &str| RegistryError::Network {
        network: network.to_owned(),
        reason: one_line(reason),
    };
    let spelt = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 30 || !name.bytes().all(spelt) {
        return Err(wrong(&name, "a name is 1 to 30 lower-case letters, digits and hyphens"));
    }
    let raw: RawNetwork =
        value.try_into().map_err(|error: toml::de::Error| wrong(&name, &error.to_string()))?;
    if raw.confirmations == 0 {
        return Err(wrong(
            &name,
            "confirmations: at least 1, or a payment would be final before it is in a block",
        ));
    }
    Ok(CurrencyNetwork { name, confirmations: raw.confirmations, sandbox: raw.sandbox })
}

fn currency(
    place: usize,
    value: toml::Value,
    networks: &BTreeMap<String, CurrencyNetwork>,
) -> Result<Currency, RegistryError> {
    let code = value.get("code").and_then(toml::Value::as_str);
    let named = code.map_or_else(|| format!("number {}", place.saturating_add(1)), str::to_owned);
    let raw: RawCurrency = value.try_into().map_err(|error: toml::de::Error| RegistryError::Fields {
        currency: named.clone(),
        reason: one_line(&error.to_string()),
    })?;
    let wrong = |field, reason: String| RegistryError::Field { currency: named.clone(), field, reason };
    let kind: CurrencyKind = raw.kind.parse().map_err(|error| wrong("kind", format!("{error}")))?;
    if raw.name.trim().is_empty() {
        return Err(wrong("name", "it is empty".to_owned()));
    }
    if raw.decimals > MOST_DECIMALS {
        return Err(wrong("decimals", format!("{} is more than {MOST_DECIMALS}", raw.decimals)));
    }
    let mut carried: Vec<CurrencyNetwork> = Vec::with_capacity(raw.networks.len());
    for name in &raw.networks {
        let network =
            networks.get(name).ok_or_else(|| wrong("networks", format!("there is no network {name}")))?;
        if carried.contains(network) {
            return Err(wrong("networks", format!("{name} is there twice")));
        }
        carried.push(network.clone());
    }
    match kind {
        CurrencyKind::Fiat if !carried.is_empty() => {
            return Err(wrong("networks", "fiat is on no network".to_owned()));
        }
        CurrencyKind::Crypto if carried.is_empty() => {
            return Err(wrong("networks", "crypto is on at least one network".to_owned()));
        }
        CurrencyKind::Fiat | CurrencyKind::Crypto => {}
    }
    let code = raw.code.parse().map_err(|error| wrong("code", format!("{error}")))?;
    let mut currency = Currency {
        code,
        name: raw.name,
        decimals: raw.decimals,
        kind,
        networks: carried,
        overdraft: Amount::ZERO,
    };
    currency.overdraft =
        currency.parse(&raw.overdraft).map_err(|error| wrong("overdraft", error.to_string()))?;
    Ok(currency)
}
