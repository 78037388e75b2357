//! Outbounds: a payout whose every amount is fixed when its funds are held. Posting it needs no rate but the ones written
//! down with it, and takes at most what is held.

mod plan;
mod worth;

pub use plan::{Leg, Plan};
pub use worth::worth_ceil;

use super::account::Purpose;
use super::digest::{Digest, Hash};
use super::exchange::Exchange;
use super::hold::NewHold;
use super::transfer::{Kind, NewTransfer};
use beem_clock::{Entropy, Moment};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, HoldId, LedgerAccountId, TransferId};
use beem_money::{Amount, Conversion, Currency, CurrencyCode, Rate};

/// Who bears network fees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeePayer {
    /// They are held on top of what is paid.
    Merchant,
    /// They are taken from what is paid.
    Recipient,
}

impl FeePayer {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Merchant => "MERCHANT",
            Self::Recipient => "RECIPIENT",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Merchant, Self::Recipient].into_iter().find(|payer| payer.as_str() == text)
    }
}

/// A payout's money; nothing of it changes but `posted`, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    pub hold: HoldId,
    pub owner: AccountId,
    pub wallet: LedgerAccountId,
    pub network: String,
    pub wallet_currency: CurrencyCode,
    /// All that can leave the wallet.
    pub held: Amount,
    pub pay_currency: CurrencyCode,
    /// Above zero.
    pub pay: Amount,
    pub fee_currency: CurrencyCode,
    /// The most that network fees may cost.
    pub fee_cap: Amount,
    pub fee_payer: FeePayer,
    pub plan: Plan,
    pub base_currency: CurrencyCode,
    /// What `held` is worth at the middle rate, rounded up.
    pub base: Amount,
    pub created: Moment,
    pub posted: Option<PostedOutbound>,
}

/// What a payout took in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostedOutbound {
    /// In the currency of the fee cap.
    pub fee: Amount,
    /// What left the wallet.
    pub debited: Amount,
    pub at: Moment,
}

/// The linked transfers that pay it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paying {
    pub transfers: Vec<NewTransfer>,
    /// The sum of those that leave the wallet: at most what is held.
    pub debited: Amount,
}

impl Outbound {
    /// Over what never changes of it.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Digest::of("beem.ledger.v1 outbound")
            .bytes(self.hold.0.as_bytes())
            .bytes(self.owner.0.as_bytes())
            .bytes(self.wallet.0.as_bytes())
            .text(&self.network)
            .text(self.wallet_currency.as_str())
            .amount(self.held)
            .text(self.pay_currency.as_str())
            .amount(self.pay)
            .text(self.fee_currency.as_str())
            .amount(self.fee_cap)
            .text(self.fee_payer.as_str())
            .text(&self.plan.to_text())
            .text(self.base_currency.as_str())
            .amount(self.base)
            .number(self.created.unix_ms())
            .done()
    }

    /// Whether the network may have taken that.
    ///
    /// # Errors
    /// `validation-failed` naming `fee` when it is above the cap.
    pub fn check_fee(&self, fee: Amount) -> Result<()> {
        if fee.is_negative() || fee > self.fee_cap {
            return Err(Fault::field("fee", "at most the cap that was reserved"));
        }
        Ok(())
    }

    /// What its conversions take from liquidity, by currency: what is received, and what is kept of the worth at the middle
    /// rate. The fee counts with all of its cap.
    #[must_use]
    pub fn liquidity(&self) -> Vec<(CurrencyCode, Option<Amount>)> {
        let worth = |leg: &Leg| {
            let priced = &leg.conversion;
            priced.amount_out.checked_add(priced.spread)?.checked_add(priced.remainder)
        };
        match (self.plan.pay.as_ref().map(worth), self.plan.fee.as_ref().map(worth)) {
            (Some(pay), Some(fee)) if self.pay_currency == self.fee_currency => {
                vec![(self.pay_currency, pay.zip(fee).and_then(|(pay, fee)| pay.checked_add(fee)))]
            }
            (pay, fee) => {
                let pay = pay.map(|worth| (self.pay_currency, worth));
                pay.into_iter().chain(fee.map(|worth| (self.fee_currency, worth))).collect()
            }
        }
    }

    /// Units of the paid currency for one unit of the wallet's.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.plan.pay.as_ref().map_or(Rate::ONE, |leg| leg.conversion.rate)
    }

    /// Wallet → chain clearing what is paid, converted as planned. Merchant: wallet → gas the fee, at the planned rate,
    /// rounded up. Recipient: clearing → gas the fee, so that clearing gets what is paid less the fee. `currencies` are the
    /// wallet's and the fee's.
    ///
    /// # Errors
    /// `validation-failed` naming `fee` when it is above the cap; `internal` for a plan that contradicts itself.
    pub fn paying(
        &self,
        fee: Amount,
        currencies: (&Currency, &Currency),
        hold: &NewHold,
        now: Moment,
        entropy: &Entropy,
    ) -> Result<Paying> {
        self.check_fee(fee)?;
        let draft = Draft { outbound: self, hold, now, entropy };
        let clearing = Purpose::Clearing.id(self.pay_currency, &self.network);
        let gas = Purpose::Gas.id(self.fee_currency, "");
        let mut transfers = match &self.plan.pay {
            None => {
                let (currency, kind) = (self.pay_currency, Kind::PaymentOut);
                vec![draft.plain("pay", (self.wallet, clearing), currency, self.pay, kind)]
            }
            Some(leg) => {
                draft.exchanged("pay", clearing, self.pay_currency, leg.conversion, Kind::PaymentOut)
            }
        };
        if fee.is_positive() {
            transfers.extend(match (self.fee_payer, &self.plan.fee) {
                (FeePayer::Recipient, _) => {
                    vec![draft.plain("fee", (clearing, gas), self.fee_currency, fee, Kind::Fee)]
                }
                (FeePayer::Merchant, None) => {
                    vec![draft.plain("fee", (self.wallet, gas), self.fee_currency, fee, Kind::Fee)]
                }
                (FeePayer::Merchant, Some(leg)) => {
                    let terms = leg.terms(currencies.0, currencies.1);
                    let conversion = terms.buy(fee).map_err(Fault::internal)?;
                    draft.exchanged("fee", gas, self.fee_currency, conversion, Kind::Fee)
                }
            });
        }
        let leaving = transfers.iter().filter(|transfer| transfer.debit == self.wallet);
        let debited = leaving.map(|t| t.amount).try_fold(Amount::ZERO, Amount::checked_add);
        match debited.filter(|debited| *debited <= self.held) {
            Some(debited) => Ok(Paying { transfers, debited }),
            None => Err(Fault::internal("a payout would take more than is held for it")),
        }
    }
}

/// What the transfers of a payout have in common. Those at the wallet, the chain and the gas have ids of the payout and of
/// what they pay, so that nothing pays one twice.
struct Draft<'a> {
    outbound: &'a Outbound,
    hold: &'a NewHold,
    now: Moment,
    entropy: &'a Entropy,
}

impl Draft<'_> {
    fn plain(
        &self,
        step: &str,
        (debit, credit): (LedgerAccountId, LedgerAccountId),
        currency: CurrencyCode,
        amount: Amount,
        kind: Kind,
    ) -> NewTransfer {
        let id = self.id(step);
        let (reference, cause) = (self.hold.reference.clone(), self.hold.cause.clone());
        NewTransfer { id, debit, credit, currency, amount, kind, reference, cause, counterpart: None }
    }

    fn id(&self, step: &str) -> TransferId {
        NewTransfer::derived_id(self.outbound.hold.0, step)
    }

    fn exchanged(
        &self,
        step: &str,
        target: LedgerAccountId,
        to: CurrencyCode,
        conversion: Conversion,
        kind: Kind,
    ) -> Vec<NewTransfer> {
        let exchange = Exchange {
            source: self.outbound.wallet,
            target,
            from: self.outbound.wallet_currency,
            to,
            conversion,
            out_kind: kind,
            in_kind: kind,
            reference: &self.hold.reference,
            cause: &self.hold.cause,
        };
        let ids = (self.id(step), self.id(&format!("{step} credit")));
        exchange.transfers(ids, self.now, self.entropy).transfers
    }
}

#[cfg(test)]
mod tests;
