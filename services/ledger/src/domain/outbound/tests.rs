//! Payouts of every shape.

use super::super::transfer::Cause;
use super::*;
use beem_ids::HoldId;
use beem_money::{Currencies, Terms};
use proptest::prelude::*;
use std::collections::BTreeMap;
use uuid::Uuid;

fn leg(terms: &Terms<'_>, amount: Amount) -> Option<Option<Leg>> {
    if terms.from.code == terms.to.code {
        return Some(None);
    }
    let conversion = terms.buy(amount).ok()?;
    Some(Some(Leg { mid: terms.mid, spread_millionths: terms.spread_millionths, conversion }))
}

fn hold(outbound: &Outbound) -> NewHold {
    NewHold {
        id: outbound.hold,
        account: outbound.wallet,
        amount: outbound.held,
        reference: "r".into(),
        cause: Cause { kind: "payment".into(), id: "1".into() },
        expires: None,
    }
}

/// A payout as ReserveOutbound fixes it; none when it cannot be priced.
fn outbound(pay: (&Terms<'_>, Amount), fee: (&Terms<'_>, Amount), fee_payer: FeePayer) -> Option<Outbound> {
    let pay_leg = leg(pay.0, pay.1)?;
    let merchant = fee_payer == FeePayer::Merchant && fee.1.is_positive();
    let fee_leg = if merchant { leg(fee.0, fee.1)? } else { None };
    let taken = |leg: &Option<Leg>, amount| leg.as_ref().map_or(amount, |leg| leg.conversion.amount_in);
    let for_fees = if merchant { taken(&fee_leg, fee.1) } else { Amount::ZERO };
    Some(Outbound {
        hold: HoldId(Uuid::from_u128(1)),
        owner: AccountId(Uuid::from_u128(2)),
        wallet: LedgerAccountId(Uuid::from_u128(3)),
        network: "ethereum".into(),
        wallet_currency: pay.0.from.code,
        held: taken(&pay_leg, pay.1).checked_add(for_fees)?,
        pay_currency: pay.0.to.code,
        pay: pay.1,
        fee_currency: fee.0.to.code,
        fee_cap: fee.1,
        fee_payer,
        plan: Plan { pay: pay_leg, fee: fee_leg },
        base_currency: pay.0.from.code,
        base: pay.1,
        created: Moment::from_unix_ms(1_800_000_000_000),
        posted: None,
    })
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
    fn row_19_a_payout_takes_at_most_what_is_held_and_nothing_of_it_is_lost(
        pay_minor in 1_i128..1_000_000_000_000_000_000_000_000,
        cap_minor in 0_i128..1_000_000_000_000_000_000_000_000,
        (from, to, fee) in (0_usize..15, 0_usize..15, 0_usize..15),
        (pay_mid, fee_mid) in (1_u64..1_000_000_000, 1_u64..1_000_000_000),
        places in 0_usize..9,
        spread_millionths in 0_u32..100_000,
        merchant in any::<bool>(),
        share in 0_i128..=1000,
    ) {
        let currencies = Currencies::built_in();
        let at = |index| currencies.iter().nth(index).unwrap();
        let (from, to) = (at(from), at(to));
        let fee = if merchant { at(fee) } else { to };
        let rate = |mantissa: u64| format!("{mantissa}.{:0>places$}1", "").parse::<Rate>().unwrap();
        let terms = |to, mid| Terms { from, to, mid, spread_millionths, fee_millionths: 0 };
        let (pay_terms, fee_terms) = (terms(to, rate(pay_mid)), terms(fee, rate(fee_mid)));
        let payer = if merchant { FeePayer::Merchant } else { FeePayer::Recipient };
        let cap = if merchant { cap_minor } else { cap_minor.min(pay_minor - 1) };
        let (pay, cap) = (Amount::from_minor(pay_minor), Amount::from_minor(cap));
        let Some(outbound) = outbound((&pay_terms, pay), (&fee_terms, cap), payer) else { return Ok(()) };
        prop_assert_eq!(&Plan::parse(&outbound.plan.to_text()).unwrap(), &outbound.plan);

        let took = Amount::from_minor(cap.minor() / 1000 * share + cap.minor() % 1000 * share / 1000);
        let paying = outbound.paying(took, (from, fee), &hold(&outbound), outbound.created, &Entropy::seeded(1));
        let paying = paying.unwrap();
        prop_assert!(paying.debited <= outbound.held);
        if took == cap {
            prop_assert_eq!(paying.debited, outbound.held);
        }
        prop_assert!(paying.transfers.iter().all(|transfer| transfer.amount.is_positive()));
        let books = books(&paying.transfers);
        let of = |purpose: Purpose, code, network| {
            books.get(&(purpose.id(code, network), code)).copied().unwrap_or(0)
        };
        prop_assert_eq!(books[&(outbound.wallet, from.code)], -paying.debited.minor());
        let from_clearing = if merchant { 0 } else { took.minor() };
        prop_assert_eq!(of(Purpose::Clearing, to.code, "ethereum"), pay.minor() - from_clearing);
        prop_assert_eq!(of(Purpose::Gas, fee.code, ""), took.minor());
        for currency in [from, to, fee] {
            let sum: i128 = books.iter().filter(|((_, code), _)| *code == currency.code).map(|(_, n)| n).sum();
            prop_assert_eq!(sum, 0);
        }
    }
}

#[test]
fn a_fee_above_the_cap_is_refused() {
    let currencies = Currencies::built_in();
    let usdc = currencies.get("USDC".parse().unwrap()).unwrap();
    let terms = Terms { from: usdc, to: usdc, mid: Rate::ONE, spread_millionths: 0, fee_millionths: 0 };
    let (pay, cap) = (Amount::from_minor(100), Amount::from_minor(10));
    let outbound = outbound((&terms, pay), (&terms, cap), FeePayer::Merchant).unwrap();
    assert_eq!(outbound.held, Amount::from_minor(110));
    let paying = |fee| {
        let fee = Amount::from_minor(fee);
        outbound.paying(fee, (usdc, usdc), &hold(&outbound), outbound.created, &Entropy::seeded(1))
    };
    assert_eq!(paying(11).unwrap_err().fields[0].field, "fee");
    assert_eq!(paying(-1).unwrap_err().fields[0].field, "fee");
    assert_eq!(paying(10).unwrap().debited, Amount::from_minor(110));
    assert_eq!(paying(0).unwrap().debited, Amount::from_minor(100));
}

#[test]
fn a_plan_that_was_written_otherwise_is_none_of_ours() {
    let currencies = Currencies::built_in();
    let [usd, eth] = ["USD", "ETH"].map(|code| currencies.get(code.parse().unwrap()).unwrap());
    let mid = "0.0003".parse().unwrap();
    let terms = Terms { from: usd, to: eth, mid, spread_millionths: 500, fee_millionths: 0 };
    let plan = Plan { pay: leg(&terms, Amount::from_minor(1_000_000_000_000)).unwrap(), fee: None };
    let text = plan.to_text();
    assert_eq!(Plan::parse(&text), Some(plan));
    assert_eq!(Plan::parse(&text.replace("\"fee\":null", "\"fee\": null")), None);
    assert_eq!(Plan::parse(&text.replace("\"500\"", "\"0500\"")), None);
    assert_eq!(Plan::parse(&text.replace("\"500\"", "500")), None);
    assert_eq!(Plan::parse("{}"), None);
}
