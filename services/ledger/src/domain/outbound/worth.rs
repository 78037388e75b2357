//! What an amount is worth at a rate, rounded up: for limits that must not be slipped under.

use beem_money::{Amount, Rate};

/// The least whole number of minor units that is not below `amount × rate`. None when the amount is negative or the worth
/// does not fit.
#[must_use]
pub fn worth_ceil(rate: Rate, amount: Amount, decimals: u8, worth_decimals: u8) -> Option<Amount> {
    let floor = rate.out_floor(amount, decimals, worth_decimals)?;
    if amount.is_zero() || is_whole(rate, amount, decimals, worth_decimals) {
        return Some(floor);
    }
    floor.checked_add(Amount::from_minor(1))
}

/// Whether `mantissa × amount` holds every factor of ten that it is divided by: counted factor by factor, because the
/// product may be wider than any integer here.
fn is_whole(rate: Rate, amount: Amount, decimals: u8, worth_decimals: u8) -> bool {
    let shift = i32::from(rate.exponent())
        .saturating_add(i32::from(worth_decimals))
        .saturating_sub(i32::from(decimals));
    if shift >= 0 {
        return true;
    }
    let holds = |prime| {
        let factors = times(amount.minor(), prime).saturating_add(times(i128::from(rate.mantissa()), prime));
        factors >= shift.unsigned_abs()
    };
    holds(2) && holds(5)
}

/// How often the prime divides a number above zero.
fn times(mut number: i128, prime: i128) -> u32 {
    let mut times = 0_u32;
    while number > 0 && number.checked_rem(prime) == Some(0) {
        number = number.checked_div(prime).unwrap_or_default();
        times = times.saturating_add(1);
    }
    times
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
