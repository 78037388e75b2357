//! What the other files draw from: amounts and rates of every size, currencies of every precision.

use beem_money::{Amount, Currency, CurrencyCode, CurrencyKind, Rate};
use proptest::prelude::*;

/// The decimals that occur in the built-in registry, and the extremes.
pub const DECIMALS: [u8; 6] = [0, 2, 6, 8, 9, 18];

/// Every size of amount is as likely as any other.
pub fn amount() -> impl Strategy<Value = Amount> {
    (0_u32..=127).prop_flat_map(sized)
}

/// Up to about 10^30 minor units, so that conversions have room.
pub fn roomy_amount() -> impl Strategy<Value = Amount> {
    (0_u32..=100).prop_flat_map(sized)
}

fn sized(bits: u32) -> impl Strategy<Value = Amount> {
    let most = if bits == 127 { i128::MAX } else { 1_i128 << bits };
    (0..=most).prop_map(Amount::from_minor)
}

/// Rates over all their bounds, of every number of digits.
pub fn rate() -> impl Strategy<Value = Rate> {
    (0_u32..18, -30_i32..30).prop_flat_map(|(further, magnitude)| {
        let exponent = magnitude - i32::try_from(further).unwrap();
        let mantissas = 10_u64.pow(further)..10_u64.pow(further + 1);
        mantissas.prop_map(move |mantissa| Rate::parse_feed(&format!("{mantissa}e{exponent}")).unwrap())
    })
}

/// Rates as markets have them, from about 10^-8 to 10^10.
pub fn market_rate() -> impl Strategy<Value = Rate> {
    (1_u64..1_000_000_000_000_000_000, -26_i32..-7)
        .prop_map(|(mantissa, exponent)| Rate::parse_feed(&format!("{mantissa}e{exponent}")).unwrap())
}

/// Rates as the house makes them: a cross of two markets, after a spread or not.
pub fn cross_rate() -> impl Strategy<Value = Rate> {
    (market_rate(), market_rate(), prop_oneof![Just(0_u32), 0_u32..1_000_000])
        .prop_filter_map("out of bounds", |(from, to, spread)| Rate::cross(from, to)?.less_millionths(spread))
}

/// Ratios over all the bounds of a rate, with parts of up to 120 bits.
pub fn ratio() -> impl Strategy<Value = Rate> {
    let two = || (rate(), rate()).prop_filter_map("out of bounds", |(from, to)| Rate::cross(from, to));
    prop_oneof![
        rate(),
        two(),
        (two(), two()).prop_filter_map("out of bounds", |(from, to)| Rate::cross(from, to)),
    ]
}

pub fn currency(code: &str, decimals: u8) -> Currency {
    Currency {
        code: CurrencyCode::parse(code).unwrap(),
        name: code.to_owned(),
        decimals,
        kind: CurrencyKind::Fiat,
        networks: Vec::new(),
        overdraft: Amount::ZERO,
    }
}

pub fn minor(units: i128) -> Amount {
    Amount::from_minor(units)
}

pub fn parsed(text: &str) -> Rate {
    Rate::parse(text).unwrap()
}
