//! Products and quotients of an amount and a rate, exactly: one division, at the very end, in 512 bits.
//!
//! What there is to fit: an amount has 127 bits. A rate is at most 10^30 and at least 10^-30 with a divisor and a mantissa
//! of at most 128 bits each, so that neither side of it as a fraction has more than 128 + 100 bits; 18 decimals are 60
//! more, a million 20. Two rates multiplied have 456. What does not fit is `None`.

use crate::Amount;
pub(crate) use ruint::aliases::U512;

/// Decimals of a currency are at most this many.
pub(crate) const MOST_DECIMALS: u8 = 18;

/// 10 to that power; None above 512 bits.
pub(crate) fn power_of_ten(exponent: u32) -> Option<U512> {
    power(10, exponent)
}

fn power(base: u8, exponent: u32) -> Option<U512> {
    U512::from(base).checked_pow(U512::from(exponent))
}

/// A positive fraction, reduced or not.
#[derive(Clone, Copy)]
pub(crate) struct Ratio {
    pub above: U512,
    pub below: U512,
}

impl Ratio {
    /// `mantissa × 10^exponent / divisor`.
    pub(crate) fn new(mantissa: u128, exponent: i32, divisor: u128) -> Option<Self> {
        Self { above: U512::from(mantissa), below: U512::from(divisor) }.shifted(exponent)
    }

    /// The product.
    pub(crate) fn times(self, other: Self) -> Option<Self> {
        let (above, below) = (self.above.checked_mul(other.above)?, self.below.checked_mul(other.below)?);
        Some(Self { above, below })
    }

    /// The quotient.
    pub(crate) fn over(self, other: Self) -> Option<Self> {
        self.times(Self { above: other.below, below: other.above })
    }

    /// That many millionths of it.
    pub(crate) fn millionths(self, n: u32) -> Option<Self> {
        self.times(Self { above: U512::from(n), below: U512::from(crate::rate::MILLION) })
    }

    /// This one from minor units to minor units: `× 10^(out − in)`.
    pub(crate) fn between(self, in_decimals: u8, out_decimals: u8) -> Option<Self> {
        if in_decimals > MOST_DECIMALS || out_decimals > MOST_DECIMALS {
            return None;
        }
        self.shifted(i32::from(out_decimals).checked_sub(i32::from(in_decimals))?)
    }

    fn shifted(self, places: i32) -> Option<Self> {
        let power = power_of_ten(places.unsigned_abs())?;
        Some(if places < 0 {
            Self { below: self.below.checked_mul(power)?, ..self }
        } else {
            Self { above: self.above.checked_mul(power)?, ..self }
        })
    }

    /// `floor(amount × self)`.
    pub(crate) fn times_floor(self, amount: u128) -> Option<U512> {
        U512::from(amount).checked_mul(self.above)?.checked_div(self.below)
    }

    /// `ceil(amount × self)`.
    pub(crate) fn times_ceil(self, amount: u128) -> Option<U512> {
        quotient_ceil(U512::from(amount).checked_mul(self.above)?, self.below)
    }

    /// `ceil(amount / self)`.
    pub(crate) fn divides_ceil(self, amount: u128) -> Option<U512> {
        quotient_ceil(U512::from(amount).checked_mul(self.below)?, self.above)
    }

    /// The one way to write it as `mantissa × 10^exponent / divisor`: reduced, with the smallest exponent at which the
    /// mantissa fits, so that a decimal has the divisor 1. None when there is no way to write it.
    pub(crate) fn canonical(self) -> Option<(u128, i32, u128)> {
        let common = common(self.above, self.below);
        let (above, twos_above, fives_above) = without_tens(self.above.checked_div(common)?)?;
        let (below, twos_below, fives_below) = without_tens(self.below.checked_div(common)?)?;
        let mut twos = twos_above.checked_sub(twos_below)?;
        let mut fives = fives_above.checked_sub(fives_below)?;
        let mut exponent = twos.min(fives);
        twos = twos.checked_sub(exponent)?;
        fives = fives.checked_sub(exponent)?;
        let mut mantissa = above
            .checked_mul(power(2, twos.unsigned_abs())?)?
            .checked_mul(power(5, fives.unsigned_abs())?)?;
        let mut divisor = below;
        while mantissa > U512::from(u128::MAX) && (twos > 0 || fives > 0) {
            for (left, prime) in [(&mut twos, 2_u8), (&mut fives, 5)] {
                if *left > 0 {
                    mantissa = mantissa.checked_div(U512::from(prime))?;
                } else {
                    divisor = divisor.checked_mul(U512::from(prime))?;
                }
                *left = left.checked_sub(1)?;
            }
            exponent = exponent.checked_add(1)?;
        }
        Some((u128::try_from(mantissa).ok()?, exponent, u128::try_from(divisor).ok()?))
    }

    /// The largest decimal of that many digits that is not above it, as mantissa and exponent; None for zero. It must be
    /// within the bounds of a rate, or its digits may not end. By long division: the digits of a fraction have no room.
    pub(crate) fn digits(self, most: u32) -> Option<(U512, i32)> {
        let (ten, full) = (U512::from(10_u8), power_of_ten(most)?);
        let mut quotient = self.above.checked_div(self.below)?;
        let mut rest = self.above.checked_rem(self.below)?;
        let mut exponent = 0_i32;
        while quotient >= full {
            quotient = quotient.checked_div(ten)?;
            exponent = exponent.checked_add(1)?;
            rest = U512::ZERO;
        }
        while !rest.is_zero() {
            let further = rest.checked_mul(ten)?;
            let more = quotient.checked_mul(ten)?.checked_add(further.checked_div(self.below)?)?;
            if more >= full {
                break;
            }
            (quotient, rest) = (more, further.checked_rem(self.below)?);
            exponent = exponent.checked_sub(1)?;
        }
        while !quotient.is_zero() && quotient.checked_rem(ten)?.is_zero() {
            quotient = quotient.checked_div(ten)?;
            exponent = exponent.checked_add(1)?;
        }
        (!quotient.is_zero()).then_some((quotient, exponent))
    }
}

/// The greatest common divisor.
fn common(mut a: U512, mut b: U512) -> U512 {
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

/// A number without its factors two and five, and how many there were.
fn without_tens(mut number: U512) -> Option<(U512, i32, i32)> {
    let mut taken = [0_i32; 2];
    for (count, prime) in taken.iter_mut().zip([2_u8, 5]) {
        let prime = U512::from(prime);
        while !number.is_zero() && number.checked_rem(prime)?.is_zero() {
            number = number.checked_div(prime)?;
            *count = count.checked_add(1)?;
        }
    }
    let [twos, fives] = taken;
    Some((number, twos, fives))
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
