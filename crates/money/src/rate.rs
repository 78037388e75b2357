//! What one whole unit of a currency is worth in another: a decimal of at most 18 significant digits. Every rate that
//! is made out of others is rounded down, so that a conversion never gives more than its worth.

use crate::wide::{self, Decimal, U512};
use crate::{Amount, RateError};
use std::cmp::Ordering;

/// Mantissas are below this: 18 digits.
pub(crate) const MANTISSAS: u64 = 1_000_000_000_000_000_000;
/// Rates are from 10^-30 to 10^30, both counted in.
pub(crate) const WIDEST: i32 = 30;
const MILLION: u32 = 1_000_000;

/// How many whole units of one currency one whole unit of another is worth: `mantissa × 10^exponent`, more than zero,
/// from 10^-30 to 10^30. Normalised, so that equal rates are equal values. Ordered by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Below 10^18, without trailing zeros.
    mantissa: u64,
    exponent: i16,
}

impl Rate {
    pub const ONE: Self = Self { mantissa: 1, exponent: 0 };

    /// Reads a plain decimal such as `0.00001525`: ASCII digits, at most one point with digits on both sides. Digits after
    /// the 18th significant one are cut.
    ///
    /// # Errors
    /// As [`RateError`] says.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        crate::rate_text::parse(text)
    }

    /// As [`Rate::parse`], and takes an exponent (`1.5e-7`), which a JSON number of a feed may have.
    ///
    /// # Errors
    /// As [`RateError`] says, save for the exponent.
    pub fn parse_feed(text: &str) -> Result<Self, RateError> {
        crate::rate_text::parse_feed(text)
    }

    /// Below 10^18, without trailing zeros.
    #[must_use]
    pub const fn mantissa(self) -> u64 {
        self.mantissa
    }

    /// The power of ten that multiplies the mantissa.
    #[must_use]
    pub const fn exponent(self) -> i16 {
        self.exponent
    }

    /// `from_usd / to_usd`, rounded down: what one unit of `from` is worth in `to`, when one unit of either is worth that
    /// many USD. None outside the bounds of a rate.
    #[must_use]
    pub fn cross(from_usd: Self, to_usd: Self) -> Option<Self> {
        // 36 more digits leave at least 19 of the quotient.
        const PLACES: i32 = 36;
        let dividend =
            U512::from(from_usd.mantissa).checked_mul(wide::power_of_ten(PLACES.unsigned_abs())?)?;
        let mantissa = dividend.checked_div(U512::from(to_usd.mantissa))?;
        let exponent =
            i32::from(from_usd.exponent).checked_sub(i32::from(to_usd.exponent))?.checked_sub(PLACES)?;
        Self::floor(Decimal { mantissa, exponent })
    }

    /// `rate × (10^6 − n) / 10^6`, rounded down: the rate after a spread. None for n of a million and more, and outside
    /// the bounds of a rate.
    #[must_use]
    pub fn less_millionths(self, n: u32) -> Option<Self> {
        self.times_millionths(MILLION.checked_sub(n)?)
    }

    /// `rate × (10^6 + n) / 10^6`, rounded down. None outside the bounds of a rate.
    #[must_use]
    pub fn more_millionths(self, n: u32) -> Option<Self> {
        self.times_millionths(MILLION.checked_add(n)?)
    }

    fn times_millionths(self, n: u32) -> Option<Self> {
        let mantissa = U512::from(self.mantissa).checked_mul(U512::from(n))?;
        let exponent = i32::from(self.exponent).checked_sub(6)?;
        Self::floor(Decimal { mantissa, exponent })
    }

    /// The middle one by value; of an even number the average of the two middle ones, rounded down. None of none.
    #[must_use]
    pub fn median(rates: &[Self]) -> Option<Self> {
        let mut sorted = rates.to_vec();
        sorted.sort_unstable();
        let upper = *sorted.get(sorted.len().checked_div(2)?)?;
        if !sorted.len().is_multiple_of(2) {
            return Some(upper);
        }
        let lower = *sorted.get(sorted.len().checked_div(2)?.checked_sub(1)?)?;
        let (a, b, exponent) = Self::aligned(lower, upper)?;
        let mantissa = a.checked_add(b)?.checked_mul(U512::from(5_u8))?;
        Self::floor(Decimal { mantissa, exponent: exponent.checked_sub(1)? })
    }

    /// How far two rates are apart, in millionths of the smaller, rounded up so that a limit is never passed unseen.
    /// `u64::MAX` stands for all that is more.
    #[must_use]
    pub fn apart_millionths(a: Self, b: Self) -> u64 {
        let apart = || {
            let (smaller, larger, _) = Self::aligned(a.min(b), a.max(b))?;
            let difference = larger.checked_sub(smaller)?.checked_mul(U512::from(MILLION))?;
            u64::try_from(wide::quotient_ceil(difference, smaller)?).ok()
        };
        apart().unwrap_or(u64::MAX)
    }

    /// What `amount_in` minor units are worth in minor units of the other currency, rounded down. None when it is negative
    /// or does not fit, or for more than 18 decimals.
    #[must_use]
    pub fn out_floor(self, amount_in: Amount, in_decimals: u8, out_decimals: u8) -> Option<Amount> {
        let factor = self.decimal().between(in_decimals, out_decimals)?;
        wide::amount(factor.times_floor(wide::not_negative(amount_in)?)?)
    }

    /// The least amount whose [`Rate::out_floor`] is at least `amount_out`. None when it is negative or does not fit, or
    /// for more than 18 decimals.
    #[must_use]
    pub fn in_ceil(self, amount_out: Amount, in_decimals: u8, out_decimals: u8) -> Option<Amount> {
        let factor = self.decimal().between(in_decimals, out_decimals)?;
        wide::amount(factor.divides_ceil(wide::not_negative(amount_out)?)?)
    }

    /// This rate minus another, exactly; None when the other is larger.
    pub(crate) fn minus(self, other: Self) -> Option<Decimal> {
        let (a, b, exponent) = Self::aligned(self, other)?;
        Some(Decimal { mantissa: a.checked_sub(b)?, exponent })
    }

    pub(crate) fn decimal(self) -> Decimal {
        Decimal { mantissa: U512::from(self.mantissa), exponent: i32::from(self.exponent) }
    }

    /// Both mantissas at the smaller of both exponents, and that.
    fn aligned(a: Self, b: Self) -> Option<(U512, U512, i32)> {
        let exponent = i32::from(a.exponent.min(b.exponent));
        Some((a.decimal().mantissa_at(exponent)?, b.decimal().mantissa_at(exponent)?, exponent))
    }

    /// The largest rate that is not above a decimal; None for zero and outside the bounds of a rate.
    pub(crate) fn floor(value: Decimal) -> Option<Self> {
        let ten = U512::from(10_u8);
        let (mut wide, mut exponent) = (value.mantissa, value.exponent);
        while wide >= U512::from(MANTISSAS) {
            wide = wide.checked_div(ten)?;
            exponent = exponent.checked_add(1)?;
        }
        let mut mantissa = u64::try_from(wide).ok().filter(|mantissa| *mantissa > 0)?;
        while mantissa.is_multiple_of(10) {
            mantissa = mantissa.checked_div(10)?;
            exponent = exponent.checked_add(1)?;
        }
        let rate = Self { mantissa, exponent: i16::try_from(exponent).ok()? };
        let magnitude = rate.magnitude();
        let within = (-WIDEST..WIDEST).contains(&magnitude) || (magnitude == WIDEST && mantissa == 1);
        within.then_some(rate)
    }

    /// The power of ten of the first digit.
    pub(crate) fn magnitude(self) -> i32 {
        i32::from(self.exponent).saturating_add_unsigned(self.mantissa.checked_ilog10().unwrap_or(0))
    }

    /// The mantissa with 18 digits.
    fn stretched(self) -> u64 {
        let digits = self.mantissa.checked_ilog10().unwrap_or(0);
        self.mantissa.saturating_mul(10_u64.saturating_pow(17_u32.saturating_sub(digits)))
    }
}

impl Ord for Rate {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.magnitude(), self.stretched()).cmp(&(other.magnitude(), other.stretched()))
    }
}

impl PartialOrd for Rate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// That many millionths of an amount, rounded up: a fee. None when the amount is negative or the share does not fit.
#[must_use]
pub fn share_ceil(amount: Amount, millionths: u32) -> Option<Amount> {
    let product = U512::from(wide::not_negative(amount)?).checked_mul(U512::from(millionths))?;
    wide::amount(wide::quotient_ceil(product, U512::from(MILLION))?)
}
