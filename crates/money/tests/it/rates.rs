//! Rates: their texts, and that every product and quotient is the exact one rounded to the right side. The exact one is
//! computed here in 2048 bits, by another formula.

use crate::given::{DECIMALS, amount, market_rate, minor, parsed, rate};
use beem_money::{Amount, Rate, RateError, share_ceil};
use proptest::prelude::*;
use std::cmp::Ordering;

type Huge = ruint::Uint<2048, 32>;

/// Makes every exponent that occurs a whole number of places.
const SHIFT: i32 = 120;

/// A rate times 10^SHIFT.
fn exact(rate: Rate) -> Huge {
    Huge::from(rate.mantissa()) * ten(i32::from(rate.exponent()) + SHIFT)
}

fn ten(exponent: i32) -> Huge {
    Huge::from(10).pow(Huge::from(exponent))
}

fn huge(amount: Amount) -> Huge {
    Huge::from(amount.minor())
}

/// One up in the last of 18 digits, times 10^SHIFT.
fn next(rate: Rate) -> Huge {
    let places = 17 - i32::try_from(rate.mantissa().ilog10()).unwrap();
    exact(rate) + ten(i32::from(rate.exponent()) - places + SHIFT)
}

#[test]
fn every_text_that_is_no_rate_is_refused_by_its_reason() {
    let long = "1".repeat(101);
    let table: &[(&str, RateError)] = &[
        ("", RateError::Empty),
        ("-1", RateError::Sign),
        ("+1", RateError::Sign),
        ("-NaN", RateError::Sign),
        ("NaN", RateError::NotDecimal),
        ("Infinity", RateError::NotDecimal),
        ("inf", RateError::NotDecimal),
        ("1.", RateError::NotDecimal),
        (".5", RateError::NotDecimal),
        (".e5", RateError::NotDecimal),
        ("e5", RateError::NotDecimal),
        (" 1", RateError::NotDecimal),
        ("1 ", RateError::NotDecimal),
        ("1_000", RateError::NotDecimal),
        ("1,5", RateError::NotDecimal),
        ("1.2.3", RateError::NotDecimal),
        ("١", RateError::NotDecimal),
        ("0", RateError::Zero),
        ("0.000", RateError::Zero),
        (&long, RateError::TooLong),
        ("2000000000000000000000000000000", RateError::OutOfBounds),
        ("0.0000000000000000000000000000009", RateError::OutOfBounds),
    ];
    for (text, error) in table {
        assert_eq!(Rate::parse(text), Err(*error), "{text:?}");
        assert_eq!(Rate::parse_feed(text), Err(*error), "{text:?}");
    }
    for text in ["1e5", "1E5", "1.5e-7", "1e", "0e1"] {
        assert_eq!(Rate::parse(text), Err(RateError::Exponent), "{text:?}");
    }
    for (text, error) in [
        ("1e", RateError::NotDecimal),
        ("1e+", RateError::NotDecimal),
        ("1e-", RateError::NotDecimal),
        ("1e--5", RateError::NotDecimal),
        ("1e5.5", RateError::NotDecimal),
        ("1e5e5", RateError::NotDecimal),
        ("1.e5", RateError::NotDecimal),
        ("0e5", RateError::Zero),
        ("-1e5", RateError::Sign),
        ("1e31", RateError::OutOfBounds),
        ("1e-31", RateError::OutOfBounds),
        ("1e10001", RateError::OutOfBounds),
        ("1e99999999999999999999999", RateError::OutOfBounds),
        ("1e-99999999999999999999999", RateError::OutOfBounds),
    ] {
        assert_eq!(Rate::parse_feed(text), Err(error), "{text:?}");
    }
}

#[test]
fn rates_are_read_and_written_plainly() {
    for (text, written) in [
        ("1", "1"),
        ("1.0", "1"),
        ("100", "100"),
        ("0100.50", "100.5"),
        ("0.00001525", "0.00001525"),
        ("64250.1200", "64250.12"),
        ("123456789012345678", "123456789012345678"),
        ("1234567890123456789", "1234567890123456780"),
        ("1000000000000000000000000000001", "1000000000000000000000000000000"),
        ("0.1234567890123456789", "0.123456789012345678"),
        ("1.99999999999999999999999", "1.99999999999999999"),
        ("0.000000000000000000000000000001", "0.000000000000000000000000000001"),
        ("1000000000000000000000000000000", "1000000000000000000000000000000"),
    ] {
        let rate = parsed(text);
        assert_eq!(rate.to_string(), written);
        assert_eq!(Rate::parse_feed(text), Ok(rate));
        assert_eq!(written.parse(), Ok(rate));
    }
    for (text, written) in [
        ("1.5e-7", "0.00000015"),
        ("1.5E+3", "1500"),
        ("25e-1", "2.5"),
        ("1e30", "1000000000000000000000000000000"),
        ("0.001e33", "1000000000000000000000000000000"),
        ("1e-30", "0.000000000000000000000000000001"),
        ("1000e-33", "0.000000000000000000000000000001"),
        ("7e00000000000000002", "700"),
        ("7e0", "7"),
    ] {
        assert_eq!(Rate::parse_feed(text).unwrap().to_string(), written);
    }
    assert_eq!(Rate::ONE.to_string(), "1");
    assert_eq!(parsed("1.000"), Rate::ONE);
    assert_eq!(serde_json::to_string(&parsed("0.50")).unwrap(), "\"0.5\"");
    assert_eq!(serde_json::from_str::<Rate>("\"0.5\"").unwrap(), parsed("0.5"));
    assert!(serde_json::from_str::<Rate>("0.5").is_err());
}

#[test]
fn rates_made_of_rates_are_rounded_down() {
    let cross = |from: &str, to: &str| Rate::cross(parsed(from), parsed(to)).map(|rate| rate.to_string());
    assert_eq!(cross("1", "3").as_deref(), Some("0.333333333333333333"));
    assert_eq!(cross("2", "3").as_deref(), Some("0.666666666666666666"));
    assert_eq!(cross("64000", "1.25").as_deref(), Some("51200"));
    assert_eq!(cross("1000000000000000000000", "0.0000000001"), None);
    assert_eq!(cross("0.0000000001", "1000000000000000000000.1"), None);
    assert_eq!(parsed("100").less_millionths(5_000), Some(parsed("99.5")));
    assert_eq!(parsed("0.333333333333333333").less_millionths(1), Some(parsed("0.333332999999999999")));
    assert_eq!(parsed("100").less_millionths(0), Some(parsed("100")));
    assert_eq!(parsed("100").less_millionths(999_999), Some(parsed("0.0001")));
    assert_eq!(parsed("100").less_millionths(1_000_000), None);
    assert_eq!(parsed("100").less_millionths(u32::MAX), None);
    assert_eq!(Rate::parse_feed("1e-30").unwrap().less_millionths(1), None);
    assert_eq!(parsed("100").more_millionths(5_000), Some(parsed("100.5")));
    assert_eq!(parsed("0.999999999999999999").more_millionths(1), Some(parsed("1.00000099999999999")));
    assert_eq!(Rate::parse_feed("1e30").unwrap().more_millionths(1), None);
    assert_eq!(Rate::ONE.more_millionths(u32::MAX), None);
}

#[test]
fn the_median_is_the_middle_one_or_the_average_of_two() {
    let of = |texts: &[&str]| {
        Rate::median(&texts.iter().map(|text| parsed(text)).collect::<Vec<_>>()).map(|rate| rate.to_string())
    };
    assert_eq!(of(&[]), None);
    assert_eq!(of(&["2"]).as_deref(), Some("2"));
    assert_eq!(of(&["3", "100000", "0.1"]).as_deref(), Some("3"));
    assert_eq!(of(&["3", "1"]).as_deref(), Some("2"));
    assert_eq!(of(&["9", "1.5", "2", "0.1"]).as_deref(), Some("1.75"));
    assert_eq!(
        of(&["0.333333333333333333", "0.333333333333333334"]).as_deref(),
        Some("0.333333333333333333")
    );
}

#[test]
fn how_far_apart_rates_are_is_rounded_up() {
    let apart = |a: &str, b: &str| Rate::apart_millionths(parsed(a), parsed(b));
    assert_eq!(apart("1", "1"), 0);
    assert_eq!(apart("100", "101"), 10_000);
    assert_eq!(apart("101", "100"), 10_000);
    assert_eq!(apart("1", "1.000001"), 1);
    assert_eq!(apart("1", "1.00000000000000001"), 1);
    assert_eq!(apart("1", "3"), 2_000_000);
    assert_eq!(apart("1000000000000000000000000000000", "0.000000000000000000000000000001"), u64::MAX);
}

#[test]
fn products_of_thirty_digits_are_exact() {
    let units = minor(123_456_789_012_345_678_901_234_567_890);
    let rate = parsed("1.23456789012345678");
    assert_eq!(rate.out_floor(units, 18, 18), Some(minor(152_415_787_532_388_366_392_318_256_639)));
    assert_eq!(rate.out_floor(units, 18, 2), Some(minor(15_241_578_753_238)));
    assert_eq!(parsed("64250.12").out_floor(minor(100_000_000), 8, 2), Some(minor(6_425_012)));
    assert_eq!(parsed("0.005").out_floor(minor(199), 2, 0), Some(Amount::ZERO));
    assert_eq!(Rate::ONE.out_floor(Amount::MAX, 18, 18), Some(Amount::MAX));
    assert_eq!(Rate::ONE.out_floor(Amount::MAX, 17, 18), None);
    assert_eq!(Rate::ONE.in_ceil(Amount::MAX, 18, 17), None);
    assert_eq!(
        Rate::ONE.in_ceil(Amount::MAX, 17, 18),
        Some(minor(17_014_118_346_046_923_173_168_730_371_588_410_573))
    );
    assert_eq!(Rate::ONE.in_ceil(Amount::ZERO, 18, 0), Some(Amount::ZERO));
    for amount in [minor(-1), minor(i128::MIN)] {
        assert_eq!(Rate::ONE.out_floor(amount, 2, 2), None);
        assert_eq!(Rate::ONE.in_ceil(amount, 2, 2), None);
        assert_eq!(share_ceil(amount, 1), None);
    }
    assert_eq!(Rate::ONE.out_floor(minor(1), 19, 2), None);
    assert_eq!(Rate::ONE.in_ceil(minor(1), 2, u8::MAX), None);
}

proptest! {
    #[test]
    fn a_rate_reads_back(rate in rate()) {
        prop_assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
        prop_assert_eq!(Rate::parse_feed(&rate.to_string()), Ok(rate));
        prop_assert!(rate.mantissa() % 10 != 0 && rate.mantissa() < 1_000_000_000_000_000_000);
        prop_assert!(rate.to_string().len() <= 49);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,110}|[0-9.eE+\\-]{0,40}") {
        let _ = Rate::parse(&text);
        let _ = Rate::parse_feed(&text);
    }

    #[test]
    fn rates_are_ordered_by_value(a in rate(), b in rate(), near in market_rate(), n in 0_u32..3) {
        prop_assert_eq!(a.cmp(&b), exact(a).cmp(&exact(b)));
        prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
        let moved = near.more_millionths(n).unwrap();
        prop_assert_eq!(near.cmp(&moved), exact(near).cmp(&exact(moved)));
    }

    #[test]
    fn out_is_the_floor_and_in_is_the_least(amount in amount(), rate in rate()) {
        for (from, to) in DECIMALS.iter().flat_map(|from| DECIMALS.map(|to| (*from, to))) {
            let scale = ten(SHIFT + i32::from(from));
            let worth = huge(amount) * exact(rate) * ten(i32::from(to)) / scale;
            match rate.out_floor(amount, from, to) {
                Some(out) => prop_assert_eq!(huge(out), worth),
                None => prop_assert!(worth > huge(Amount::MAX)),
            }
            let factor = exact(rate) * ten(i32::from(to));
            let least = (huge(amount) * scale).div_ceil(factor);
            match rate.in_ceil(amount, from, to) {
                Some(least_in) => {
                    prop_assert_eq!(huge(least_in), least);
                    prop_assert!(rate.out_floor(least_in, from, to).is_none_or(|out| out >= amount));
                    if let Some(less) = least_in.checked_sub(minor(1)).filter(|less| !less.is_negative()) {
                        prop_assert!(rate.out_floor(less, from, to).unwrap() < amount);
                    }
                }
                None => prop_assert!(least > huge(Amount::MAX)),
            }
        }
    }

    #[test]
    fn a_cross_rate_is_the_largest_that_is_not_too_high(from in rate(), to in rate()) {
        let one = ten(SHIFT);
        match Rate::cross(from, to) {
            Some(cross) => {
                prop_assert!(exact(cross) * exact(to) <= exact(from) * one);
                prop_assert!(next(cross) * exact(to) > exact(from) * one);
            }
            None => {
                let (most, least) = (ten(SHIFT + 30), ten(SHIFT - 30));
                let quotient = exact(from) * one / exact(to);
                prop_assert!(quotient > most || quotient < least);
            }
        }
    }

    #[test]
    fn a_spread_is_exact_rounded_down(rate in market_rate(), n in 0_u32..1_000_000) {
        let million = Huge::from(1_000_000);
        for (made, factor) in [
            (rate.less_millionths(n), Huge::from(1_000_000 - n)),
            (rate.more_millionths(n), Huge::from(1_000_000 + n)),
        ] {
            let made = made.unwrap();
            prop_assert!(exact(made) * million <= exact(rate) * factor);
            prop_assert!(next(made) * million > exact(rate) * factor);
        }
    }

    #[test]
    fn a_median_lies_in_the_middle(rates in prop::collection::vec(rate(), 1..8)) {
        let median = Rate::median(&rates).unwrap();
        let half = rates.len().div_ceil(2);
        prop_assert!(rates.iter().filter(|rate| **rate >= median).count() >= half);
        if rates.len() % 2 == 1 {
            prop_assert!(rates.iter().filter(|rate| **rate <= median).count() >= half);
            prop_assert!(rates.contains(&median));
        } else {
            // Of two rates next to each other the average is rounded down to the lower one.
            let mut sorted = rates.clone();
            sorted.sort();
            let (lower, upper) = (sorted[half - 1], sorted[half]);
            prop_assert!(lower <= median && median <= upper);
            prop_assert!(exact(median) * Huge::from(2) <= exact(lower) + exact(upper));
            prop_assert!(next(median) * Huge::from(2) > exact(lower) + exact(upper));
        }
    }

    #[test]
    fn apart_is_the_same_both_ways(a in market_rate(), b in market_rate()) {
        let apart = Rate::apart_millionths(a, b);
        prop_assert_eq!(apart, Rate::apart_millionths(b, a));
        let (low, high) = (exact(a.min(b)), exact(a.max(b)));
        let millionths = ((high - low) * Huge::from(1_000_000)).div_ceil(low);
        prop_assert_eq!(Huge::from(apart), millionths.min(Huge::from(u64::MAX)));
    }

    #[test]
    fn a_share_is_rounded_up(amount in amount(), n in 0_u32..=1_000_000) {
        let share = share_ceil(amount, n).unwrap();
        prop_assert_eq!(huge(share), (huge(amount) * Huge::from(n)).div_ceil(Huge::from(1_000_000)));
        prop_assert!(share <= amount);
    }
}
