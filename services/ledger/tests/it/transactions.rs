//! What moved in a wallet: kinds, times, order, pages that stay where they are.

use crate::credits::credit;
use crate::on_both;
use crate::rig::{Refusal, Rig};
use crate::wallets::opened;
use beem_caller::Actor;
use beem_ids::{HoldId, LedgerAccountId};
use beem_ledger::domain::{Cause, Counterpart, HoldEnd, Kind, NewHold, NewTransfer, Order, Purpose, Step};
use beem_ledger::store::engine;
use beem_money::{Amount, Rate};
use beem_proto::ledger::v1 as wire;
use beem_proto::{from_timestamp, to_timestamp};
use prost_types::Timestamp;

on_both!(
    movements_come_newest_first_with_what_made_them,
    both_sides_of_a_conversion_tell_of_the_other,
    a_transfer_between_two_wallets_has_two_ids,
    kinds_and_times_choose,
    pages_stay_where_they_are_while_more_comes,
    a_token_is_of_its_list_alone,
    a_page_is_cut_in_the_middle_of_a_millisecond,
);

pub async fn list(
    rig: &Rig,
    actor: &Actor,
    asked: wire::ListTransactionsRequest,
) -> Result<wire::ListTransactionsResponse, Refusal> {
    rig.list_transactions(actor, asked).await
}

fn of(wallet: &wire::Wallet) -> wire::ListTransactionsRequest {
    wire::ListTransactionsRequest { id: wallet.id.clone(), ..Default::default() }
}

fn ids(rows: &[wire::Transaction]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}

/// Carries steps out as the ledger's own operations do.
pub async fn post(rig: &Rig, actor: &Actor, steps: Vec<Step>) {
    let order = &Order { owner: actor.account, steps };
    rig.db
        .write(|tx| Box::pin(async move { engine::carry_out(tx, "test", order).await.map(drop) }))
        .await
        .unwrap();
}

/// A transfer of that many minor units.
pub fn put(
    rig: &Rig,
    debit: LedgerAccountId,
    credit: LedgerAccountId,
    currency: &str,
    minor: i128,
    kind: Kind,
) -> NewTransfer {
    NewTransfer {
        id: NewTransfer::draw_id(rig.clock.now(), &rig.entropy),
        debit,
        credit,
        currency: currency.parse().unwrap(),
        amount: Amount::from_minor(minor),
        kind,
        reference: String::new(),
        cause: Cause { kind: "test".into(), id: "1".into() },
        counterpart: None,
    }
}

/// Sets that many minor units aside.
pub async fn hold(rig: &Rig, actor: &Actor, wallet: &str, minor: i128) -> HoldId {
    let new = NewHold {
        id: HoldId::draw(rig.clock.now(), &rig.entropy),
        account: wallet.parse().unwrap(),
        amount: Amount::from_minor(minor),
        reference: String::new(),
        cause: Cause { kind: "test".into(), id: "1".into() },
        expires: None,
    };
    let id = new.id;
    post(rig, actor, vec![Step::Reserve(new)]).await;
    id
}

pub async fn void(rig: &Rig, actor: &Actor, hold: HoldId) {
    post(rig, actor, vec![Step::EndHold { hold, end: HoldEnd::Voided }]).await;
}

/// US dollars into euros, at 0.9.
pub async fn convert(rig: &Rig, actor: &Actor, usd: &str, eur: &str, (given, received): (i128, i128)) {
    let rate = Rate::parse("0.9").unwrap();
    let other = |currency: &str, minor| {
        let (currency, amount) = (currency.parse().unwrap(), Amount::from_minor(minor));
        Some(Counterpart { currency, amount, rate })
    };
    let liquidity = |currency: &str| Purpose::Liquidity.id(currency.parse().unwrap(), "");
    let out = put(rig, usd.parse().unwrap(), liquidity("USD"), "USD", given, Kind::ConversionOut);
    let out = NewTransfer { counterpart: other("EUR", received), ..out };
    let back = put(rig, liquidity("EUR"), eur.parse().unwrap(), "EUR", received, Kind::ConversionIn);
    let back = NewTransfer { counterpart: other("USD", given), ..back };
    post(rig, actor, vec![Step::Transfer(out), Step::Transfer(back)]).await;
}

async fn movements_come_newest_first_with_what_made_them(rig: Rig) {
    let owner = rig.stranger();
    let wallet = opened(&rig, &owner, "USD", "a").await;
    assert_eq!(list(&rig, &owner, of(&wallet)).await.unwrap(), wire::ListTransactionsResponse::default());
    let mut made = Vec::new();
    for (key, amount) in [("1", "1.00"), ("2", "2.00"), ("3", "3.00")] {
        rig.clock.advance_ms(7);
        made.push(credit(&rig, &owner, key, &wallet.id, amount, &format!("no {key}")).await.unwrap().body);
    }
    let fees = Purpose::Fees.id("USD".parse().unwrap(), "");
    let fee = put(&rig, wallet.id.parse().unwrap(), fees, "USD", 150, Kind::Fee);
    post(&rig, &owner, vec![Step::Transfer(fee)]).await;
    let content = list(&rig, &owner, of(&wallet)).await.unwrap().content;
    assert_eq!(content.len(), 4);
    assert!(made.iter().rev().eq(&content[1..]));
    let newest = &content[0];
    assert_eq!((newest.amount.as_str(), newest.balance_after.as_str()), ("-1.50", "4.50"));
    assert_eq!((newest.kind.as_str(), newest.currency.as_str()), ("FEE", "USD"));
    assert_eq!(newest.cause, Some(wire::Cause { r#type: "test".into(), id: "1".into() }));
    let asked = wire::ListTransactionsRequest { order: "asc".into(), ..of(&wallet) };
    let oldest_first = list(&rig, &owner, asked).await.unwrap().content;
    assert!(oldest_first.iter().rev().eq(&content));
}

async fn both_sides_of_a_conversion_tell_of_the_other(rig: Rig) {
    let owner = rig.stranger();
    let usd = opened(&rig, &owner, "USD", "a").await;
    let eur = opened(&rig, &owner, "EUR", "b").await;
    credit(&rig, &owner, "c", &usd.id, "100.00", "").await.unwrap();
    convert(&rig, &owner, &usd.id, &eur.id, (10_000, 9_000)).await;
    let out = &list(&rig, &owner, of(&usd)).await.unwrap().content[0];
    assert_eq!((out.kind.as_str(), out.amount.as_str()), ("CONVERSION_OUT", "-100.00"));
    let other = |currency: &str, amount: &str| wire::Counterpart {
        currency: currency.into(),
        amount: amount.into(),
        rate: "0.9".into(),
    };
    assert_eq!(out.counterpart, Some(other("EUR", "90.00")));
    let back = &list(&rig, &owner, of(&eur)).await.unwrap().content[0];
    assert_eq!((back.kind.as_str(), back.amount.as_str()), ("CONVERSION_IN", "90.00"));
    assert_eq!(back.counterpart, Some(other("USD", "100.00")));
}

async fn a_transfer_between_two_wallets_has_two_ids(rig: Rig) {
    let owner = rig.stranger();
    let a = opened(&rig, &owner, "USD", "a").await;
    let b = opened(&rig, &owner, "USD", "b").await;
    credit(&rig, &owner, "c", &a.id, "1.00", "").await.unwrap();
    let (debit, into) = (a.id.parse().unwrap(), b.id.parse().unwrap());
    post(&rig, &owner, vec![Step::Transfer(put(&rig, debit, into, "USD", 40, Kind::PaymentOut))]).await;
    let left = list(&rig, &owner, of(&a)).await.unwrap().content.swap_remove(0);
    let came = list(&rig, &owner, of(&b)).await.unwrap().content.swap_remove(0);
    assert_eq!((left.amount.as_str(), came.amount.as_str()), ("-0.40", "0.40"));
    assert_eq!((left.balance_after.as_str(), came.balance_after.as_str()), ("0.60", "0.40"));
    assert_ne!(left.id, came.id);
}

/// A wallet with one movement of each kind, ten milliseconds apart; the time of the first.
async fn of_every_kind(rig: &Rig, owner: &Actor) -> (wire::Wallet, i64) {
    let wallet = opened(rig, owner, "USD", "a").await;
    let sandbox = Purpose::Sandbox.id("USD".parse().unwrap(), "");
    rig.clock.advance_ms(10);
    let first = rig.clock.now().unix_ms();
    for kind in [
        Kind::Deposit,
        Kind::ConversionIn,
        Kind::ConversionOut,
        Kind::PaymentIn,
        Kind::PaymentOut,
        Kind::Fee,
        Kind::Refund,
        Kind::Adjustment,
    ] {
        let step = put(rig, sandbox, wallet.id.parse().unwrap(), "USD", 1, kind);
        post(rig, owner, vec![Step::Transfer(step)]).await;
        rig.clock.advance_ms(10);
    }
    (wallet, first)
}

async fn kinds_and_times_choose(rig: Rig) {
    let owner = rig.stranger();
    let (wallet, first) = of_every_kind(&rig, &owner).await;
    let all = list(&rig, &owner, of(&wallet)).await.unwrap().content;
    assert_eq!(all.len(), 8);
    for row in &all {
        let asked = wire::ListTransactionsRequest { kind: row.kind.clone(), ..of(&wallet) };
        assert_eq!(list(&rig, &owner, asked).await.unwrap().content, std::slice::from_ref(row));
    }
    for kind in ["SPREAD", "HOLD", "deposit", "x"] {
        let asked = wire::ListTransactionsRequest { kind: kind.into(), ..of(&wallet) };
        assert_eq!(list(&rig, &owner, asked).await.unwrap_err().fields(), ["kind"]);
    }
    let at = |ms: i64| Some(to_timestamp(first + ms));
    let half = |ms: i64| at(ms).map(|at| Timestamp { nanos: at.nanos + 500_000, ..at });
    let cases = [
        (None, None, 0..8),
        (at(0), None, 0..8),
        (at(1), None, 1..8),
        (half(0), None, 1..8),
        (at(10), at(30), 1..3),
        (at(10), at(31), 1..4),
        (at(10), half(30), 1..4),
        (None, at(0), 0..0),
        (None, half(0), 0..1),
        (at(70), None, 7..8),
        (at(71), None, 0..0),
        (at(50), at(20), 0..0),
        (Some(to_timestamp(-1)), None, 0..8),
    ];
    let oldest_first: Vec<_> = all.into_iter().rev().collect();
    for (from, to, expected) in cases {
        let asked = wire::ListTransactionsRequest { from, to, order: "asc".into(), ..of(&wallet) };
        assert_eq!(
            list(&rig, &owner, asked).await.unwrap().content,
            oldest_first[expected],
            "{from:?} {to:?}"
        );
    }
    let asked = wire::ListTransactionsRequest { kind: "FEE".into(), to: at(50), ..of(&wallet) };
    assert!(list(&rig, &owner, asked).await.unwrap().content.is_empty());
}

async fn pages_stay_where_they_are_while_more_comes(rig: Rig) {
    let owner = rig.stranger();
    let (wallet, _) = of_every_kind(&rig, &owner).await;
    for order in ["desc", "asc"] {
        let whole = wire::ListTransactionsRequest { order: order.into(), ..of(&wallet) };
        let whole = list(&rig, &owner, whole).await.unwrap().content;
        let (mut paged, mut token, mut at) = (Vec::new(), String::new(), 0);
        loop {
            let asked = wire::ListTransactionsRequest {
                max: Some(3),
                order: order.into(),
                page_token: token,
                ..of(&wallet)
            };
            let answer = list(&rig, &owner, asked).await.unwrap();
            paged.extend(answer.content);
            token = answer.next_page_token;
            if token.is_empty() {
                break;
            }
            at += 1;
            if at < 4 {
                credit(&rig, &owner, &format!("{order} {at}"), &wallet.id, "1.00", "").await.unwrap();
                hold(&rig, &owner, &wallet.id, 1).await;
            }
        }
        paged.truncate(whole.len());
        assert_eq!(paged, whole, "{order}");
        let skipped = wire::ListTransactionsRequest {
            offset: Some(2),
            max: Some(4),
            order: order.into(),
            ..of(&wallet)
        };
        let now = wire::ListTransactionsRequest { order: order.into(), ..of(&wallet) };
        let now = list(&rig, &owner, now).await.unwrap().content;
        let skipped = list(&rig, &owner, skipped).await.unwrap();
        assert_eq!(skipped.content, now[2..6]);
        let rest = wire::ListTransactionsRequest {
            page_token: skipped.next_page_token,
            order: order.into(),
            ..of(&wallet)
        };
        assert_eq!(list(&rig, &owner, rest).await.unwrap().content, now[6..]);
    }
}

async fn a_token_is_of_its_list_alone(rig: Rig) {
    let owner = rig.stranger();
    let (wallet, first) = of_every_kind(&rig, &owner).await;
    let other = opened(&rig, &owner, "USD", "b").await;
    let asked = wire::ListTransactionsRequest { max: Some(2), ..of(&wallet) };
    let token = list(&rig, &owner, asked).await.unwrap().next_page_token;
    let same = wire::ListTransactionsRequest { page_token: token, max: Some(5), ..of(&wallet) };
    assert_eq!(list(&rig, &owner, same.clone()).await.unwrap().content.len(), 5);
    let at = Some(to_timestamp(first));
    let changed = [
        wire::ListTransactionsRequest { id: other.id.clone(), ..same.clone() },
        wire::ListTransactionsRequest { order: "asc".into(), ..same.clone() },
        wire::ListTransactionsRequest { kind: "FEE".into(), ..same.clone() },
        wire::ListTransactionsRequest { from: at, ..same.clone() },
        wire::ListTransactionsRequest { to: at, ..same.clone() },
        wire::ListTransactionsRequest { page_token: "x".into(), ..same.clone() },
    ];
    for asked in changed {
        assert_eq!(list(&rig, &owner, asked).await.unwrap_err().fields(), ["pageToken"]);
    }
    let both = wire::ListTransactionsRequest { offset: Some(1), ..same };
    assert_eq!(list(&rig, &owner, both).await.unwrap_err().fields(), ["offset"]);
}

async fn a_page_is_cut_in_the_middle_of_a_millisecond(rig: Rig) {
    let owner = rig.stranger();
    let wallet = opened(&rig, &owner, "USD", "a").await;
    let sandbox = Purpose::Sandbox.id("USD".parse().unwrap(), "");
    // 600 movements of one time.
    let steps = (0..600)
        .map(|_| Step::Transfer(put(&rig, sandbox, wallet.id.parse().unwrap(), "USD", 1, Kind::Deposit)));
    post(&rig, &owner, steps.collect()).await;
    let whole = wire::ListTransactionsRequest { max: Some(500), order: "asc".into(), ..of(&wallet) };
    let first = list(&rig, &owner, whole.clone()).await.unwrap();
    let rest = wire::ListTransactionsRequest { page_token: first.next_page_token.clone(), ..whole };
    let rest = list(&rig, &owner, rest).await.unwrap();
    assert_eq!((first.content.len(), rest.content.len()), (500, 100));
    assert!(rest.next_page_token.is_empty());
    let rows = [first.content, rest.content].concat();
    let after: Vec<_> = rows.iter().map(|row| row.balance_after.clone()).collect();
    let expected: Vec<_> = (1..=600).map(|n| format!("{}.{:02}", n / 100, n % 100)).collect();
    assert_eq!(after, expected);
    let mut different = ids(&rows);
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 600);
    let time = rows[0].time.as_ref().map(from_timestamp);
    assert!(rows.iter().all(|row| row.time.as_ref().map(from_timestamp) == time));
}
