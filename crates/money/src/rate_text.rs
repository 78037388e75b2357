//! The texts of a rate. What people and files write is a plain decimal; a feed's JSON number may have an exponent. A rate
//! is shown as a plain decimal of at most 18 digits, rounded down; what must read back as the same rate is kept as its
//! exact text.

use crate::Rate;
use crate::rate::SIGNIFICANT;
use crate::wide::{Ratio, U512, power_of_ten};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The longest text that is read as a rate; the longest that is shown has 49.
const LONGEST: usize = 100;
/// The longest exact text that is read; every one that is written is shorter.
const LONGEST_EXACT: usize = 120;

/// Why a text is not a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    #[error("the rate is empty")]
    Empty,
    #[error("the rate must not have a sign")]
    Sign,
    #[error("the rate must not have an exponent")]
    Exponent,
    #[error("the rate must be a decimal number such as 1.0842")]
    NotDecimal,
    #[error("the rate must not be zero")]
    Zero,
    #[error("the rate must be from 10^-30 to 10^30")]
    OutOfBounds,
    #[error("the rate has more than 100 characters")]
    TooLong,
    /// Only of [`Rate::parse_exact`].
    #[error("not the exact text of a rate")]
    NotExact,
}

pub(crate) fn parse(text: &str) -> Result<Rate, RateError> {
    let (mantissa, exponent) = halves(text)?;
    match exponent {
        Some(_) => Err(RateError::Exponent),
        None => read(mantissa, 0),
    }
}

pub(crate) fn parse_feed(text: &str) -> Result<Rate, RateError> {
    let (mantissa, exponent) = halves(text)?;
    let Some(exponent) = exponent else { return read(mantissa, 0) };
    let (negative, digits) = match exponent.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, exponent.strip_prefix('+').unwrap_or(exponent)),
    };
    if !is_digits(digits) {
        return Err(RateError::NotDecimal);
    }
    // Five digits and more are out of bounds whatever stands before them, unless they begin with zeros.
    let size: i32 = match digits.trim_start_matches('0') {
        "" => 0,
        some if some.len() > 4 => 10_000,
        some => some.parse().map_err(|_| RateError::NotDecimal)?,
    };
    read(mantissa, if negative { size.saturating_neg() } else { size })
}

/// What stands before and after the `e`, once length, emptiness and the sign are checked.
fn halves(text: &str) -> Result<(&str, Option<&str>), RateError> {
    if text.is_empty() {
        return Err(RateError::Empty);
    }
    if text.chars().nth(LONGEST).is_some() {
        return Err(RateError::TooLong);
    }
    if text.starts_with(['-', '+']) {
        return Err(RateError::Sign);
    }
    match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) if mantissa.starts_with(|first: char| first.is_ascii_digit()) => {
            Ok((mantissa, Some(exponent)))
        }
        Some(_) => Err(RateError::NotDecimal),
        None => Ok((text, None)),
    }
}

fn read(text: &str, exponent: i32) -> Result<Rate, RateError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !is_digits(whole) || !is_digits(fraction) {
        return Err(RateError::NotDecimal);
    }
    let all = || whole.bytes().chain(fraction.bytes());
    let leading = all().take_while(|digit| *digit == b'0').count();
    let significant = all().skip(leading).take(usize::try_from(SIGNIFICANT).unwrap_or_default());
    let mantissa = significant.clone().try_fold(0_u128, |mantissa, digit| {
        mantissa.checked_mul(10)?.checked_add(u128::from(digit.checked_sub(b'0')?))
    });
    let mantissa = mantissa.filter(|mantissa| *mantissa > 0).ok_or(RateError::Zero)?;
    // The last digit taken has this place before the point of the mantissa.
    let taken = leading.checked_add(significant.count()).ok_or(RateError::OutOfBounds)?;
    let place = i32::try_from(whole.len()).ok().zip(i32::try_from(taken).ok());
    let place = place.and_then(|(whole, taken)| whole.checked_sub(taken)).ok_or(RateError::OutOfBounds)?;
    let exponent = exponent.checked_add(place).ok_or(RateError::OutOfBounds)?;
    // A power of ten that does not fit is out of bounds as well.
    Ratio::new(mantissa, exponent, 1).and_then(Rate::of).ok_or(RateError::OutOfBounds)
}

pub(crate) fn exact(rate: Rate) -> String {
    let decimal = plain(&rate.mantissa().to_string(), i32::from(rate.exponent()));
    match rate.divisor() {
        1 => decimal,
        divisor => format!("{decimal}/{divisor}"),
    }
}

pub(crate) fn parse_exact(text: &str) -> Result<Rate, RateError> {
    let read = || {
        let (decimal, divisor) = text.split_once('/').unwrap_or((text, "1"));
        let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
        let places = u32::try_from(fraction.len()).ok()?;
        let above = number(whole.bytes().chain(fraction.bytes()))?;
        let below = number(divisor.bytes())?.checked_mul(power_of_ten(places)?)?;
        Rate::of(Ratio { above, below })
    };
    let rate = if text.len() > LONGEST_EXACT { None } else { read() };
    // Another spelling, and more than a rate holds.
    rate.filter(|rate| exact(*rate) == text).ok_or(RateError::NotExact)
}

/// The number that decimal digits are.
fn number(mut digits: impl Iterator<Item = u8>) -> Option<U512> {
    digits.try_fold(U512::ZERO, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(U512::from(10_u8))?.checked_add(U512::from(digit))
    })
}

/// `digits × 10^exponent` as a plain decimal.
fn plain(digits: &str, exponent: i32) -> String {
    let places = usize::try_from(exponent.unsigned_abs()).unwrap_or_default();
    if exponent >= 0 {
        return format!("{digits}{:0<places$}", "");
    }
    let digits = format!("{digits:0>width$}", width = places.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
    format!("{whole}.{fraction}")
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A plain decimal of at most 18 significant digits, rounded down, without trailing zeros, and without a point when it is
/// whole. A rate that is read from it is shown the same.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.ratio().and_then(|ratio| ratio.digits(SIGNIFICANT));
        let (mantissa, exponent) = shown.ok_or(fmt::Error)?;
        f.write_str(&plain(&mantissa.to_string(), exponent))
    }
}

impl FromStr for Rate {
    type Err = RateError;

    /// As [`Rate::parse`].
    fn from_str(text: &str) -> Result<Self, RateError> {
        parse(text)
    }
}

/// As its exact text, never as a number, which readers would take for a float.
impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.exact())
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_exact(&text).map_err(serde::de::Error::custom)
    }
}
