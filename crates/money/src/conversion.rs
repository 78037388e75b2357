//! The price of a conversion: what goes in, what comes out, and where everything between them stays. Quotes, settlements
//! and payouts all ask here, so that they agree to the minor unit.

use crate::wide::{self, U512};
use crate::{Amount, Currency, Rate, share_ceil};

const MILLION: u32 = 1_000_000;

/// On what terms one currency is changed into another.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    pub from: &'a Currency,
    pub to: &'a Currency,
    /// The market's rate, from → to. Not looked at when both are the same currency: that rate is one.
    pub mid: Rate,
    /// What is kept of the rate. Not looked at when both are the same currency.
    pub spread_millionths: u32,
    /// What is kept of the amount that goes in.
    pub fee_millionths: u32,
}

/// A priced conversion. With `gross` as what `net_in` is worth at the market's rate, rounded down:
/// `gross = amount_out + spread + remainder` and `amount_in = fee + net_in`; none of them is negative. What is cut off
/// `gross`, less than a minor unit, is in none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversion {
    /// All that is debited, in `from`.
    pub amount_in: Amount,
    /// In `from`, rounded up.
    pub fee: Amount,
    /// What is converted, in `from`.
    pub net_in: Amount,
    /// All that is credited, in `to`.
    pub amount_out: Amount,
    /// What the spread keeps, in `to`, rounded down.
    pub spread: Amount,
    /// What is left of splitting `gross`, in `to`.
    pub remainder: Amount,
    /// The quoted rate, after the spread; its own text is enough to keep, as nothing is priced with it again.
    pub rate: Rate,
}

/// Why there is no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// Nothing would be converted, or nothing would come out.
    #[error("the amount is too small to convert")]
    TooSmall,
    #[error("the amount is too large to convert")]
    TooLarge,
}

impl Terms<'_> {
    /// The quoted rate: the market's less the spread, exactly; rounded down only where it is shown. None when nothing is left of it.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        if self.is_same() { Some(Rate::ONE) } else { self.mid.less_millionths(self.spread_millionths) }
    }

    /// Converts all of `amount_in`, fee included.
    ///
    /// # Errors
    /// [`ConversionError`]; `TooSmall` also for an amount that is not positive, and when spread or fee leave nothing.
    pub fn sell(&self, amount_in: Amount) -> Result<Conversion, ConversionError> {
        if !amount_in.is_positive() {
            return Err(ConversionError::TooSmall);
        }
        let rate = self.rate().ok_or(ConversionError::TooSmall)?;
        let net_in = self.net(amount_in)?;
        let amount_out = self.out_floor(rate, net_in)?;
        self.price(amount_in, net_in, amount_out, rate)
    }

    /// Converts the least amount whose sale gives at least `amount_out`, and gives exactly that; what the sale would give
    /// more goes to the remainder.
    ///
    /// # Errors
    /// [`ConversionError`]; `TooSmall` also for an amount that is not positive, and when spread or fee leave nothing.
    pub fn buy(&self, amount_out: Amount) -> Result<Conversion, ConversionError> {
        if !amount_out.is_positive() {
            return Err(ConversionError::TooSmall);
        }
        let rate = self.rate().ok_or(ConversionError::TooSmall)?;
        let least_net = rate
            .in_ceil(amount_out, self.from.decimals, self.to.decimals)
            .ok_or(ConversionError::TooLarge)?;
        let amount_in = self.before_fee(least_net)?;
        let net_in = self.net(amount_in)?;
        self.price(amount_in, net_in, amount_out, rate)
    }

    fn is_same(&self) -> bool {
        self.from.code == self.to.code
    }

    /// What the fee leaves of an amount: `floor(amount × (10^6 − fee) / 10^6)`.
    fn net(&self, amount_in: Amount) -> Result<Amount, ConversionError> {
        let fee = share_ceil(amount_in, self.fee_millionths).ok_or(ConversionError::TooSmall)?;
        let net_in = amount_in.checked_sub(fee).ok_or(ConversionError::TooSmall)?;
        if net_in.is_positive() { Ok(net_in) } else { Err(ConversionError::TooSmall) }
    }

    /// The least amount of which the fee leaves `net`: as [`Terms::net`] grows by at most one with the amount, it leaves
    /// exactly that.
    fn before_fee(&self, net: Amount) -> Result<Amount, ConversionError> {
        let kept = MILLION
            .checked_sub(self.fee_millionths)
            .filter(|kept| *kept > 0)
            .ok_or(ConversionError::TooSmall)?;
        wide::not_negative(net)
            .and_then(|net| U512::from(net).checked_mul(U512::from(MILLION)))
            .and_then(|millions| wide::quotient_ceil(millions, U512::from(kept)))
            .and_then(wide::amount)
            .ok_or(ConversionError::TooLarge)
    }

    fn out_floor(&self, rate: Rate, net_in: Amount) -> Result<Amount, ConversionError> {
        rate.out_floor(net_in, self.from.decimals, self.to.decimals).ok_or(ConversionError::TooLarge)
    }

    /// Splits what `net_in` is worth at the market's rate. Two parts rounded down are at most the whole rounded down, so
    /// that the spread leaves a remainder that is not negative.
    fn price(
        &self,
        amount_in: Amount,
        net_in: Amount,
        amount_out: Amount,
        rate: Rate,
    ) -> Result<Conversion, ConversionError> {
        if !amount_out.is_positive() {
            return Err(ConversionError::TooSmall);
        }
        let (mid, kept_millionths) =
            if self.is_same() { (Rate::ONE, 0) } else { (self.mid, self.spread_millionths) };
        let gross = self.out_floor(mid, net_in)?;
        let kept = gross.checked_sub(amount_out).ok_or(ConversionError::TooLarge)?;
        let spread = mid
            .share_floor(net_in, (self.from.decimals, self.to.decimals), kept_millionths)
            .ok_or(ConversionError::TooLarge)?
            .min(kept);
        let fee = amount_in.checked_sub(net_in).ok_or(ConversionError::TooLarge)?;
        let remainder = kept.checked_sub(spread).ok_or(ConversionError::TooLarge)?;
        Ok(Conversion { amount_in, fee, net_in, amount_out, spread, remainder, rate })
    }
}
