//! Products of an amount and a rate, exactly. An amount has 127 bits, the mantissa of a rate 60, and the power of ten
//! between two currencies at most 10^65 (216 bits): all of it fits 512 bits, and what does not is `None`.

use crate::Amount;
pub(crate) use ruint::aliases::U512;

/// Decimals of a currency are at most this many.
pub(crate) const MOST_DECIMALS: u8 = 18;

/// 10 to that power; None above 512 bits.
pub(crate) fn power_of_ten(exponent: u32) -> Option<U512> {
    U512::from(10_u8).checked_pow(U512::from(exponent))
}

/// A positive decimal `mantissa × 10^exponent` that need not be short.
#[derive(Clone, Copy)]
pub(crate) struct Decimal {
    pub mantissa: U512,
    pub exponent: i32,
}

impl Decimal {
    /// `floor(amount × self)`.
    pub(crate) fn times_floor(self, amount: u128) -> Option<U512> {
        let product = U512::from(amount).checked_mul(self.mantissa)?;
        let power = power_of_ten(self.exponent.unsigned_abs())?;
        if self.exponent < 0 { product.checked_div(power) } else { product.checked_mul(power) }
    }

    /// `ceil(amount / self)`; None also for a zero mantissa.
    pub(crate) fn divides_ceil(self, amount: u128) -> Option<U512> {
        let power = power_of_ten(self.exponent.unsigned_abs())?;
        let (dividend, divisor) = if self.exponent < 0 {
            (U512::from(amount).checked_mul(power)?, self.mantissa)
        } else {
            (U512::from(amount), self.mantissa.checked_mul(power)?)
        };
        quotient_ceil(dividend, divisor)
    }

    /// The mantissa as it is at a smaller exponent.
    pub(crate) fn mantissa_at(self, exponent: i32) -> Option<U512> {
        let places = u32::try_from(self.exponent.checked_sub(exponent)?).ok()?;
        self.mantissa.checked_mul(power_of_ten(places)?)
    }

    /// This one from minor units to minor units: `exponent + out − in`.
    pub(crate) fn between(self, in_decimals: u8, out_decimals: u8) -> Option<Self> {
        if in_decimals > MOST_DECIMALS || out_decimals > MOST_DECIMALS {
            return None;
        }
        let exponent =
            self.exponent.checked_add(i32::from(out_decimals))?.checked_sub(i32::from(in_decimals))?;
        Some(Self { exponent, ..self })
    }
}

/// The quotient rounded up; None when the divisor is zero.
pub(crate) fn quotient_ceil(dividend: U512, divisor: U512) -> Option<U512> {
    let quotient = dividend.checked_div(divisor)?;
    let rest = dividend.checked_rem(divisor)?;
    if rest.is_zero() { Some(quotient) } else { quotient.checked_add(U512::from(1_u8)) }
}

/// None above what an amount holds.
pub(crate) fn amount(value: U512) -> Option<Amount> {
    let minor = u128::try_from(value).ok()?;
    i128::try_from(minor).ok().map(Amount::from_minor)
}

/// The amount without its sign; None when it is negative.
pub(crate) fn not_negative(amount: Amount) -> Option<u128> {
    u128::try_from(amount.minor()).ok()
}
