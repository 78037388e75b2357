//! An exchange: one amount leaves an account in one currency, another comes to an account in another, through the liquidity
//! accounts. What a conversion keeps are transfers of their own, so that nothing of it is lost and the liquidity account of
//! the received currency pays exactly the worth at the middle rate.

use super::account::Purpose;
use super::transfer::{Cause, Counterpart, Kind, NewTransfer};
use beem_clock::{Entropy, Moment};
use beem_ids::{LedgerAccountId, TransferId};
use beem_money::{Amount, Conversion, CurrencyCode};

/// A priced conversion between two ledger accounts.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// What it is taken from, in `from`.
    pub source: LedgerAccountId,
    /// Where it goes, in `to`.
    pub target: LedgerAccountId,
    pub from: CurrencyCode,
    pub to: CurrencyCode,
    pub conversion: Conversion,
    /// Of the movement that leaves the source.
    pub out_kind: Kind,
    /// Of the movement that comes to the target.
    pub in_kind: Kind,
    pub reference: &'a str,
    pub cause: &'a Cause,
}

/// The linked transfers of an exchange, in the order in which they are to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    pub transfers: Vec<NewTransfer>,
    /// The one that leaves the source.
    pub debit: TransferId,
    /// The one that comes to the target.
    pub credit: TransferId,
}

impl Exchange<'_> {
    /// Source → liquidity all that is given; liquidity → fees the fee in it; liquidity → target what is received; liquidity
    /// → spread and → rounding what lies between that and the worth. What is zero is left out. The one that leaves the source
    /// and the one that comes to the target get these ids.
    #[must_use]
    pub fn transfers(
        &self,
        (debit, credit): (TransferId, TransferId),
        now: Moment,
        entropy: &Entropy,
    ) -> Exchanged {
        let (from, to, priced) = (self.from, self.to, &self.conversion);
        let (given, received) = (Purpose::Liquidity.id(from, ""), Purpose::Liquidity.id(to, ""));
        let other = |currency, amount| {
            let rate = priced.rate;
            (from != to).then_some(Counterpart { currency, amount, rate })
        };
        let transfer = |debit, credit, currency, amount: Amount, kind, counterpart| NewTransfer {
            id: NewTransfer::draw_id(now, entropy),
            debit,
            credit,
            currency,
            amount,
            kind,
            reference: self.reference.to_owned(),
            cause: self.cause.clone(),
            counterpart,
        };
        let kept = |liquidity, purpose: Purpose, currency, amount: Amount, kind| {
            let account = purpose.id(currency, "");
            amount.is_positive().then(|| transfer(liquidity, account, currency, amount, kind, None))
        };
        let out = other(to, priced.amount_out);
        let out = transfer(self.source, given, from, priced.amount_in, self.out_kind, out);
        let fee = kept(given, Purpose::Fees, from, priced.fee, Kind::Fee);
        let back = other(from, priced.amount_in);
        let back = transfer(received, self.target, to, priced.amount_out, self.in_kind, back);
        let spread = kept(received, Purpose::Spread, to, priced.spread, Kind::Spread);
        let remainder = kept(received, Purpose::Rounding, to, priced.remainder, Kind::Rounding);
        let (out, back) = (NewTransfer { id: debit, ..out }, NewTransfer { id: credit, ..back });
        let transfers = [Some(out), fee, Some(back), spread, remainder].into_iter().flatten().collect();
        Exchanged { transfers, debit, credit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_money::{Currencies, Terms};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn account(n: u128) -> LedgerAccountId {
        LedgerAccountId(uuid::Uuid::from_u128(n))
    }

    fn exchanged(terms: &Terms<'_>, conversion: Conversion) -> Exchanged {
        let cause = Cause { kind: "quote".into(), id: "1".into() };
        let exchange = Exchange {
            source: account(1),
            target: account(2),
            from: terms.from.code,
            to: terms.to.code,
            conversion,
            out_kind: Kind::ConversionOut,
            in_kind: Kind::ConversionIn,
            reference: "r",
            cause: &cause,
        };
        let ids = (TransferId(uuid::Uuid::from_u128(10)), TransferId(uuid::Uuid::from_u128(12)));
        exchange.transfers(ids, Moment::from_unix_s(1_800_000_000), &Entropy::seeded(1))
    }

    /// What each account has in the end.
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
        fn row_19_the_remainder_of_a_conversion_is_an_entry_of_its_own(
            minor in 1_i128..1_000_000_000_000_000_000_000_000_000_000,
            (from, to) in (0_usize..18, 0_usize..18),
            mantissa in 1_u64..1_000_000_000,
            places in 0_usize..9,
            spread_millionths in 0_u32..100_000,
            fee_millionths in 0_u32..100_000,
        ) {
            let currencies = Currencies::built_in();
            let (from, to) = (currencies.iter().nth(from).unwrap(), currencies.iter().nth(to).unwrap());
            let mid = format!("{}.{:0>places$}1", mantissa, "").parse().unwrap();
            let terms = Terms { from, to, mid, spread_millionths, fee_millionths };
            let Ok(conversion) = terms.sell(Amount::from_minor(minor)) else { return Ok(()) };
            let exchanged = exchanged(&terms, conversion);
            let books = books(&exchanged.transfers);
            let of = |account, currency: CurrencyCode| books.get(&(account, currency)).copied().unwrap_or(0);
            prop_assert_eq!(of(account(1), from.code), -minor);
            prop_assert_eq!(of(account(2), to.code), conversion.amount_out.minor());
            prop_assert!(exchanged.transfers.iter().all(|t| t.amount.is_positive()));
            if from.code != to.code {
                let worth = mid.out_floor(conversion.net_in, from.decimals, to.decimals).unwrap();
                prop_assert_eq!(of(Purpose::Liquidity.id(to.code, ""), to.code), -worth.minor());
                prop_assert_eq!(of(Purpose::Liquidity.id(from.code, ""), from.code), conversion.net_in.minor());
                let rounding = of(Purpose::Rounding.id(to.code, ""), to.code);
                let kept = rounding + of(Purpose::Spread.id(to.code, ""), to.code);
                prop_assert_eq!(kept + conversion.amount_out.minor(), worth.minor());
            } else {
                prop_assert_eq!(of(Purpose::Liquidity.id(to.code, ""), to.code), 0);
            }
            prop_assert_eq!(of(Purpose::Fees.id(from.code, ""), from.code), conversion.fee.minor());
        }
    }

    #[test]
    fn each_side_names_the_other() {
        let currencies = Currencies::built_in();
        let get = |code: &str| currencies.get(code.parse().unwrap()).unwrap();
        let (from, to) = (get("USD"), get("EUR"));
        let mid = "0.9".parse().unwrap();
        let terms = Terms { from, to, mid, spread_millionths: 0, fee_millionths: 0 };
        let exchanged = exchanged(&terms, terms.sell(Amount::from_minor(1000)).unwrap());
        let [out, back] = exchanged.transfers.as_slice() else { panic!("{exchanged:?}") };
        assert_eq!((out.id, back.id), (exchanged.debit, exchanged.credit));
        let other = |t: &NewTransfer| t.counterpart.clone().map(|c| (c.currency, c.amount.minor())).unwrap();
        assert_eq!(other(out), (to.code, 900));
        assert_eq!(other(back), (from.code, 1000));
    }
}
