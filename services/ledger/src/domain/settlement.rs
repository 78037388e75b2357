//! Settlements: a deposit is booked to suspense in its own currency at once, and credited to its wallet when there is a
//! rate. What is said of it when it is booked never changes; only where it is does.

use super::account::Purpose;
use super::digest::{Digest, Hash};
use super::exchange::Exchange;
use super::transfer::{Cause, Kind, NewTransfer};
use beem_clock::{Entropy, Moment};
use beem_ids::{AccountId, LedgerAccountId, RateLockId, SettlementId, TransferId};
use beem_money::{Amount, ConversionError, CurrencyCode, Rate, Terms};

/// The steps of a deposit of which each makes one transfer, once.
const BOOKING: &str = "suspense";
const LEAVING: &str = "conversion";
const CREDIT: &str = "credit";

/// A deposit on its way to its wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub id: SettlementId,
    /// Of the RPC that booked it, and its name for ever.
    pub effect_key: String,
    pub owner: AccountId,
    pub wallet: LedgerAccountId,
    pub wallet_currency: CurrencyCode,
    pub network: String,
    pub currency: CurrencyCode,
    /// Above zero, in `currency`.
    pub amount: Amount,
    /// Of the movement its wallet shows: a deposit or a payment in.
    pub kind: Kind,
    pub reference: String,
    pub cause: Cause,
    /// The rate it was promised, if that promise held when it was seen.
    pub promised: Option<Promised>,
    /// The transfer that brought it to suspense.
    pub suspense: TransferId,
    /// When that was.
    pub created: Moment,
    pub state: SettlementState,
}

/// What a rate lock promised, kept here because locks are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promised {
    pub lock: RateLockId,
    pub mid: Rate,
    pub spread_millionths: u32,
}

/// Where a deposit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettlementState {
    Suspended(Reason),
    /// For good.
    Settled(Credited),
}

/// Why a deposit is in suspense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It was booked just now, or released.
    UnderWay,
    /// Until it is released.
    Kept,
    /// Its pair has no current rate.
    NoRate,
    /// The installation's own account of the wallet's currency cannot go further below zero.
    NoLiquidity,
    /// Less than one minor unit of the wallet's currency.
    TooSmall,
    /// More than the wallet can tell.
    TooLarge,
}

impl Reason {
    pub const ALL: [Self; 6] =
        [Self::UnderWay, Self::Kept, Self::NoRate, Self::NoLiquidity, Self::TooSmall, Self::TooLarge];

    /// As stored and answered.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnderWay => "",
            Self::Kept => "kept",
            Self::NoRate => "no-rate",
            Self::NoLiquidity => "no-liquidity",
            Self::TooSmall => "too-small",
            Self::TooLarge => "too-large",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// What the wallet got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credited {
    /// In the wallet's currency.
    pub amount: Amount,
    /// Units of the wallet's currency for one unit of the paid one, the spread inside.
    pub rate: Rate,
    /// The transfer that came to the wallet.
    pub transfer: TransferId,
    pub at: Moment,
}

/// The linked transfers that bring a deposit from suspense to its wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crediting {
    pub transfers: Vec<NewTransfer>,
    pub amount: Amount,
    pub rate: Rate,
    pub transfer: TransferId,
}

impl Settlement {
    /// The transfer that brings a deposit to suspense.
    #[must_use]
    pub fn suspense_id(id: SettlementId) -> TransferId {
        NewTransfer::derived_id(id.0, BOOKING)
    }

    /// Over what never changes of it.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let promised = self.promised.as_ref();
        let lock = promised.map(|p| p.lock.0.into_bytes());
        let mid = promised.map(|p| p.mid.exact());
        let spread = promised.map_or(-1, |p| i64::from(p.spread_millionths));
        Digest::of("beem.ledger.v1 settlement")
            .bytes(self.id.0.as_bytes())
            .text(&self.effect_key)
            .bytes(self.owner.0.as_bytes())
            .bytes(self.wallet.0.as_bytes())
            .text(self.wallet_currency.as_str())
            .text(&self.network)
            .text(self.currency.as_str())
            .amount(self.amount)
            .text(self.kind.as_str())
            .text(&self.reference)
            .text(&self.cause.kind)
            .text(&self.cause.id)
            .optional(lock.as_ref().map(<[u8; 16]>::as_slice))
            .optional(mid.as_ref().map(String::as_bytes))
            .number(spread)
            .bytes(self.suspense.0.as_bytes())
            .number(self.created.unix_ms())
            .done()
    }

    /// From the chain to suspense.
    #[must_use]
    pub fn booking(&self) -> NewTransfer {
        NewTransfer {
            id: self.suspense,
            debit: Purpose::Clearing.id(self.currency, &self.network),
            credit: Purpose::Suspense.id(self.currency, ""),
            currency: self.currency,
            amount: self.amount,
            kind: Kind::Settlement,
            reference: self.reference.clone(),
            cause: self.cause.clone(),
            counterpart: None,
        }
    }

    /// From suspense to the wallet. `terms` convert the paid currency to the wallet's; they are not looked at when both are
    /// the same.
    ///
    /// # Errors
    /// [`ConversionError`].
    pub fn crediting(
        &self,
        terms: &Terms<'_>,
        now: Moment,
        entropy: &Entropy,
    ) -> Result<Crediting, ConversionError> {
        let source = Purpose::Suspense.id(self.currency, "");
        if self.currency == self.wallet_currency {
            let id = NewTransfer::derived_id(self.id.0, CREDIT);
            let transfer =
                NewTransfer { id, debit: source, credit: self.wallet, kind: self.kind, ..self.booking() };
            let transfers = vec![transfer];
            return Ok(Crediting { transfers, amount: self.amount, rate: Rate::ONE, transfer: id });
        }
        let conversion = terms.sell(self.amount)?;
        let exchange = Exchange {
            source,
            target: self.wallet,
            from: self.currency,
            to: self.wallet_currency,
            conversion,
            out_kind: Kind::Settlement,
            in_kind: self.kind,
            reference: &self.reference,
            cause: &self.cause,
        };
        let ids = (NewTransfer::derived_id(self.id.0, LEAVING), NewTransfer::derived_id(self.id.0, CREDIT));
        let exchanged = exchange.transfers(ids, now, entropy);
        Ok(Crediting {
            transfers: exchanged.transfers,
            amount: conversion.amount_out,
            rate: conversion.rate,
            transfer: exchanged.credit,
        })
    }

    /// Whether it may go on to its wallet.
    #[must_use]
    pub const fn may_go_on(&self) -> bool {
        match self.state {
            SettlementState::Suspended(Reason::Kept) | SettlementState::Settled(_) => false,
            SettlementState::Suspended(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_money::Currencies;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use uuid::Uuid;

    fn settlement(currency: CurrencyCode, wallet_currency: CurrencyCode, minor: i128) -> Settlement {
        Settlement {
            id: SettlementId(Uuid::from_u128(1)),
            effect_key: "deposit:ethereum:0xab:0".into(),
            owner: AccountId(Uuid::from_u128(2)),
            wallet: LedgerAccountId(Uuid::from_u128(3)),
            wallet_currency,
            network: "ethereum".into(),
            currency,
            amount: Amount::from_minor(minor),
            kind: Kind::Deposit,
            reference: "r".into(),
            cause: Cause { kind: "deposit".into(), id: "1".into() },
            promised: None,
            suspense: Settlement::suspense_id(SettlementId(Uuid::from_u128(1))),
            created: Moment::from_unix_ms(1_800_000_000_000),
            state: SettlementState::Suspended(Reason::UnderWay),
        }
    }

    fn books(transfers: &[NewTransfer]) -> BTreeMap<(LedgerAccountId, CurrencyCode), i128> {
        let mut books = BTreeMap::new();
        for transfer in transfers {
            *books.entry((transfer.debit, transfer.currency)).or_insert(0) -= transfer.amount.minor();
            *books.entry((transfer.credit, transfer.currency)).or_insert(0) += transfer.amount.minor();
        }
        books
    }

    proptest! {
        #[test]
        fn row_19_all_of_a_deposit_leaves_suspense_and_nothing_of_it_is_lost(
            minor in 1_i128..1_000_000_000_000_000_000_000_000_000_000,
            (from, to) in (0_usize..15, 0_usize..15),
            mantissa in 1_u64..1_000_000_000,
            places in 0_usize..9,
            spread_millionths in 0_u32..100_000,
        ) {
            let currencies = Currencies::built_in();
            let (from, to) = (currencies.iter().nth(from).unwrap(), currencies.iter().nth(to).unwrap());
            let mid = format!("{mantissa}.{:0>places$}1", "").parse().unwrap();
            let terms = Terms { from, to, mid, spread_millionths, fee_millionths: 0 };
            let deposit = settlement(from.code, to.code, minor);
            let entropy = Entropy::seeded(1);
            let Ok(crediting) = deposit.crediting(&terms, deposit.created, &entropy) else { return Ok(()) };
            let mut transfers = vec![deposit.booking()];
            transfers.extend(crediting.transfers);
            let books = books(&transfers);
            let of = |purpose: Purpose, code, network| {
                books.get(&(purpose.id(code, network), code)).copied().unwrap_or(0)
            };
            prop_assert_eq!(of(Purpose::Clearing, from.code, "ethereum"), -minor);
            prop_assert_eq!(of(Purpose::Suspense, from.code, ""), 0);
            prop_assert_eq!(books[&(deposit.wallet, to.code)], crediting.amount.minor());
            if from.code == to.code {
                prop_assert_eq!(crediting.amount.minor(), minor);
            } else {
                prop_assert_eq!(of(Purpose::Liquidity, from.code, ""), minor);
                let gross = mid.out_floor(deposit.amount, from.decimals, to.decimals).unwrap().minor();
                prop_assert_eq!(of(Purpose::Liquidity, to.code, ""), -gross);
                let kept = of(Purpose::Spread, to.code, "") + of(Purpose::Rounding, to.code, "");
                prop_assert_eq!(gross, crediting.amount.minor() + kept);
            }
        }
    }

    #[test]
    fn every_fact_is_in_the_digest_and_where_it_is_is_not() {
        let (usdc, usd) = ("USDC".parse().unwrap(), "USD".parse().unwrap());
        let deposit = settlement(usdc, usd, 7);
        let changed = |change: &dyn Fn(&mut Settlement)| {
            let mut other = deposit.clone();
            change(&mut other);
            other.digest() != deposit.digest()
        };
        assert!(changed(&|s| s.amount = Amount::from_minor(8)));
        assert!(changed(&|s| s.wallet = LedgerAccountId(Uuid::from_u128(9))));
        assert!(changed(&|s| s.kind = Kind::PaymentIn));
        assert!(changed(&|s| s.suspense = TransferId(Uuid::from_u128(9))));
        let lock = RateLockId(Uuid::from_u128(5));
        assert!(changed(&|s| s.promised = Some(Promised { lock, mid: Rate::ONE, spread_millionths: 0 })));
        assert!(!changed(&|s| s.state = SettlementState::Suspended(Reason::Kept)));
    }

    #[test]
    fn what_is_done_once_has_one_id() {
        let currencies = Currencies::built_in();
        let [usdc, usd] = ["USDC", "USD"].map(|code| currencies.get(code.parse().unwrap()).unwrap());
        let terms = Terms { from: usdc, to: usd, mid: Rate::ONE, spread_millionths: 0, fee_millionths: 0 };
        for deposit in [settlement(usdc.code, usd.code, 70_000), settlement(usdc.code, usdc.code, 7)] {
            let [one, two] = [1, 2].map(|seed| {
                deposit.crediting(&terms, deposit.created, &Entropy::seeded(seed)).unwrap().transfer
            });
            assert_eq!(one, two);
            assert_ne!(one, deposit.suspense);
        }
    }

    #[test]
    fn a_dust_deposit_is_too_small_and_a_kept_one_waits() {
        let currencies = Currencies::built_in();
        let [eth, usd] = ["ETH", "USD"].map(|code| currencies.get(code.parse().unwrap()).unwrap());
        let mid = "3000".parse().unwrap();
        let terms = Terms { from: eth, to: usd, mid, spread_millionths: 0, fee_millionths: 0 };
        let mut dust = settlement(eth.code, usd.code, 1);
        let refused = dust.crediting(&terms, dust.created, &Entropy::seeded(1)).unwrap_err();
        assert_eq!(refused, ConversionError::TooSmall);
        assert!(dust.may_go_on());
        dust.state = SettlementState::Suspended(Reason::Kept);
        assert!(!dust.may_go_on());
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
    }
}
