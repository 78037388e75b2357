//! Rates: their texts, and that every product and quotient is the exact one, rounded to the right side where an amount comes
//! out. The exact one is computed here in 2048 bits, by another formula.

use crate::given::{DECIMALS, amount, cross_rate, market_rate, minor, parsed, rate, ratio};
use beem_money::{Amount, Rate, RateError, share_ceil};
use proptest::prelude::*;
use std::cmp::Ordering;

type Huge = ruint::Uint<2048, 32>;

/// Makes every exponent that occurs a whole number of places.
const SHIFT: i32 = 70;

/// What stands above the line, and what below.
fn above(rate: Rate) -> Huge {
    Huge::from(rate.mantissa()) * ten(i32::from(rate.exponent()) + SHIFT)
}

fn below(rate: Rate) -> Huge {
    Huge::from(rate.divisor()) * ten(SHIFT)
}

fn ten(exponent: i32) -> Huge {
    Huge::from(10).pow(Huge::from(exponent))
}

fn huge(amount: Amount) -> Huge {
    Huge::from(amount.minor())
}

/// Whether a decimal is the largest of 18 digits that is at most `most / of`.
fn is_floor(decimal: Rate, most: Huge, of: Huge) -> bool {
    let digits = i32::try_from(decimal.mantissa().ilog10()).unwrap();
    let last = ten(i32::from(decimal.exponent()) - (17 - digits) + SHIFT);
    let one_up = above(decimal) + last;
    decimal.divisor() == 1
        && digits < 18
        && above(decimal) * of <= most * ten(SHIFT)
        && one_up * of > most * ten(SHIFT)
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
fn rates_made_of_rates_are_exact_and_shown_rounded_down() {
    let cross = |from: &str, to: &str| Rate::cross(parsed(from), parsed(to)).map(|rate| rate.to_string());
    assert_eq!(cross("1", "3").as_deref(), Some("0.333333333333333333"));
    assert_eq!(cross("2", "3").as_deref(), Some("0.666666666666666666"));
    assert_eq!(cross("64000", "1.25").as_deref(), Some("51200"));
    assert_eq!(cross("1000000000000000000000", "0.0000000001"), None);
    assert_eq!(cross("0.0000000001", "1000000000000000000000.1"), None);
    assert_eq!(parsed("100").less_millionths(5_000), Some(parsed("99.5")));
    let long = parsed("0.333333333333333333").less_millionths(1).unwrap();
    assert_eq!(
        (long.to_string().as_str(), long.exact().as_str()),
        ("0.333332999999999999", "0.333332999999999999666667")
    );
    assert_eq!(parsed("100").less_millionths(0), Some(parsed("100")));
    assert_eq!(parsed("100").less_millionths(999_999), Some(parsed("0.0001")));
    assert_eq!(parsed("100").less_millionths(1_000_000), None);
    assert_eq!(parsed("100").less_millionths(u32::MAX), None);
    assert_eq!(Rate::parse_feed("1e-30").unwrap().less_millionths(1), None);
    assert_eq!(parsed("100").more_millionths(5_000), Some(parsed("100.5")));
    let long = parsed("0.999999999999999999").more_millionths(1).unwrap();
    assert_eq!(
        (long.to_string().as_str(), long.exact().as_str()),
        ("1.00000099999999999", "1.000000999999999998999999")
    );
    assert_eq!(Rate::parse_feed("1e30").unwrap().more_millionths(1), None);
    assert_eq!(Rate::ONE.more_millionths(u32::MAX), None);
}

#[test]
fn a_cross_loses_nothing() {
    let cross = |from: &str, to: &str| Rate::cross(parsed(from), parsed(to)).unwrap();
    for (from, to, exact) in [
        ("1", "1.08", "25/27"),
        ("97000.5", "1.08", "808337.5/9"),
        ("1", "3", "1/3"),
        ("100", "3", "100/3"),
        ("1", "8", "0.125"),
        ("3", "0.0006", "5000"),
        ("1", "0.000000000000000000000000000003", "1000000000000000000000000000000/3"),
    ] {
        let rate = cross(from, to);
        assert_eq!(rate.exact(), exact);
        assert_eq!(Rate::parse_exact(exact), Ok(rate));
        assert_eq!(serde_json::to_string(&rate).unwrap(), format!("\"{exact}\""));
        assert_eq!(serde_json::from_str::<Rate>(&format!("\"{exact}\"")).unwrap(), rate);
    }
    assert_eq!(cross("1", "3"), cross("0.07", "0.21"));
    assert_eq!(Rate::cross(Rate::ONE, cross("1", "0.9")), Some(parsed("0.9")));
    assert_eq!(Rate::median(&[cross("1", "3"), cross("1", "3")]), Some(cross("1", "3")));
    // Ten to the 30th, and a hair more.
    let most = "1000000000000000000000000000000";
    assert_eq!(cross(most, "1"), parsed(most));
    assert_eq!(Rate::cross(parsed(most), parsed("0.999999999999999999")), None);
    assert_eq!(Rate::cross(parsed("0.999999999999999999"), parsed(most)), None);
}

#[test]
fn what_no_ratio_holds_is_rounded_down() {
    // 1 / (a × b × c): the divisor would have 171 bits.
    let (a, b, c) = ("1.00000000000000007", "1.00000000000000009", "1.00000000000000011");
    let over = |rate, text| Rate::cross(rate, parsed(text)).unwrap();
    let two = over(over(Rate::ONE, a), b);
    assert_ne!(two.divisor(), 1);
    assert_eq!(over(two, c).exact(), "0.99999999999999973");
}

#[test]
fn only_the_exact_text_is_read_as_one() {
    for text in [
        "",
        "/",
        "1/",
        "/1",
        "1/1",
        "2/6",
        "1/0",
        "0/3",
        "0",
        "01",
        "1.0",
        "1.",
        ".5",
        "-1/3",
        "+1/3",
        "1/-3",
        "1 /3",
        "1/3/7",
        "1/3.0",
        "1e3",
        "25/2.7",
        "1/03",
        "0.5/9.",
        "1..5",
        "1/8",
        "10000000000000000000000000000000/3",
        "١",
        "34.0282366920938463463374607431768211457/7",
    ] {
        assert_eq!(Rate::parse_exact(text), Err(RateError::NotExact), "{text:?}");
    }
    assert_eq!(Rate::parse_exact(&"1".repeat(121)), Err(RateError::NotExact));
    assert_eq!(Rate::parse_exact("0.5"), Ok(parsed("0.5")));
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
        prop_assert_eq!(rate.exact(), rate.to_string());
        prop_assert!(rate.mantissa() % 10 != 0 && rate.mantissa() < 1_000_000_000_000_000_000);
        prop_assert!(rate.to_string().len() <= 49);
    }

    #[test]
    fn an_exact_text_reads_back(rate in prop_oneof![ratio(), cross_rate()]) {
        prop_assert_eq!(Rate::parse_exact(&rate.exact()), Ok(rate));
        prop_assert!(rate.exact().len() <= 120);
        // What is shown reads back as what is shown the same, and is the value rounded down.
        let shown = parsed(&rate.to_string());
        prop_assert_eq!(shown.to_string(), rate.to_string());
        prop_assert!(rate.to_string().len() <= 49);
        prop_assert!(is_floor(shown, above(rate), below(rate)));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,110}|[0-9.eE+\\-/]{0,40}|[0-9]{0,60}\\.?[0-9]{0,60}/[0-9]{0,60}") {
        let _ = Rate::parse(&text);
        let _ = Rate::parse_feed(&text);
        if let Ok(rate) = Rate::parse_exact(&text) {
            prop_assert_eq!(rate.exact(), text);
        }
    }

    #[test]
    fn rates_are_ordered_by_value(a in ratio(), b in ratio(), near in cross_rate(), n in 0_u32..3) {
        let by_value = |a, b| (above(a) * below(b)).cmp(&(above(b) * below(a)));
        prop_assert_eq!(a.cmp(&b), by_value(a, b));
        prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
        let moved = near.more_millionths(n).unwrap();
        prop_assert_eq!(near.cmp(&moved), by_value(near, moved));
        prop_assert_eq!(near == moved, n == 0);
    }

    #[test]
    fn out_is_the_floor_and_in_is_the_least(amount in amount(), rate in prop_oneof![ratio(), cross_rate()]) {
        for (from, to) in DECIMALS.iter().flat_map(|from| DECIMALS.map(|to| (*from, to))) {
            let (factor, scale) = (above(rate) * ten(i32::from(to)), below(rate) * ten(i32::from(from)));
            let product = huge(amount) * factor;
            for (made, worth) in [
                (rate.out_floor(amount, from, to), product / scale),
                (rate.out_ceil(amount, from, to), product.div_ceil(scale)),
            ] {
                match made {
                    Some(out) => prop_assert_eq!(huge(out), worth),
                    None => prop_assert!(worth > huge(Amount::MAX)),
                }
            }
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
    fn a_cross_rate_is_exact(from in rate(), to in rate()) {
        let (quotient, of) = (above(from) * below(to), below(from) * above(to));
        match Rate::cross(from, to) {
            Some(cross) => {
                prop_assert_eq!(above(cross) * of, quotient * below(cross));
                prop_assert_eq!(Rate::cross(Rate::ONE, cross), Rate::cross(to, from));
                prop_assert_eq!(cross == Rate::ONE, from == to);
            }
            None => prop_assert!(quotient > of * ten(30) || quotient * ten(30) < of),
        }
    }

    #[test]
    fn a_cross_of_any_rates_is_not_too_high(from in ratio(), to in ratio()) {
        let (quotient, of) = (above(from) * below(to), below(from) * above(to));
        match Rate::cross(from, to) {
            Some(cross) if above(cross) * of == quotient * below(cross) => {}
            Some(cross) => prop_assert!(is_floor(cross, quotient, of)),
            None => prop_assert!(quotient > of * ten(30) || quotient * ten(30) < of),
        }
    }

    #[test]
    fn a_spread_is_exact(rate in prop_oneof![market_rate(), cross_rate()], n in 0_u32..1_000_000) {
        let million = Huge::from(1_000_000);
        for (made, factor) in [
            (rate.less_millionths(n), Huge::from(1_000_000 - n)),
            (rate.more_millionths(n), Huge::from(1_000_000 + n)),
        ] {
            let made = made.unwrap();
            prop_assert_eq!(above(made) * million * below(rate), above(rate) * factor * below(made));
            prop_assert_eq!(made == rate, n == 0);
        }
    }

    #[test]
    fn a_median_lies_in_the_middle(rates in prop::collection::vec(prop_oneof![rate(), cross_rate()], 1..8)) {
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
            let sum = above(lower) * below(upper) + above(upper) * below(lower);
            let of = below(lower) * below(upper) * Huge::from(2);
            prop_assert!(median == lower || is_floor(median, sum, of));
        }
    }

    #[test]
    fn apart_is_the_same_both_ways(a in cross_rate(), b in cross_rate()) {
        let apart = Rate::apart_millionths(a, b);
        prop_assert_eq!(apart, Rate::apart_millionths(b, a));
        let (low, high) = (a.min(b), a.max(b));
        let (low, high) = (above(low) * below(high), above(high) * below(low));
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
