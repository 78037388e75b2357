//! Conversions: every minor unit that goes in is somewhere, none is made, and a purchase costs the least that buys it.

use crate::given::{DECIMALS, cross_rate, currency, market_rate, minor, parsed, rate, ratio, roomy_amount};
use beem_money::{Amount, Conversion, ConversionError, Currencies, Currency, Rate, Terms};
use proptest::prelude::*;

fn terms<'a>(from: &'a Currency, to: &'a Currency, mid: Rate, spread: u32, fee: u32) -> Terms<'a> {
    Terms { from, to, mid, spread_millionths: spread, fee_millionths: fee }
}

/// That everything which went in is somewhere and nothing is negative.
fn check(terms: &Terms<'_>, made: &Conversion) -> Result<(), TestCaseError> {
    let mid = if terms.from.code == terms.to.code { Rate::ONE } else { terms.mid };
    let gross = mid.out_floor(made.net_in, terms.from.decimals, terms.to.decimals).unwrap();
    let parts = made.amount_out.checked_add(made.spread).and_then(|sum| sum.checked_add(made.remainder));
    prop_assert_eq!(parts, Some(gross));
    prop_assert_eq!(made.net_in.checked_add(made.fee), Some(made.amount_in));
    for part in [made.fee, made.spread, made.remainder] {
        prop_assert!(!part.is_negative());
    }
    for part in [made.amount_in, made.net_in, made.amount_out] {
        prop_assert!(part.is_positive());
    }
    prop_assert_eq!(Some(made.rate), terms.rate());
    let quoted = made.rate.out_floor(made.net_in, terms.from.decimals, terms.to.decimals).unwrap();
    prop_assert!(made.amount_out <= quoted);
    Ok(())
}

#[test]
fn a_sale_by_hand() {
    let (bitcoin, dollar) = (currency("BTC", 8), currency("USD", 2));
    // 0.12345678 BTC; fee 0.25 %, spread 0.5 %.
    let made = terms(&bitcoin, &dollar, parsed("64250.12"), 5_000, 2_500).sell(minor(12_345_678)).unwrap();
    // fee = ⌈30,864.195⌉ satoshi; gross = ⌊791,228.21⌋ cents; out = ⌊787,272.07⌋; spread = ⌊3,956.14⌋.
    assert_eq!((made.fee, made.net_in), (minor(30_865), minor(12_314_813)));
    assert_eq!(made.rate, parsed("63928.8694"));
    assert_eq!(made.amount_out, minor(787_272));
    assert_eq!(made.spread, minor(3_956));
    assert_eq!(made.remainder, minor(0));
}

#[test]
fn round_numbers_lose_no_cent() {
    let (dollar, euro) = (currency("USD", 2), currency("EUR", 2));
    let mid = Rate::cross(Rate::ONE, parsed("1.08")).unwrap();
    let terms = terms(&dollar, &euro, mid, 0, 0);
    for (dollars, euros) in [(1_080, 1_000), (108, 100), (27, 25), (1_079, 999), (1_081, 1_000)] {
        let sold = terms.sell(minor(dollars)).unwrap();
        assert_eq!(
            (sold.amount_out, sold.spread, sold.remainder),
            (minor(euros), Amount::ZERO, Amount::ZERO)
        );
    }
    assert_eq!(terms.buy(minor(1_000)).unwrap().amount_in, minor(1_080));
    assert_eq!(terms.rate().unwrap().to_string(), "0.925925925925925925");
    // Half a percent of 10.00 is 0.05.
    let sold = Terms { spread_millionths: 5_000, ..terms }.sell(minor(1_080)).unwrap();
    assert_eq!((sold.amount_out, sold.spread, sold.remainder), (minor(995), minor(5), Amount::ZERO));
    assert_eq!(sold.rate.exact(), "24.875/27");
}

#[test]
fn a_purchase_by_hand() {
    let (yen, dai) = (currency("JPY", 0), currency("DAI", 18));
    // One yen is worth 0.0066 DAI: 1 DAI costs 152 yen, and what they are worth more is kept.
    let made = terms(&yen, &dai, parsed("0.0066"), 0, 0).buy(minor(1_000_000_000_000_000_000)).unwrap();
    assert_eq!((made.amount_in, made.fee), (minor(152), Amount::ZERO));
    assert_eq!(made.amount_out, minor(1_000_000_000_000_000_000));
    assert_eq!((made.spread, made.remainder), (Amount::ZERO, minor(3_200_000_000_000_000)));
}

#[test]
fn one_currency_into_itself_only_costs_the_fee() {
    let dollar = currency("USD", 2);
    let same = terms(&dollar, &dollar, parsed("7"), 30_000, 10_000);
    assert_eq!(same.rate(), Some(Rate::ONE));
    let sold = same.sell(minor(10_001)).unwrap();
    assert_eq!((sold.fee, sold.amount_out), (minor(101), minor(9_900)));
    let bought = same.buy(minor(9_900)).unwrap();
    assert_eq!((bought.amount_in, bought.fee), (minor(10_000), minor(100)));
    for made in [sold, bought] {
        assert_eq!((made.spread, made.remainder, made.rate), (Amount::ZERO, Amount::ZERO, Rate::ONE));
    }
}

#[test]
fn what_is_too_small_or_too_large_has_no_price() {
    let (yen, dai) = (currency("JPY", 0), currency("DAI", 18));
    let mid = parsed("150");
    let small = Err(ConversionError::TooSmall);
    let large = Err(ConversionError::TooLarge);
    for amount in [Amount::ZERO, minor(-1), minor(i128::MIN)] {
        assert_eq!(terms(&dai, &yen, mid, 0, 0).sell(amount), small);
        assert_eq!(terms(&dai, &yen, mid, 0, 0).buy(amount), small);
    }
    assert_eq!(terms(&dai, &yen, mid, 0, 0).sell(minor(6_000_000_000_000_000)), small);
    assert!(terms(&dai, &yen, mid, 0, 0).sell(minor(6_666_666_666_666_667)).is_ok());
    for (spread, fee) in [(1_000_000, 0), (u32::MAX, 0), (0, 1_000_000), (0, u32::MAX)] {
        let terms = terms(&dai, &yen, mid, spread, fee);
        for amount in [minor(1), minor(10_i128.pow(18))] {
            assert_eq!(terms.sell(amount), small, "{spread} {fee}");
            assert_eq!(terms.buy(amount), small, "{spread} {fee}");
        }
        assert_eq!(terms.sell(Amount::MAX), small, "{spread} {fee}");
    }
    // All of one minor unit is the fee.
    assert_eq!(terms(&dai, &dai, mid, 0, 1).sell(minor(1)), small);
    assert_eq!(terms(&yen, &dai, mid, 0, 0).sell(Amount::MAX), large);
    assert_eq!(terms(&dai, &yen, mid, 0, 0).buy(Amount::MAX), large);
    assert_eq!(terms(&dai, &dai, mid, 0, 1).buy(Amount::MAX), large);
    // The quoted amount fits, but what it is worth at the market's rate does not.
    assert_eq!(terms(&yen, &dai, parsed("2"), 500_000, 0).sell(minor(i128::MAX / 10_i128.pow(18))), large);
}

proptest! {
    #[test]
    fn nothing_is_made_or_lost(
        amount in roomy_amount(), mid in prop_oneof![market_rate(), cross_rate()], spread in 0_u32..1_000_000, fee in 0_u32..1_000_000,
    ) {
        for (i, j) in DECIMALS.iter().flat_map(|i| DECIMALS.map(|j| (*i, j))) {
            let (from, to) = (currency("AAA", i), currency("BBB", j));
            let terms = terms(&from, &to, mid, spread, fee);
            if let Ok(sold) = terms.sell(amount) {
                check(&terms, &sold)?;
                prop_assert_eq!(sold.amount_in, amount);
                prop_assert!(sold.remainder <= minor(1));
            }
            if let Ok(bought) = terms.buy(amount) {
                check(&terms, &bought)?;
                prop_assert_eq!(bought.amount_out, amount);
                // What was sold would give at least as much, and one minor unit less would not.
                prop_assert!(terms.sell(bought.amount_in).unwrap().amount_out >= amount);
                let less = bought.amount_in.checked_sub(minor(1)).unwrap();
                match terms.sell(less) {
                    Ok(sold) => prop_assert!(sold.amount_out < amount),
                    Err(error) => prop_assert_eq!(error, ConversionError::TooSmall),
                }
            }
        }
    }

    #[test]
    fn three_currencies_round_never_gain(
        amount in roomy_amount(), a in market_rate(), b in market_rate(), c in market_rate(), d in 0_usize..216,
    ) {
        let decimals = [DECIMALS[d % 6], DECIMALS[d / 6 % 6], DECIMALS[d / 36]];
        let held = [currency("AAA", decimals[0]), currency("BBB", decimals[1]), currency("CCC", decimals[2])];
        let rates = [a, b, c];
        let mut have = amount;
        for (i, j) in [(0, 1), (1, 2), (2, 0)] {
            let Some(mid) = Rate::cross(rates[i], rates[j]) else { return Ok(()) };
            let Ok(made) = terms(&held[i], &held[j], mid, 0, 0).sell(have) else { return Ok(()) };
            have = made.amount_out;
        }
        prop_assert!(have <= amount);
    }

    #[test]
    fn one_currency_into_itself_loses_only_the_fee(amount in roomy_amount(), mid in rate(), fee in 0_u32..1_000_000) {
        let dollar = currency("USD", 2);
        let terms = terms(&dollar, &dollar, mid, 77, fee);
        for made in [terms.sell(amount), terms.buy(amount)].into_iter().flatten() {
            check(&terms, &made)?;
            prop_assert_eq!((made.spread, made.remainder, made.amount_out), (Amount::ZERO, Amount::ZERO, made.net_in));
        }
    }

    #[test]
    fn no_terms_make_it_panic(
        amount in any::<i128>(), mid in ratio(), spread in any::<u32>(), fee in any::<u32>(), i in any::<u8>(), j in 0_u8..=18,
    ) {
        let (from, to) = (currency("AAA", i % 20), currency("BBB", j));
        let terms = terms(&from, &to, mid, spread, fee);
        for made in [terms.sell(minor(amount)), terms.buy(minor(amount))].into_iter().flatten() {
            check(&terms, &made)?;
        }
    }
}

// Each case is tried on every pair of currencies there is.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn there_and_back_never_gains(
        amount in roomy_amount(), a in market_rate(), b in market_rate(), spread in 0_u32..20_000, fee in 0_u32..20_000,
    ) {
        let (Some(forth), Some(back)) = (Rate::cross(a, b), Rate::cross(b, a)) else { return Ok(()) };
        let registry = Currencies::built_in();
        for (from, to) in registry.iter().flat_map(|from| registry.iter().map(move |to| (from, to))) {
            let forth = terms(from, to, forth, spread, fee);
            let back = terms(to, from, back, spread, fee);
            if let Ok(there) = forth.sell(amount) {
                if let Ok(again) = back.sell(there.amount_out) {
                    prop_assert!(again.amount_out <= amount);
                }
                // Buying back what was given costs at least what was got for it.
                if let Ok(again) = back.buy(amount) {
                    prop_assert!(again.amount_in >= there.amount_out);
                }
            }
            if let (Ok(there), Ok(again)) = (forth.buy(amount), back.sell(amount)) {
                prop_assert!(again.amount_out <= there.amount_in);
            }
        }
    }
}
