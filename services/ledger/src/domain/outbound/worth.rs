//! What an amount is worth at a rate, rounded up: for limits that must not be slipped under.

use beem_money::{Amount, Rate};

/// The least whole number of minor units that is not below `amount × rate`. None when the amount is negative or the worth
/// does not fit.
#[must_use]
pub fn worth_ceil(rate: Rate, amount: Amount, decimals: u8, worth_decimals: u8) -> Option<Amount> {
    rate.out_ceil(amount, decimals, worth_decimals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn worth(rate: &str, minor: i128, decimals: (u8, u8)) -> i128 {
        let amount = Amount::from_minor(minor);
        worth_ceil(rate.parse().unwrap(), amount, decimals.0, decimals.1).unwrap().minor()
    }

    #[test]
    fn exact_worth_stays_and_all_else_goes_up() {
        assert_eq!(worth("0.5", 10_000, (2, 2)), 5_000);
        assert_eq!(worth("0.5", 10_001, (2, 2)), 5_001);
        assert_eq!(worth("1", 7, (2, 2)), 7);
        assert_eq!(worth("3000", 1, (18, 2)), 1);
        assert_eq!(worth("3000", 1_000_000_000_000_000_000, (18, 2)), 300_000);
        assert_eq!(worth("0.00001", 1, (2, 18)), 100_000_000_000);
        assert_eq!(worth("1.5", 0, (2, 2)), 0);
        assert_eq!(worth_ceil(Rate::ONE, Amount::from_minor(-1), 2, 2), None);
        assert_eq!(worth_ceil("1000".parse().unwrap(), Amount::MAX, 2, 2), None);
    }

    proptest! {
        #[test]
        fn it_is_the_quotient_rounded_up(minor in 1_i128..1_000_000_000_000, mantissa in 1_u64..1_000_000, places in 0_usize..7) {
            let digits = format!("{mantissa:0>width$}", width = places + 1);
            let (whole, rest) = digits.split_at(digits.len() - places);
            let text = if rest.is_empty() { whole.to_owned() } else { format!("{whole}.{rest}") };
            let divisor = 10_i128.pow(u32::try_from(places).unwrap());
            let product = minor * i128::from(mantissa);
            prop_assert_eq!(worth(&text, minor, (2, 2)), (product + divisor - 1) / divisor);
        }
    }
}
