//! The registry: what comes with the house, and every mistake in a file, named.

use beem_money::{Currencies, CurrencyCode, CurrencyKind, RegistryError};

fn code(text: &str) -> CurrencyCode {
    CurrencyCode::parse(text).unwrap()
}

#[test]
fn the_built_in_currencies_are_as_their_networks_have_them() {
    let currencies = Currencies::built_in();
    let decimals = [
        ("AUD", 2),
        ("BNB", 18),
        ("BTC", 8),
        ("CAD", 2),
        ("CHF", 2),
        ("DAI", 18),
        ("ETH", 18),
        ("EUR", 2),
        ("EURC", 6),
        ("GBP", 2),
        ("JPY", 0),
        ("POL", 18),
        ("SOL", 9),
        ("TRX", 6),
        ("USD", 2),
        ("USDC", 6),
        ("USDT", 6),
        ("XRP", 6),
    ];
    let found: Vec<_> =
        currencies.iter().map(|currency| (currency.code.as_str(), currency.decimals)).collect();
    assert_eq!(found, decimals);
    for currency in currencies.iter() {
        assert!(currency.overdraft.is_positive(), "{}", currency.code);
        assert_eq!(currencies.get(currency.code), Some(currency));
        let fake: Vec<_> = currency.networks.iter().filter(|network| network.sandbox).collect();
        match currency.kind {
            CurrencyKind::Fiat => assert!(currency.networks.is_empty()),
            CurrencyKind::Crypto => {
                assert_eq!(fake.len(), 1, "{}", currency.code);
                assert_eq!((fake[0].name.as_str(), fake[0].confirmations), ("sandbox", 2));
                assert!(currency.networks.len() > 1, "{}", currency.code);
            }
        }
    }
    let networks: std::collections::BTreeSet<_> = currencies
        .iter()
        .flat_map(|currency| currency.networks.iter().map(|network| network.name.as_str()))
        .collect();
    let named =
        ["arbitrum", "base", "bitcoin", "bnb", "ethereum", "polygon", "sandbox", "solana", "tron", "xrp"];
    assert_eq!(networks.into_iter().collect::<Vec<_>>(), named);
    assert_eq!(currencies.get(code("XAU")), None);
    let dollar = currencies.get(CurrencyCode::USD).unwrap();
    assert_eq!(dollar.format(dollar.overdraft), "1000000.00");
}

const USD: &str = r#"
[[currencies]]
code = "USD"
name = "US dollar"
kind = "FIAT"
decimals = 2
overdraft = "1"
"#;

const NETWORKS: &str = "[networks]\nbitcoin = { confirmations = 3 }\n";

/// A registry with USD and one more currency.
fn with(lines: &str) -> Result<Currencies, RegistryError> {
    Currencies::from_toml(&format!("{NETWORKS}{USD}\n[[currencies]]\n{lines}"))
}

#[test]
fn a_registry_of_ones_own_is_read() {
    let currencies = with(
        "code = 'BTC'\nname = 'Bitcoin'\nkind = 'CRYPTO'\ndecimals = 8\nnetworks = ['bitcoin']\noverdraft = '0.5'",
    )
    .unwrap();
    assert_eq!(currencies.iter().len(), 2);
    let bitcoin = currencies.get(code("BTC")).unwrap();
    assert_eq!(bitcoin.overdraft.minor(), 50_000_000);
    assert_eq!((bitcoin.networks[0].confirmations, bitcoin.networks[0].sandbox), (3, false));
    assert_eq!(currencies.clone(), currencies);
}

#[test]
fn every_mistake_is_named_with_its_currency_and_field() {
    let whole = |code: &str, kind: &str, decimals: &str, networks: &str, overdraft: &str| {
        format!(
            "code = '{code}'\nname = 'N'\nkind = '{kind}'\ndecimals = {decimals}\nnetworks = {networks}\n\
             overdraft = '{overdraft}'"
        )
    };
    let table = [
        (whole("USD", "FIAT", "2", "[]", "1"), vec!["USD", "code", "twice"]),
        (whole("btc", "FIAT", "2", "[]", "1"), vec!["btc", "code"]),
        (whole("BTC", "COIN", "2", "[]", "1"), vec!["BTC", "kind"]),
        (whole("BTC", "CRYPTO", "19", "['bitcoin']", "1"), vec!["BTC", "decimals", "19"]),
        (whole("BTC", "CRYPTO", "300", "['bitcoin']", "1"), vec!["BTC", "decimals"]),
        (whole("BTC", "CRYPTO", "-1", "['bitcoin']", "1"), vec!["BTC", "decimals"]),
        (whole("BTC", "CRYPTO", "'8'", "['bitcoin']", "1"), vec!["BTC", "decimals"]),
        (whole("BTC", "CRYPTO", "8", "['bitcoin', 'lightning']", "1"), vec!["BTC", "networks", "lightning"]),
        (
            whole("BTC", "CRYPTO", "8", "['bitcoin', 'bitcoin']", "1"),
            vec!["BTC", "networks", "bitcoin", "twice"],
        ),
        (whole("BTC", "CRYPTO", "8", "[]", "1"), vec!["BTC", "networks"]),
        (whole("BTC", "FIAT", "8", "['bitcoin']", "1"), vec!["BTC", "networks"]),
        (whole("BTC", "CRYPTO", "8", "['bitcoin']", "-1"), vec!["BTC", "overdraft", "sign"]),
        (whole("BTC", "CRYPTO", "8", "['bitcoin']", "0.000000001"), vec!["BTC", "overdraft", "8 decimals"]),
        (
            "code = 'BTC'\nname = ' '\nkind = 'FIAT'\ndecimals = 8\noverdraft = '1'".to_owned(),
            vec!["BTC", "name", "empty"],
        ),
        ("code = 'BTC'\nname = 'N'\nkind = 'FIAT'\noverdraft = '1'".to_owned(), vec!["BTC", "decimals"]),
        ("code = 'BTC'\nname = 'N'\nkind = 'FIAT'\ndecimals = 2".to_owned(), vec!["BTC", "overdraft"]),
        (
            "code = 'BTC'\nname = 'N'\nkind = 'FIAT'\ndecimals = 2\noverdraft = 1.5".to_owned(),
            vec!["BTC", "overdraft"],
        ),
        (
            "code = 'BTC'\nname = 'N'\nkind = 'FIAT'\ndecimals = 2\noverdraft = '1'\ncolour = 'red'"
                .to_owned(),
            vec!["BTC", "colour"],
        ),
        ("name = 'N'".to_owned(), vec!["number 2", "code"]),
    ];
    for (lines, words) in table {
        let error = with(&lines).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error:?}");
        for word in words {
            assert!(error.contains(word), "{word} in {error:?} of {lines}");
        }
    }
}

#[test]
fn a_registry_without_dollars_or_without_sense_is_refused() {
    assert_eq!(Currencies::from_toml("currencies = []"), Err(RegistryError::NoUsd));
    for text in ["", "currencies = 1", "[[currencies]", "colour = 'red'\ncurrencies = []"] {
        assert!(matches!(Currencies::from_toml(text), Err(RegistryError::Malformed(_))), "{text}");
    }
    for (network, word) in [
        ("bitcoin = { confirmations = 0 }", "confirmations"),
        ("bitcoin = { confirmations = -1 }", "confirmations"),
        ("bitcoin = { }", "confirmations"),
        ("bitcoin = { confirmations = 1, fast = true }", "fast"),
        ("Bitcoin = { confirmations = 1 }", "name"),
        ("'' = { confirmations = 1 }", "name"),
    ] {
        let error = Currencies::from_toml(&format!("[networks]\n{network}\n{USD}")).unwrap_err();
        assert!(matches!(error, RegistryError::Network { .. }), "{error:?}");
        assert!(error.to_string().contains(word), "{error}");
    }
}
