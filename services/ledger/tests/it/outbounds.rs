//! Payouts: everything is fixed when the funds are held; posting takes what it really cost, once, and gives the rest back.

use crate::calls::cause;
use crate::rates::{Source, asking};
use crate::rig::Rig;
use crate::settlements::system;
use beem_ledger::LedgerSettings;
use beem_proto::ledger::v1 as wire;
use beem_settings::Environment;
use futures::future::join_all;
use serde_json::json;

crate::on_both!(
    the_merchant_pays_the_fee_and_gets_the_rest_back,
    a_converted_payout_is_never_rated_again,
    the_recipient_bears_the_fee,
    row_02_reserved_and_posted_twice_under_one_key_once,
    row_03_a_key_of_another_payout_is_refused,
    row_04_twenty_reservations_under_one_key_hold_once,
    row_06_refused_for_funds_stays_refused_under_its_key,
    row_07_an_internal_error_does_not_burn_the_key,
    row_08_a_payout_is_posted_whole_or_not_at_all,
    row_09_what_is_held_cannot_be_spent_again,
    row_10_posted_and_voided_by_twenty_at_once_ends_once,
    row_22_without_a_current_rate_nothing_is_reserved,
    row_22_a_payout_that_was_changed_is_not_posted,
    row_22_a_promised_rate_that_does_not_hold_lets_nothing_out,
    a_voided_payout_is_not_posted,
    wrong_data_is_refused_and_holds_nothing,
    a_payout_that_was_paid_is_not_refused_for_our_own_limits,
    what_the_installation_cannot_cover_is_not_reserved,
    a_mistake_in_posting_is_not_remembered,
    a_posted_payout_made_to_look_held_is_not_paid_again,
);

fn money(currency: &str, amount: &str) -> wire::Money {
    wire::Money { currency: currency.into(), amount: amount.into() }
}

/// A payout of USDC on Ethereum, the merchant bearing fees.
fn payout(rig: &Rig, key: &str, wallet: &str, pay: &str, cap: (&str, &str)) -> wire::ReserveOutboundRequest {
    wire::ReserveOutboundRequest {
        effect_key: key.into(),
        account_id: rig.account(),
        wallet_id: wallet.into(),
        network: "ethereum".into(),
        pay: Some(money("USDC", pay)),
        fee_cap: Some(money(cap.0, cap.1)),
        fee_payer: "MERCHANT".into(),
        base_currency: "EUR".into(),
        reference: "a payout".into(),
        cause: Some(cause("payment", "1")),
        rate_lock_id: String::new(),
    }
}

fn post(rig: &Rig, key: &str, hold: &str, fee: &str) -> wire::PostOutboundRequest {
    wire::PostOutboundRequest {
        effect_key: key.into(),
        account_id: rig.account(),
        hold_id: hold.into(),
        fee: fee.into(),
    }
}

fn amount(money: &Option<wire::Money>) -> &str {
    money.as_ref().map_or("none", |money| &money.amount)
}

async fn the_merchant_pays_the_fee_and_gets_the_rest_back(rig: Rig) {
    let wallet = rig.funded("USDC", "1000").await;
    let held = rig.reserve_outbound(payout(&rig, "a", &wallet, "100", ("USDC", "5"))).await.unwrap().body;
    assert_eq!((held.state.as_str(), held.rate.as_str()), ("ACTIVE", "1"));
    assert_eq!((amount(&held.wallet_amount), amount(&held.pay)), ("105.000000", "100.000000"));
    assert_eq!(
        (amount(&held.fee_cap), amount(&held.fee), amount(&held.debited)),
        ("5.000000", "none", "none")
    );
    // 105 / 1.08 is 97.22…
    assert_eq!(held.base_amount, Some(money("EUR", "97.23")));
    assert_eq!(rig.balance(&wallet).await, ["1000.000000", "105.000000", "895.000000"]);
    let asked = wire::ReadHoldRequest { account_id: rig.account(), hold_id: held.hold_id.clone() };
    let hold = rig.read_hold(asked).await.unwrap().body;
    assert_eq!((hold.amount.as_str(), hold.expires_at), ("105.000000", None));
    let posted = rig.post_outbound(post(&rig, "b", &held.hold_id, "1.25")).await.unwrap().body;
    assert_eq!((posted.state.as_str(), amount(&posted.fee)), ("POSTED", "1.250000"));
    assert_eq!(amount(&posted.debited), "101.250000");
    assert_eq!(rig.balance(&wallet).await, ["898.750000", "0.000000", "898.750000"]);
    assert_eq!(system(&rig, "CLEARING", "USDC", "ethereum").await, 100_000_000);
    assert_eq!(system(&rig, "GAS", "USDC", "").await, 1_250_000);
    let asked = wire::ListTransactionsRequest { id: wallet, ..wire::ListTransactionsRequest::default() };
    let shown = rig.list_transactions(&rig.owner, asked).await.unwrap().content;
    let shown: Vec<_> = shown.iter().map(|t| (t.kind.as_str(), t.amount.as_str())).take(2).collect();
    assert_eq!(shown, [("FEE", "-1.250000"), ("PAYMENT_OUT", "-100.000000")]);
    rig.assert_books().await;
}

async fn a_converted_payout_is_never_rated_again(rig: Rig) {
    let source = Source::start().await;
    source.prices(&[("USDC", "1"), ("EUR", "1.25"), ("ETH", "2500")]);
    let settings = LedgerSettings {
        spread_millionths: 10_000,
        fee_millionths: 7_000,
        ..asking(&[&source], 1, &json!({}))
    };
    let rig = Rig::start_with(rig.base, settings, None).await;
    rig.run_task("ledger-rates");
    source.heard().await;
    let wallet = rig.funded("EUR", "1000").await;
    let held = rig.reserve_outbound(payout(&rig, "a", &wallet, "100", ("ETH", "0.01"))).await.unwrap().body;
    // 1.25 less 1 % is 1.2375: 80.81 for the payment. 0.01 ETH are 25 USD, 20 EUR, and the spread: 20.21.
    assert_eq!((amount(&held.wallet_amount), held.rate.as_str()), ("101.02", "1.2375"));
    assert_eq!(held.base_amount, Some(money("EUR", "101.02")));
    // Everything gets ten times dearer, then there is no price at all.
    source.prices(&[("USDC", "10"), ("EUR", "1.25"), ("ETH", "25000")]);
    source.heard().await;
    source.away();
    source.heard().await;
    rig.clock.advance_ms(500_000);
    let posted = rig.post_outbound(post(&rig, "b", &held.hold_id, "0.004")).await.unwrap().body;
    // 8 EUR and the spread, rounded up: 8.09.
    assert_eq!((amount(&posted.debited), amount(&posted.fee)), ("88.90", "0.004000000000000000"));
    assert_eq!((&posted.rate, &posted.base_amount), (&held.rate, &held.base_amount));
    assert_eq!(rig.balance(&wallet).await, ["911.10", "0.00", "911.10"]);
    assert_eq!(system(&rig, "CLEARING", "USDC", "ethereum").await, 100_000_000);
    assert_eq!(system(&rig, "GAS", "ETH", "").await, 4_000_000_000_000_000);
    assert_eq!(system(&rig, "LIQUIDITY", "EUR", "").await, 8_890);
    assert_eq!(system(&rig, "FEES", "EUR", "").await, 0);
    assert!(system(&rig, "SPREAD", "USDC", "").await > 0);
    rig.assert_books().await;
}

async fn the_recipient_bears_the_fee(rig: Rig) {
    let wallet = rig.funded("EUR", "1000").await;
    let mut asked = payout(&rig, "a", &wallet, "100", ("USDC", "5"));
    asked.fee_payer = "RECIPIENT".into();
    let held = rig.reserve_outbound(asked.clone()).await.unwrap().body;
    assert_eq!((amount(&held.wallet_amount), amount(&held.pay)), ("92.60", "100.000000"));
    let posted = rig.post_outbound(post(&rig, "b", &held.hold_id, "2")).await.unwrap().body;
    assert_eq!((amount(&posted.debited), amount(&posted.fee)), ("92.60", "2.000000"));
    assert_eq!(rig.balance(&wallet).await, ["907.40", "0.00", "907.40"]);
    assert_eq!(system(&rig, "CLEARING", "USDC", "ethereum").await, 98_000_000);
    assert_eq!(system(&rig, "GAS", "USDC", "").await, 2_000_000);
    let other = |cap: wire::Money| wire::ReserveOutboundRequest {
        effect_key: rig.key(),
        fee_cap: Some(cap),
        ..asked.clone()
    };
    let refusal = rig.reserve_outbound(other(money("ETH", "0.1"))).await.unwrap_err();
    assert_eq!(refusal.fields(), ["feeCap.currency"]);
    let refusal = rig.reserve_outbound(other(money("USDC", "100"))).await.unwrap_err();
    assert_eq!(refusal.fields(), ["feeCap.amount"]);
    // Without a cap, no fee at all.
    let free = wire::ReserveOutboundRequest { effect_key: rig.key(), fee_cap: None, ..asked };
    let held = rig.reserve_outbound(free).await.unwrap().body;
    assert_eq!(amount(&held.fee_cap), "0.000000");
    let refusal = rig.post_outbound(post(&rig, "c", &held.hold_id, "0.000001")).await.unwrap_err();
    assert_eq!(refusal.fields(), ["fee"]);
    let posted = rig.post_outbound(post(&rig, "d", &held.hold_id, "")).await.unwrap().body;
    assert_eq!((amount(&posted.fee), amount(&posted.debited)), ("0.000000", "92.60"));
    rig.assert_books().await;
}

async fn row_02_reserved_and_posted_twice_under_one_key_once(mut rig: Rig) {
    let wallet = rig.funded("USDC", "1000").await;
    let asked = payout(&rig, "a", &wallet, "100", ("USDC", "5"));
    let held = rig.reserve_outbound(asked.clone()).await.unwrap();
    let paid = post(&rig, "b", &held.body.hold_id, "1");
    let first = rig.post_outbound(paid.clone()).await.unwrap();
    assert!(!held.replayed && !first.replayed);
    rig.restart().await;
    let again = rig.post_outbound(paid).await.unwrap();
    assert_eq!((again.body, again.replayed), (first.body, true));
    // As it was reserved, whatever has become of it.
    let again = rig.reserve_outbound(asked).await.unwrap();
    assert_eq!((again.body, again.replayed), (held.body, true));
    assert_eq!(rig.balance(&wallet).await, ["899.000000", "0.000000", "899.000000"]);
    rig.assert_books().await;
}

async fn row_03_a_key_of_another_payout_is_refused(rig: Rig) {
    let wallet = rig.funded("USDC", "1000").await;
    let held = rig.reserve_outbound(payout(&rig, "a", &wallet, "100", ("USDC", "5"))).await.unwrap().body;
    let other = rig.reserve_outbound(payout(&rig, "a", &wallet, "101", ("USDC", "5"))).await.unwrap_err();
    assert_eq!(other.code(), "idempotency-key-reused");
    rig.post_outbound(post(&rig, "b", &held.hold_id, "1")).await.unwrap();
    let other = rig.post_outbound(post(&rig, "b", &held.hold_id, "2")).await.unwrap_err();
    assert_eq!(other.code(), "idempotency-key-reused");
    assert_eq!(rig.balance(&wallet).await[0], "899.000000");
}

async fn row_04_twenty_reservations_under_one_key_hold_once(rig: Rig) {
    let (wallet, other) = (rig.funded("USDC", "1000").await, rig.another().await);
    let asked = payout(&rig, "a", &wallet, "100", ("USDC", "5"));
    let calls = (0..20).map(|n| {
        let ledger = if n % 2 == 0 { &rig.ledger } else { &other };
        ledger.reserve_outbound(asked.clone())
    });
    let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    assert_eq!(rig.balance(&wallet).await[1], "105.000000");
    let paid = post(&rig, "b", &answers[0].body.hold_id, "1");
    let posted = join_all((0..20).map(|_| rig.post_outbound(paid.clone()))).await;
    assert_eq!(posted.iter().filter(|answer| !answer.as_ref().unwrap().replayed).count(), 1);
    assert_eq!(rig.balance(&wallet).await[0], "899.000000");
    rig.assert_books().await;
}

async fn row_06_refused_for_funds_stays_refused_under_its_key(rig: Rig) {
    let wallet = rig.funded("USDC", "104.999999").await;
    let asked = payout(&rig, "a", &wallet, "100", ("USDC", "5"));
    let refusal = rig.reserve_outbound(asked.clone()).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.replayed), ("insufficient-funds", false));
    rig.credit(&wallet, "1").await;
    let refusal = rig.reserve_outbound(asked.clone()).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.replayed), ("insufficient-funds", true));
    assert_eq!(rig.count("outbounds").await, 0);
    let anew = wire::ReserveOutboundRequest { effect_key: "b".into(), ..asked };
    rig.reserve_outbound(anew).await.unwrap();
}

async fn row_07_an_internal_error_does_not_burn_the_key(rig: Rig) {
    let wallet = rig.funded("USDC", "1000").await;
    let asked = payout(&rig, "a", &wallet, "100", ("USDC", "5"));
    rig.refuse_changes(&wallet, true).await;
    assert_eq!(rig.reserve_outbound(asked.clone()).await.unwrap_err().code(), "internal");
    assert_eq!((rig.count("outbounds").await, rig.count("holds").await), (0, 0));
    rig.refuse_changes(&wallet, false).await;
    assert!(!rig.reserve_outbound(asked).await.unwrap().replayed);
}

async fn row_08_a_payout_is_posted_whole_or_not_at_all(mut rig: Rig) {
    let wallet = rig.funded("USDC", "1000").await;
    let held = rig.reserve_outbound(payout(&rig, "a", &wallet, "100", ("USDC", "5"))).await.unwrap().body;
    let paid = post(&rig, "b", &held.hold_id, "1");
    rig.refuse_changes(&wallet, true).await;
    assert_eq!(rig.post_outbound(paid.clone()).await.unwrap_err().code(), "internal");
    rig.restart().await;
    assert_eq!(rig.count("outbounds WHERE posted_ms IS NULL").await, 1);
    assert_eq!(rig.count("holds WHERE state = 'ACTIVE'").await, 1);
    assert_eq!(system(&rig, "CLEARING", "USDC", "ethereum").await, 0);
    rig.refuse_changes(&wallet, false).await;
    assert!(!rig.post_outbound(paid).await.unwrap().replayed);
    assert_eq!(rig.balance(&wallet).await[0], "899.000000");
    rig.assert_books().await;
}

async fn row_09_what_is_held_cannot_be_spent_again(rig: Rig) {
    let wallet = rig.funded("USDC", "1000").await;
    let keys: Vec<String> = (0..20).map(|n| format!("payout-{n}")).collect();
    let calls = keys.iter().map(|key| rig.reserve_outbound(payout(&rig, key, &wallet, "95", ("USDC", "5"))));
    let answers = join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    let refused = answers.into_iter().filter_map(Result::err);
    assert!(refused.into_iter().all(|refusal| refusal.code() == "insufficient-funds"));
    assert_eq!(rig.balance(&wallet).await, ["1000.000000", "1000.000000", "0.000000"]);
    rig.assert_books().await;
}

async fn row_10_posted_and_voided_by_twenty_at_once_ends_once(rig: Rig) {
    let (wallet, other) = (rig.funded("USDC", "1000").await, rig.another().await);
    let held = rig.reserve_outbound(payout(&rig, "a", &wallet, "100", ("USDC", "5"))).await.unwrap().body;
    let calls = (0..20).map(|n| {
        let ledger = if n % 4 < 2 { &rig.ledger } else { &other };
        let (paid, voided) = (
            post(&rig, &format!("post-{n}"), &held.hold_id, "1"),
            rig.voiding(&format!("void-{n}"), &held.hold_id),
        );
        async move {
            match n % 2 {
                0 => ledger.post_outbound(paid).await.map(|answer| answer.body.state),
                _ => ledger.void_hold(voided).await.map(|answer| answer.body.state),
            }
        }
    });
    let ends = join_all(calls).await;
    let ok: Vec<_> = ends.iter().filter_map(|end| end.as_ref().ok()).collect();
    let refused: Vec<_> = ends.iter().filter_map(|end| end.as_ref().err()).map(|r| r.code()).collect();
    assert!(refused.iter().all(|code| *code == "hold-ended"), "{refused:?}");
    let posted = rig.count("outbounds WHERE posted_ms IS NOT NULL").await;
    // Either one posted it, or whoever voided it agrees with all who did.
    if posted == 1 {
        assert_eq!(ok, ["POSTED"]);
        assert_eq!(rig.balance(&wallet).await, ["899.000000", "0.000000", "899.000000"]);
    } else {
        assert_eq!(ok.len(), 10);
        assert!(ok.iter().all(|state| *state == "VOIDED"));
        assert_eq!(rig.balance(&wallet).await, ["1000.000000", "0.000000", "1000.000000"]);
    }
    rig.assert_books().await;
}

async fn row_22_without_a_current_rate_nothing_is_reserved(rig: Rig) {
    let source = Source::start().await;
    source.prices(&[("USDC", "1"), ("EUR", "1.25")]);
    let rig = Rig::start_with(rig.base, asking(&[&source], 1, &json!({})), None).await;
    rig.run_task("ledger-rates");
    source.heard().await;
    let (wallet, coins) = (rig.funded("EUR", "1000").await, rig.funded("USDC", "1000").await);
    let asked = payout(&rig, "a", &wallet, "100", ("USDC", "0"));
    // Of the fee's currency there never was one; of the base currency neither.
    let no_fee_rate = wire::ReserveOutboundRequest { fee_cap: Some(money("ETH", "0.01")), ..asked.clone() };
    assert_eq!(rig.reserve_outbound(no_fee_rate).await.unwrap_err().code(), "rate-unavailable");
    let no_base_rate = wire::ReserveOutboundRequest { base_currency: "GBP".into(), ..asked.clone() };
    assert_eq!(rig.reserve_outbound(no_base_rate).await.unwrap_err().code(), "rate-unavailable");
    source.away();
    source.heard().await;
    rig.clock.advance_ms(120_001);
    assert_eq!(rig.reserve_outbound(asked.clone()).await.unwrap_err().code(), "rate-unavailable");
    let same = payout(&rig, "b", &coins, "100", ("USDC", "5"));
    assert_eq!(rig.reserve_outbound(same).await.unwrap_err().code(), "rate-unavailable");
    assert_eq!((rig.count("outbounds").await, rig.count("holds").await), (0, 0));
    // Nothing was remembered: the same key works once there is a rate.
    source.prices(&[("USDC", "1"), ("EUR", "1.25")]);
    source.heard().await;
    let held = rig.reserve_outbound(asked).await.unwrap();
    assert_eq!((amount(&held.body.wallet_amount), held.replayed), ("80.00", false));
}

async fn row_22_a_payout_that_was_changed_is_not_posted(rig: Rig) {
    let wallet = rig.funded("USDC", "1000").await;
    let held = rig.reserve_outbound(payout(&rig, "a", &wallet, "100", ("USDC", "5"))).await.unwrap().body;
    let paid = post(&rig, "b", &held.hold_id, "50");
    for change in
        ["fee_cap = '500000000'", "pay_amount = '1'", "network = 'polygon'", "fee_payer = 'RECIPIENT'"]
    {
        let column = change.split(' ').next().unwrap();
        rig.tamper("CREATE TABLE kept AS SELECT * FROM outbounds").await;
        rig.tamper(&format!("UPDATE outbounds SET {change}")).await;
        assert_eq!(rig.post_outbound(paid.clone()).await.unwrap_err().code(), "internal", "{change}");
        rig.tamper(&format!("UPDATE outbounds SET {column} = (SELECT {column} FROM kept)")).await;
        rig.tamper("DROP TABLE kept").await;
    }
    assert_eq!(rig.balance(&wallet).await, ["1000.000000", "105.000000", "895.000000"]);
    assert_eq!(rig.post_outbound(paid).await.unwrap_err().fields(), ["fee"]);
    rig.post_outbound(post(&rig, "c", &held.hold_id, "5")).await.unwrap();
    assert_eq!(rig.balance(&wallet).await[0], "895.000000");
}

async fn row_22_a_promised_rate_that_does_not_hold_lets_nothing_out(rig: Rig) {
    let source = Source::start().await;
    source.prices(&[("USDC", "1"), ("EUR", "1.25")]);
    let rig = Rig::start_with(rig.base, asking(&[&source], 1, &json!({})), None).await;
    rig.run_task("ledger-rates");
    source.heard().await;
    let promise = |key: &str, from: &str, to: &str| wire::LockRateRequest {
        effect_key: key.into(),
        from: from.into(),
        to: to.into(),
        side: "BUY".into(),
        time_to_live_s: 60,
    };
    let lock = rig.lock_rate(promise("l", "EUR", "USDC")).await.unwrap().body.id;
    let back = rig.lock_rate(promise("m", "USDC", "EUR")).await.unwrap().body.id;
    source.prices(&[("USDC", "1"), ("EUR", "1")]);
    source.heard().await;
    let wallet = rig.funded("EUR", "1000").await;
    let asked = |key: &str, lock: &str| wire::ReserveOutboundRequest {
        rate_lock_id: lock.to_owned(),
        ..payout(&rig, key, &wallet, "100", ("USDC", "10"))
    };
    rig.clock.advance_ms(59_999);
    source.heard().await;
    let held = rig.reserve_outbound(asked("a", &lock)).await.unwrap().body;
    // The fee is in the paid currency, and of the same rate.
    assert_eq!((held.rate.as_str(), amount(&held.wallet_amount)), ("1.25", "88.00"));
    let posted = rig.post_outbound(post(&rig, "b", &held.hold_id, "5")).await.unwrap().body;
    assert_eq!(amount(&posted.debited), "84.00");
    rig.clock.advance_ms(1);
    for (key, lock) in [("c", lock.as_str()), ("d", &back), ("e", &rig.account()), ("f", "lock")] {
        let refusal = rig.reserve_outbound(asked(key, lock)).await.unwrap_err();
        assert_eq!((refusal.code(), refusal.fields()), ("validation-failed", vec!["rateLockId"]));
    }
    rig.tamper("UPDATE rate_locks SET expires_ms = expires_ms + 60000").await;
    assert_eq!(rig.reserve_outbound(asked("g", &lock)).await.unwrap_err().code(), "internal");
    assert_eq!(rig.count("outbounds").await, 1);
    rig.assert_books().await;
}

async fn a_voided_payout_is_not_posted(rig: Rig) {
    let wallet = rig.funded("USDC", "1000").await;
    let reserve = |key: &'static str| rig.reserve_outbound(payout(&rig, key, &wallet, "100", ("USDC", "5")));
    let (voided, posted) =
        (reserve("a").await.unwrap().body.hold_id, reserve("b").await.unwrap().body.hold_id);
    rig.void_hold(rig.voiding("c", &voided)).await.unwrap();
    let refusal = rig.post_outbound(post(&rig, "d", &voided, "1")).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.replayed), ("hold-ended", false));
    let refusal = rig.post_outbound(post(&rig, "d", &voided, "1")).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.replayed), ("hold-ended", true));
    rig.post_outbound(post(&rig, "e", &posted, "1")).await.unwrap();
    assert_eq!(rig.post_outbound(post(&rig, "f", &posted, "1")).await.unwrap_err().code(), "hold-ended");
    assert_eq!(rig.void_hold(rig.voiding("g", &posted)).await.unwrap_err().code(), "hold-ended");
    assert_eq!(rig.balance(&wallet).await, ["899.000000", "0.000000", "899.000000"]);
    // Another hold is no payout's; another account's does not exist.
    let plain = rig.reserve(rig.reserving("h", &wallet, "10")).await.unwrap().body.id;
    assert_eq!(rig.post_outbound(post(&rig, "i", &plain, "0")).await.unwrap_err().code(), "not-found");
    let other = reserve("j").await.unwrap().body.hold_id;
    let stranger = rig.stranger().account.to_string();
    let asked = wire::PostOutboundRequest { account_id: stranger, ..post(&rig, "k", &other, "1") };
    assert_eq!(rig.post_outbound(asked).await.unwrap_err().code(), "not-found");
    rig.assert_books().await;
}

async fn wrong_data_is_refused_and_holds_nothing(rig: Rig) {
    let (wallet, stranger) = (rig.funded("USDC", "1000").await, rig.stranger());
    let theirs = rig.wallet_of(&stranger, "USDC").await;
    let right = payout(&rig, "a", &wallet, "100", ("USDC", "5"));
    let with = |change: &dyn Fn(&mut wire::ReserveOutboundRequest)| {
        let mut asked = right.clone();
        change(&mut asked);
        asked
    };
    let cases: [(&str, &str, wire::ReserveOutboundRequest); 17] = [
        ("validation-failed", "effectKey", with(&|a| a.effect_key = String::new())),
        ("validation-failed", "accountId", with(&|a| a.account_id = "me".into())),
        ("not-found", "", with(&|a| a.wallet_id = "mine".into())),
        ("not-found", "", with(&|a| a.wallet_id = theirs.clone())),
        ("validation-failed", "network", with(&|a| a.network = "bitcoin".into())),
        ("validation-failed", "network", with(&|a| a.pay = Some(money("EUR", "1")))),
        ("validation-failed", "pay", with(&|a| a.pay = None)),
        ("currency-unknown", "pay.currency", with(&|a| a.pay = Some(money("XXX", "1")))),
        ("validation-failed", "pay.amount", with(&|a| a.pay = Some(money("USDC", "0")))),
        ("validation-failed", "pay.amount", with(&|a| a.pay = Some(money("USDC", "-1")))),
        ("currency-unknown", "feeCap.currency", with(&|a| a.fee_cap = Some(money("", "1")))),
        ("validation-failed", "feeCap.amount", with(&|a| a.fee_cap = Some(money("USDC", "NaN")))),
        ("validation-failed", "feePayer", with(&|a| a.fee_payer = "NOBODY".into())),
        ("currency-unknown", "baseCurrency", with(&|a| a.base_currency = String::new())),
        ("validation-failed", "reference", with(&|a| a.reference = "x".repeat(201))),
        ("validation-failed", "cause", with(&|a| a.cause = None)),
        (
            "validation-failed",
            "pay.amount",
            with(&|a| a.pay = Some(money("USDC", "170141183460469231731687303715884"))),
        ),
    ];
    for (code, field, asked) in cases {
        let refusal = rig.reserve_outbound(asked).await.unwrap_err();
        assert_eq!(refusal.code(), code, "{field}");
        assert_eq!(refusal.fields().first().copied().unwrap_or_default(), field);
    }
    assert_eq!((rig.count("outbounds").await, rig.count("holds").await), (0, 0));
    assert_eq!(rig.balance(&wallet).await[1], "0.000000");
}

async fn a_payout_that_was_paid_is_not_refused_for_our_own_limits(rig: Rig) {
    let settings = |usdc: &str| LedgerSettings {
        overdraft: [("USDC".to_owned(), usdc.to_owned())].into(),
        ..LedgerSettings::default()
    };
    let live = Some(Environment::Live);
    let rig = Rig::start_with(rig.base, settings("106"), live).await;
    let wallet = with_a_bitcoin(&rig).await;
    let held = rig.reserve_outbound(payout(&rig, "a", &wallet, "100", ("USDC", "5"))).await.unwrap().body;
    // Whoever comes first takes it: nothing of ours is held.
    let other = rig.reserve_outbound(payout(&rig, "c", &wallet, "100", ("USDC", "5"))).await.unwrap().body;
    rig.post_outbound(post(&rig, "d", &other.hold_id, "5")).await.unwrap();
    let paid = post(&rig, "b", &held.hold_id, "1");
    assert_eq!(rig.post_outbound(paid.clone()).await.unwrap_err().code(), "unavailable");
    assert_eq!(rig.count("holds WHERE state = 'ACTIVE'").await, 1);
    let ledger = rig.another_with(settings("1000"), live).await.unwrap();
    assert!(!ledger.post_outbound(paid).await.unwrap().replayed);
    ledger.assert_books().await;
}

/// A wallet with one bitcoin, deposited.
async fn with_a_bitcoin(rig: &Rig) -> String {
    let wallet = rig.wallet("BTC").await;
    let deposit = wire::SettleInboundRequest {
        effect_key: "bitcoin".into(),
        account_id: rig.account(),
        wallet_id: wallet.clone(),
        network: "bitcoin".into(),
        currency: "BTC".into(),
        amount: "1".into(),
        kind: "DEPOSIT".into(),
        cause: Some(cause("deposit", "d")),
        ..wire::SettleInboundRequest::default()
    };
    assert_eq!(rig.settle_inbound(deposit).await.unwrap().body.state, "SETTLED");
    wallet
}

async fn what_the_installation_cannot_cover_is_not_reserved(rig: Rig) {
    let settings = LedgerSettings {
        overdraft: [("USDC", "105.01"), ("ETH", "0.011")]
            .map(|(code, n)| (code.to_owned(), n.to_owned()))
            .into(),
        ..LedgerSettings::default()
    };
    let rig = Rig::start_with(rig.base, settings, Some(Environment::Live)).await;
    let wallet = with_a_bitcoin(&rig).await;
    for (key, pay, cap) in [
        ("a", "105.010001", ("USDC", "0")),
        ("b", "100", ("USDC", "5.010001")),
        ("c", "100", ("ETH", "0.011000000000000001")),
    ] {
        for replayed in [false, true] {
            let refusal = rig.reserve_outbound(payout(&rig, key, &wallet, pay, cap)).await.unwrap_err();
            assert_eq!((refusal.code(), refusal.replayed), ("insufficient-funds", replayed), "{key}");
            assert!(refusal.fault.detail.contains("installation"), "{}", refusal.fault.detail);
        }
    }
    assert_eq!((rig.count("outbounds").await, rig.count("holds").await), (0, 0));
    assert_eq!(rig.balance(&wallet).await[1], "0.00000000");
    // What is worth less than a unit of the wallet's currency comes on top. What is not converted needs nothing.
    rig.reserve_outbound(payout(&rig, "d", &wallet, "100", ("USDC", "5"))).await.unwrap();
    rig.reserve_outbound(payout(&rig, "e", &wallet, "105", ("ETH", "0.01"))).await.unwrap();
    let plain = wire::ReserveOutboundRequest {
        network: "bitcoin".into(),
        pay: Some(money("BTC", "0.5")),
        ..payout(&rig, "f", &wallet, "1", ("BTC", "0.001"))
    };
    rig.reserve_outbound(plain).await.unwrap();
    // Who does not have it is told of the wallet.
    let refusal = rig.reserve_outbound(payout(&rig, "g", &wallet, "90000", ("USDC", "0"))).await.unwrap_err();
    assert!(refusal.fault.detail.contains("wallet"), "{}", refusal.fault.detail);
}

async fn a_mistake_in_posting_is_not_remembered(rig: Rig) {
    let wallet = rig.funded("USDC", "1000").await;
    let held = rig.reserve_outbound(payout(&rig, "a", &wallet, "100", ("USDC", "5"))).await.unwrap().body;
    for fee in ["5.000001", "-1", "much", "0.0000001"] {
        for _ in 0..2 {
            let refusal = rig.post_outbound(post(&rig, "b", &held.hold_id, fee)).await.unwrap_err();
            assert_eq!((refusal.fields(), refusal.replayed), (vec!["fee"], false));
        }
    }
    let nobodys = rig.account();
    assert_eq!(rig.post_outbound(post(&rig, "b", &nobodys, "1")).await.unwrap_err().code(), "not-found");
    let posted = rig.post_outbound(post(&rig, "b", &held.hold_id, "5")).await.unwrap();
    assert_eq!((amount(&posted.body.debited), posted.replayed), ("105.000000", false));
}

async fn a_posted_payout_made_to_look_held_is_not_paid_again(rig: Rig) {
    let (eur, usdc) = (rig.funded("EUR", "1000").await, rig.funded("USDC", "1000").await);
    for (n, wallet) in [&eur, &usdc].into_iter().enumerate() {
        let [first, second, paid, again] =
            ["first", "second", "paid", "again"].map(|key| format!("{key}-{n}"));
        let held =
            rig.reserve_outbound(payout(&rig, &first, wallet, "100", ("USDC", "5"))).await.unwrap().body;
        // Another one is held, so that there would be something to give back.
        rig.reserve_outbound(payout(&rig, &second, wallet, "100", ("USDC", "5"))).await.unwrap();
        rig.post_outbound(post(&rig, &paid, &held.hold_id, "1")).await.unwrap();
        let before = rig.balance(wallet).await;
        let undone = "UPDATE holds SET state = 'ACTIVE', posted = '0', ended_ms = NULL, ended_sequence = NULL
            WHERE state = 'POSTED'";
        assert_eq!(rig.tamper(undone).await, 1);
        rig.tamper("UPDATE outbounds SET fee = NULL, debited = NULL, posted_ms = NULL").await;
        let refusal = rig.post_outbound(post(&rig, &again, &held.hold_id, "1")).await.unwrap_err();
        assert_eq!(refusal.code(), "internal");
        assert_eq!(rig.balance(wallet).await, before);
        rig.tamper("DELETE FROM outbounds WHERE posted_ms IS NULL").await;
    }
}
