//! What one whole unit of a currency is worth in another: an exact ratio. Whatever is made of it is divided once, when an
//! amount comes out; a rate that was rounded before would cost a minor unit on round numbers.

use crate::wide::{self, Ratio, U512};
use crate::{Amount, RateError};
use std::cmp::Ordering;

/// Rates are from 10^-30 to 10^30, both counted in.
const WIDEST: u32 = 30;
/// What is read of a plain decimal, and what is shown.
pub(crate) const SIGNIFICANT: u32 = 18;
pub(crate) const MILLION: u32 = 1_000_000;

/// How many whole units of one currency one whole unit of another is worth: `mantissa × 10^exponent / divisor`, more than
/// zero, from 10^-30 to 10^30. Written in one way only, so that equal rates are equal values. Ordered by value.
///
/// Shown as a plain decimal of at most 18 digits ([`std::fmt::Display`]), kept as [`Rate::exact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    mantissa: u128,
    divisor: u128,
    exponent: i16,
}

impl Rate {
    pub const ONE: Self = Self { mantissa: 1, divisor: 1, exponent: 0 };

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

    /// Reads what [`Rate::exact`] writes, and nothing else: no other spelling of the same rate.
    ///
    /// # Errors
    /// [`RateError::NotExact`].
    pub fn parse_exact(text: &str) -> Result<Self, RateError> {
        crate::rate_text::parse_exact(text)
    }

    /// All of it, to be kept: a plain decimal such as `97000.5`, and `/` with the divisor when that is not one, such as
    /// `25/27`. At most 120 characters.
    #[must_use]
    pub fn exact(&self) -> String {
        crate::rate_text::exact(*self)
    }

    /// No multiple of ten, and nothing in common with the divisor.
    #[must_use]
    pub const fn mantissa(self) -> u128 {
        self.mantissa
    }

    /// The power of ten that multiplies the mantissa.
    #[must_use]
    pub const fn exponent(self) -> i16 {
        self.exponent
    }

    /// One for a plain decimal.
    #[must_use]
    pub const fn divisor(self) -> u128 {
        self.divisor
    }

    /// `from_usd / to_usd`: what one unit of `from` is worth in `to`, when one unit of either is worth that many USD.
    /// Exact, as [`Rate::of`] says. None outside the bounds of a rate.
    #[must_use]
    pub fn cross(from_usd: Self, to_usd: Self) -> Option<Self> {
        Self::of(from_usd.ratio()?.over(to_usd.ratio()?)?)
    }

    /// `rate × (10^6 − n) / 10^6`: the rate after a spread. Exact, as [`Rate::of`] says. None for n of a million and more,
    /// and outside the bounds of a rate.
    #[must_use]
    pub fn less_millionths(self, n: u32) -> Option<Self> {
        Self::of(self.ratio()?.millionths(MILLION.checked_sub(n)?)?)
    }

    /// `rate × (10^6 + n) / 10^6`. Exact, as [`Rate::of`] says. None outside the bounds of a rate.
    #[must_use]
    pub fn more_millionths(self, n: u32) -> Option<Self> {
        Self::of(self.ratio()?.millionths(MILLION.checked_add(n)?)?)
    }

    /// The middle one by value; of an even number the average of the two middle ones, as a decimal of 18 digits rounded
    /// down unless they are equal. None of none.
    #[must_use]
    pub fn median(rates: &[Self]) -> Option<Self> {
        let mut sorted = rates.to_vec();
        sorted.sort_unstable();
        let upper = *sorted.get(sorted.len().checked_div(2)?)?;
        if !sorted.len().is_multiple_of(2) {
            return Some(upper);
        }
        let lower = *sorted.get(sorted.len().checked_div(2)?.checked_sub(1)?)?;
        if lower == upper {
            return Some(upper);
        }
        let (a, b, below) = Self::aligned(lower, upper)?;
        let average = Ratio { above: a.checked_add(b)?, below: below.checked_mul(U512::from(2_u8))? };
        // Rounded down it may fall below two ratios that are nearly one.
        Self::floor(average).map(|average| average.max(lower))
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
        let factor = self.ratio()?.between(in_decimals, out_decimals)?;
        wide::amount(factor.times_floor(wide::not_negative(amount_in)?)?)
    }

    /// The same, rounded up: for limits that must not be slipped under.
    #[must_use]
    pub fn out_ceil(self, amount_in: Amount, in_decimals: u8, out_decimals: u8) -> Option<Amount> {
        let factor = self.ratio()?.between(in_decimals, out_decimals)?;
        wide::amount(factor.times_ceil(wide::not_negative(amount_in)?)?)
    }

    /// The least amount whose [`Rate::out_floor`] is at least `amount_out`. None when it is negative or does not fit, or
    /// for more than 18 decimals.
    #[must_use]
    pub fn in_ceil(self, amount_out: Amount, in_decimals: u8, out_decimals: u8) -> Option<Amount> {
        let factor = self.ratio()?.between(in_decimals, out_decimals)?;
        wide::amount(factor.divides_ceil(wide::not_negative(amount_out)?)?)
    }

    /// That many millionths of what `amount_in` is worth, rounded down: what a spread keeps. None as [`Rate::out_floor`].
    pub(crate) fn share_floor(
        self,
        amount_in: Amount,
        (in_decimals, out_decimals): (u8, u8),
        n: u32,
    ) -> Option<Amount> {
        let factor = self.ratio()?.between(in_decimals, out_decimals)?.millionths(n)?;
        wide::amount(factor.times_floor(wide::not_negative(amount_in)?)?)
    }

    /// The rate of that value. A ratio whose reduced parts have more than 128 bits is rounded down to 18 digits: no rate is
    /// a promise of more than its worth, and no market's price is left without a rate. Decimals, their crosses and a spread
    /// on them always fit. None for zero and outside the bounds of a rate.
    pub(crate) fn of(value: Ratio) -> Option<Self> {
        if !Self::is_within(value) {
            return None;
        }
        match value.canonical() {
            Some((mantissa, exponent, divisor)) => {
                Some(Self { mantissa, divisor, exponent: i16::try_from(exponent).ok()? })
            }
            None => Self::floor(value),
        }
    }

    /// The largest decimal of 18 digits that is not above that value; None for zero and outside the bounds of a rate.
    pub(crate) fn floor(value: Ratio) -> Option<Self> {
        if !Self::is_within(value) {
            return None;
        }
        let (mantissa, exponent) = value.digits(SIGNIFICANT)?;
        let mantissa = u128::try_from(mantissa).ok()?;
        Some(Self { mantissa, divisor: 1, exponent: i16::try_from(exponent).ok()? })
    }

    fn is_within(Ratio { above, below }: Ratio) -> bool {
        let Some(most) = wide::power_of_ten(WIDEST) else { return false };
        // What does not fit is larger than all that does.
        let up_to = |small: U512, large: U512| small.checked_mul(most).is_none_or(|most| large <= most);
        !above.is_zero() && !below.is_zero() && up_to(below, above) && up_to(above, below)
    }

    /// Always there: no side of a rate has more than 228 bits.
    pub(crate) fn ratio(self) -> Option<Ratio> {
        Ratio::new(self.mantissa, i32::from(self.exponent), self.divisor)
    }

    /// Both as numerators above one denominator, and that.
    fn aligned(a: Self, b: Self) -> Option<(U512, U512, U512)> {
        let (a, b) = (a.ratio()?, b.ratio()?);
        Some((a.above.checked_mul(b.below)?, b.above.checked_mul(a.below)?, a.below.checked_mul(b.below)?))
    }
}

impl Ord for Rate {
    fn cmp(&self, other: &Self) -> Ordering {
        // The default is never taken: two sides of 228 bits fit.
        Self::aligned(*self, *other).map_or(Ordering::Equal, |(a, b, _)| a.cmp(&b))
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
