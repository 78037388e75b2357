//! The texts of amounts and codes: what is refused and how, and that what is written reads back.

use crate::given::{amount, currency, minor};
use beem_money::{Amount, AmountError, CurrencyCode, CurrencyKind, NotACurrencyCode, NotAnAmount};
use proptest::prelude::*;

#[test]
fn every_text_that_is_no_amount_is_refused_by_its_reason() {
    let ether = currency("ETH", 18);
    let long_zeros = "0".repeat(61);
    let long_letters = "x".repeat(61);
    let long_digits = "9".repeat(60);
    let table: &[(&str, AmountError)] = &[
        ("", AmountError::Empty),
        ("-1", AmountError::Sign),
        ("+1", AmountError::Sign),
        ("-0", AmountError::Sign),
        ("-", AmountError::Sign),
        ("-Infinity", AmountError::Sign),
        ("1e5", AmountError::Exponent),
        ("1E5", AmountError::Exponent),
        ("1.5e-3", AmountError::Exponent),
        ("1e", AmountError::Exponent),
        ("0e0", AmountError::Exponent),
        ("e5", AmountError::NotDecimal),
        ("NaN", AmountError::NotDecimal),
        ("Infinity", AmountError::NotDecimal),
        ("1.", AmountError::NotDecimal),
        (".5", AmountError::NotDecimal),
        (".", AmountError::NotDecimal),
        ("1..2", AmountError::NotDecimal),
        ("1.2.3", AmountError::NotDecimal),
        ("1.-2", AmountError::NotDecimal),
        (" 1", AmountError::NotDecimal),
        ("1 ", AmountError::NotDecimal),
        ("1\n", AmountError::NotDecimal),
        ("\u{0}", AmountError::NotDecimal),
        ("1_000", AmountError::NotDecimal),
        ("1,000", AmountError::NotDecimal),
        ("1,5", AmountError::NotDecimal),
        ("0x10", AmountError::NotDecimal),
        ("١", AmountError::NotDecimal),
        ("1.٥", AmountError::NotDecimal),
        ("１", AmountError::NotDecimal),
        ("−1", AmountError::NotDecimal),
        ("0.0000000000000000001", AmountError::TooManyDecimals { allowed: 18 }),
        ("0.0000000000000000000", AmountError::TooManyDecimals { allowed: 18 }),
        // 2^127 wei, one more than the largest.
        ("170141183460469231731.687303715884105728", AmountError::TooLarge),
        ("170141183460469231732", AmountError::TooLarge),
        (&long_digits, AmountError::TooLarge),
        (&long_zeros, AmountError::TooLarge),
        (&long_letters, AmountError::TooLarge),
    ];
    for (text, error) in table {
        assert_eq!(ether.parse(text), Err(*error), "{text:?}");
        assert_eq!(ether.parse_positive(text), Err(*error), "{text:?}");
    }
    for (text, decimals) in
        [("1.0", 0), ("1.00000000000000000", 0), ("100.255", 2), ("0.000", 2), ("1.1234567", 6)]
    {
        let refused = Err(AmountError::TooManyDecimals { allowed: decimals });
        assert_eq!(currency("X0", decimals).parse(text), refused, "{text:?} of {decimals}");
    }
}

#[test]
fn each_refusal_is_one_short_sentence() {
    let errors = [
        AmountError::Empty,
        AmountError::Sign,
        AmountError::Exponent,
        AmountError::NotDecimal,
        AmountError::TooManyDecimals { allowed: 2 },
        AmountError::TooLarge,
        AmountError::Zero,
    ];
    let texts: std::collections::BTreeSet<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), errors.len());
    assert!(texts.iter().all(|text| text.len() < 60));
    assert_eq!(
        AmountError::TooManyDecimals { allowed: 2 }.to_string(),
        "the amount must have no more than 2 decimals"
    );
}

#[test]
fn amounts_are_read_exactly() {
    let (ether, dollar, yen) = (currency("ETH", 18), currency("USD", 2), currency("JPY", 0));
    assert_eq!(ether.parse("0.000000000000000001"), Ok(minor(1)));
    assert_eq!(
        ether.parse("123456789012.345678901234567890"),
        Ok(minor(123_456_789_012_345_678_901_234_567_890))
    );
    assert_eq!(ether.parse("170141183460469231731.687303715884105727"), Ok(Amount::MAX));
    assert_eq!(dollar.parse("100.25"), Ok(minor(10_025)));
    assert_eq!(dollar.parse("100.2"), Ok(minor(10_020)));
    assert_eq!(dollar.parse("100"), Ok(minor(10_000)));
    assert_eq!(dollar.parse("007.5"), Ok(minor(750)));
    assert_eq!(dollar.parse(&format!("{}1.00", "0".repeat(56))), Ok(minor(100)));
    assert_eq!(yen.parse("150"), Ok(minor(150)));
    for zero in ["0", "0.0", "0.00", "00"] {
        assert_eq!(dollar.parse(zero), Ok(Amount::ZERO));
        assert_eq!(dollar.parse_positive(zero), Err(AmountError::Zero));
    }
    assert_eq!(dollar.parse_positive("0.01"), Ok(minor(1)));
}

#[test]
fn amounts_are_written_in_one_form() {
    let (ether, dollar, yen) = (currency("ETH", 18), currency("USD", 2), currency("JPY", 0));
    let table = [
        (&dollar, 0, "0.00"),
        (&dollar, 5, "0.05"),
        (&dollar, -5, "-0.05"),
        (&dollar, 10_025, "100.25"),
        (&dollar, -10_025, "-100.25"),
        (&yen, 0, "0"),
        (&yen, -150, "-150"),
        (&ether, 1, "0.000000000000000001"),
        (&ether, i128::MAX, "170141183460469231731.687303715884105727"),
        (&ether, i128::MIN, "-170141183460469231731.687303715884105728"),
        (&yen, i128::MIN, "-170141183460469231731687303715884105728"),
    ];
    for (currency, units, text) in table {
        assert_eq!(currency.format(minor(units)), text);
    }
}

#[test]
fn arithmetic_that_does_not_fit_is_none() {
    let least = minor(i128::MIN);
    assert_eq!(Amount::MAX.checked_add(minor(1)), None);
    assert_eq!(least.checked_add(minor(-1)), None);
    assert_eq!(least.checked_sub(minor(1)), None);
    assert_eq!(Amount::ZERO.checked_sub(least), None);
    assert_eq!(least.checked_neg(), None);
    assert_eq!(Amount::MAX.checked_neg(), Some(minor(-i128::MAX)));
    assert_eq!(minor(2).checked_sub(minor(5)), Some(minor(-3)));
    assert_eq!(minor(2).checked_add(minor(5)), Some(minor(7)));
    assert!(minor(-1).is_negative() && !minor(-1).is_positive() && !minor(-1).is_zero());
    assert!(minor(1).is_positive() && !minor(1).is_negative() && !minor(1).is_zero());
    assert!(Amount::ZERO.is_zero() && !Amount::ZERO.is_negative() && !Amount::ZERO.is_positive());
    assert_eq!(Amount::default(), Amount::ZERO);
}

#[test]
fn only_the_spelling_of_the_databases_is_a_stored_amount() {
    for text in ["", "-", "+1", "01", "-0", "-01", "1.0", "1e3", " 1", "1_0", "NaN", "١", "--1"] {
        assert_eq!(text.parse::<Amount>(), Err(NotAnAmount), "{text:?}");
    }
    assert_eq!("170141183460469231731687303715884105728".parse::<Amount>(), Err(NotAnAmount));
    assert_eq!("0".parse(), Ok(Amount::ZERO));
    assert_eq!("-170141183460469231731687303715884105728".parse(), Ok(minor(i128::MIN)));
}

#[test]
fn codes_are_what_they_must_be() {
    for text in ["", "U", "usd", "Usd", "1INCH", "USD ", "U-D", "USD€", "ABCDEFGHIJK", "\u{0}\u{0}", "ÄÖ"]
    {
        assert_eq!(CurrencyCode::parse(text), Err(NotACurrencyCode), "{text:?}");
    }
    for text in ["US", "USD", "USDC", "X9", "ABCDEFGHIJ"] {
        let code: CurrencyCode = text.parse().unwrap();
        assert_eq!(code.as_str(), text);
        assert_eq!(format!("{code} {code:?} {code:>12}"), format!("{text} {text} {text:>12}"));
        let json = serde_json::to_string(&code).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<CurrencyCode>(&json).unwrap(), code);
    }
    assert!(serde_json::from_str::<CurrencyCode>("\"usd\"").is_err());
    assert_eq!(CurrencyCode::parse("USD"), Ok(CurrencyCode::USD));
    assert_eq!("FIAT".parse(), Ok(CurrencyKind::Fiat));
    assert_eq!("CRYPTO".parse(), Ok(CurrencyKind::Crypto));
    assert!("fiat".parse::<CurrencyKind>().is_err());
}

proptest! {
    #[test]
    fn what_is_written_reads_back(amount in amount(), decimals in 0_u8..=18) {
        let currency = currency("XYZ", decimals);
        let text = currency.format(amount);
        prop_assert_eq!(currency.parse(&text), Ok(amount));
        let negative = amount.checked_neg().unwrap();
        let sign = if amount.is_zero() { "" } else { "-" };
        prop_assert_eq!(currency.format(negative), format!("{sign}{text}"));
        for stored in [amount, negative] {
            prop_assert_eq!(stored.to_string().parse::<Amount>(), Ok(stored));
        }
    }

    #[test]
    fn what_is_read_is_written_canonically(whole in "[0-9]{1,20}", fraction in "[0-9]{0,18}", decimals in 0_u8..=18) {
        let currency = currency("XYZ", decimals);
        let text = if fraction.is_empty() { whole.clone() } else { format!("{whole}.{fraction}") };
        let wanted = usize::from(decimals);
        let read = currency.parse(&text);
        if fraction.len() > wanted {
            prop_assert_eq!(read, Err(AmountError::TooManyDecimals { allowed: decimals }));
        } else {
            let whole = whole.trim_start_matches('0');
            let whole = if whole.is_empty() { "0" } else { whole };
            let point = if wanted == 0 { "" } else { "." };
            prop_assert_eq!(currency.format(read.unwrap()), format!("{whole}{point}{fraction:0<wanted$}"));
        }
    }

    #[test]
    fn no_text_makes_it_panic_and_only_decimals_are_taken(text in "\\PC{0,70}|[0-9.eE+\\-]{0,12}") {
        let plain = {
            let mut parts = text.split('.');
            let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            parts.next().is_some_and(digits) && parts.next().is_none_or(digits) && parts.next().is_none()
        };
        let read = currency("XYZ", 8).parse(&text);
        prop_assert!(plain || read.is_err());
        let stored = text.parse::<Amount>();
        prop_assert!(stored.is_err() || stored.unwrap().to_string() == text);
    }

    #[test]
    fn codes_are_ordered_as_text(a in "[A-Z][A-Z0-9]{1,9}", b in "[A-Z][A-Z0-9]{1,9}") {
        let (x, y) = (CurrencyCode::parse(&a).unwrap(), CurrencyCode::parse(&b).unwrap());
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
    }
}
