//! Holds: counted in what is available, ended exactly once, by whoever comes first.

use crate::calls::{system, transfer, wallet_side};
use crate::rig::Rig;
use beem_proto::ledger::v1 as wire;
use beem_proto::to_timestamp;
use futures::future::join_all;
use std::time::Duration;

crate::on_both!(
    row_02_every_write_of_a_hold_twice_under_its_key,
    row_03_a_key_of_another_request_is_refused,
    row_06_a_refused_hold_stays_refused_under_its_key,
    row_07_an_internal_error_does_not_burn_the_key,
    row_09_holds_count_in_what_is_available,
    row_10_posted_and_voided_by_twenty_at_once,
    part_of_a_hold_is_posted_and_the_rest_given_back,
    a_hold_ends_once_and_says_how,
    a_hold_expires_by_itself,
    a_thousand_holds_expire_in_batches,
    what_is_wrong_with_a_request_is_named,
    holds_of_others_do_not_exist,
    the_hold_of_a_payout_is_not_posted_as_another_one,
);

async fn row_02_every_write_of_a_hold_twice_under_its_key(rig: Rig) {
    let wallet = rig.funded("USD", "100.00").await;
    let reserve = rig.reserving("r", &wallet, "60.00");
    let (first, again) =
        (rig.reserve(reserve.clone()).await.unwrap(), rig.reserve(reserve.clone()).await.unwrap());
    assert_eq!((&first.body, first.replayed, again.replayed), (&again.body, false, true));
    assert_eq!(rig.balance(&wallet).await, ["100.00", "60.00", "40.00"]);
    let hold = first.body.id.clone();
    let post = rig.posting("p", &hold);
    let (posted, twice) = (rig.post_hold(post.clone()).await.unwrap(), rig.post_hold(post).await.unwrap());
    assert_eq!((&posted.body, posted.replayed, twice.replayed), (&twice.body, false, true));
    assert_eq!((posted.body.state.as_str(), posted.body.posted.as_str()), ("POSTED", "60.00"));
    // What was answered first is answered for ever: the hold as it was placed.
    assert_eq!(rig.reserve(reserve).await.unwrap().body, first.body);
    let other = rig.reserve(rig.reserving("s", &wallet, "1.00")).await.unwrap().body.id;
    let void = rig.voiding("v", &other);
    let (voided, twice) = (rig.void_hold(void.clone()).await.unwrap(), rig.void_hold(void).await.unwrap());
    assert_eq!((&voided.body, voided.replayed, twice.replayed), (&twice.body, false, true));
    assert_eq!(rig.balance(&wallet).await, ["40.00", "0.00", "40.00"]);
    rig.assert_books().await;
}

async fn row_03_a_key_of_another_request_is_refused(rig: Rig) {
    let wallet = rig.funded("USD", "100.00").await;
    let hold = rig.reserve(rig.reserving("r", &wallet, "10.00")).await.unwrap().body.id;
    let second = rig.reserve(rig.reserving("s", &wallet, "10.00")).await.unwrap().body.id;
    let reused = rig.reserve(rig.reserving("r", &wallet, "11.00")).await.unwrap_err();
    assert_eq!(reused.code(), "idempotency-key-reused");
    rig.post_hold(rig.posting("p", &hold)).await.unwrap();
    assert_eq!(rig.post_hold(rig.posting("p", &second)).await.unwrap_err().code(), "idempotency-key-reused");
    rig.void_hold(rig.voiding("v", &second)).await.unwrap();
    assert_eq!(rig.void_hold(rig.voiding("v", &hold)).await.unwrap_err().code(), "idempotency-key-reused");
    // A key of one RPC says nothing about another's.
    rig.reserve(rig.reserving("v", &wallet, "10.00")).await.unwrap();
    assert_eq!(rig.balance(&wallet).await, ["90.00", "10.00", "80.00"]);
}

async fn row_06_a_refused_hold_stays_refused_under_its_key(rig: Rig) {
    let wallet = rig.wallet("USD").await;
    let reserve = rig.reserving("r", &wallet, "10.00");
    let refused = rig.reserve(reserve.clone()).await.unwrap_err();
    assert_eq!((refused.code(), refused.replayed), ("insufficient-funds", false));
    rig.credit(&wallet, "100.00").await;
    let late = rig.reserve(reserve).await.unwrap_err();
    assert_eq!((late.code(), late.replayed), ("insufficient-funds", true));
    let hold = rig.reserve(rig.reserving("s", &wallet, "10.00")).await.unwrap().body.id;
    rig.void_hold(rig.voiding("v", &hold)).await.unwrap();
    let ended = rig.post_hold(rig.posting("p", &hold)).await.unwrap_err();
    let again = rig.post_hold(rig.posting("p", &hold)).await.unwrap_err();
    assert_eq!((ended.code(), ended.replayed), ("hold-ended", false));
    assert_eq!((again.code(), again.replayed, again.fault.detail), ("hold-ended", true, ended.fault.detail));
}

async fn row_07_an_internal_error_does_not_burn_the_key(rig: Rig) {
    let wallet = rig.funded("USD", "10.00").await;
    let reserve = rig.reserving("r", &wallet, "10.00");
    rig.refuse_changes(&wallet, true).await;
    assert_eq!(rig.reserve(reserve.clone()).await.unwrap_err().code(), "internal");
    rig.refuse_changes(&wallet, false).await;
    let placed = rig.reserve(reserve).await.unwrap();
    assert!(!placed.replayed);
    let (post, void) = (rig.posting("p", &placed.body.id), rig.voiding("v", &placed.body.id));
    rig.refuse_changes(&wallet, true).await;
    assert_eq!(rig.post_hold(post.clone()).await.unwrap_err().code(), "internal");
    assert_eq!(rig.void_hold(void.clone()).await.unwrap_err().code(), "internal");
    rig.refuse_changes(&wallet, false).await;
    assert!(!rig.post_hold(post).await.unwrap().replayed);
    assert_eq!(rig.void_hold(void).await.unwrap_err().code(), "hold-ended");
    rig.assert_books().await;
}

async fn row_09_holds_count_in_what_is_available(rig: Rig) {
    let wallet = rig.funded("USD", "100.00").await;
    rig.reserve(rig.reserving("a", &wallet, "80.00")).await.unwrap();
    let spend = |amount| vec![transfer(wallet_side(&wallet), system("FEES"), "USD", amount)];
    assert_eq!(rig.post("b", spend("20.01")).await.refused, "insufficient-funds");
    let more = rig.reserve(rig.reserving("c", &wallet, "20.01")).await.unwrap_err();
    assert_eq!(more.code(), "insufficient-funds");
    assert_eq!(rig.post("d", spend("20.00")).await.refused, "");
    assert_eq!(rig.balance(&wallet).await, ["80.00", "80.00", "0.00"]);
    // Twenty at once, for half as many as there is room for.
    rig.credit(&wallet, "10.00").await;
    let holds = (0..20).map(|i| rig.reserve(rig.reserving(&format!("e{i}"), &wallet, "1.00")));
    let placed = join_all(holds).await.iter().filter(|reply| reply.is_ok()).count();
    assert_eq!((placed, rig.balance(&wallet).await[2].as_str()), (10, "0.00"));
    rig.assert_books().await;
}

async fn row_10_posted_and_voided_by_twenty_at_once(rig: Rig) {
    let wallet = rig.funded("USD", "100.00").await;
    let other = rig.another().await;
    for round in 0..5 {
        let asked = rig.reserving(&format!("r{round}"), &wallet, "10.00");
        let hold = rig.reserve(asked).await.unwrap().body.id;
        let ends = join_all((0..20).map(|i| {
            let (rig, hold, process) = (&rig, &hold, if i % 4 < 2 { &rig.ledger } else { &other });
            async move {
                let key = format!("{round}-{i}");
                match i % 2 {
                    0 => process.post_hold(rig.posting(&key, hold)).await,
                    _ => process.void_hold(rig.voiding(&key, hold)).await,
                }
            }
        }))
        .await;
        let asked = wire::ReadHoldRequest { account_id: rig.account(), hold_id: hold };
        let state = rig.read_hold(asked).await.unwrap().body.state;
        let ended: Vec<_> =
            ends.iter().filter_map(|end| end.as_ref().ok()).map(|end| &end.body.state).collect();
        assert!(ended.iter().all(|ended| **ended == state), "{ended:?} {state}");
        // Voiding what is voided is harmless; posting is done by one.
        assert_eq!(ended.len(), if state == "POSTED" { 1 } else { 10 });
        assert!(
            ends.iter().filter_map(|end| end.as_ref().err()).all(|refused| refused.code() == "hold-ended")
        );
    }
    rig.assert_books().await;
}

async fn part_of_a_hold_is_posted_and_the_rest_given_back(rig: Rig) {
    let (wallet, to) = (rig.funded("USD", "100.00").await, rig.wallet("USD").await);
    let hold = rig.reserve(rig.reserving("r", &wallet, "60.00")).await.unwrap().body.id;
    for (key, amount, code) in [("p1", "60.01", "validation-failed"), ("p2", "0", "validation-failed")] {
        let post = wire::PostHoldRequest { amount: amount.into(), ..rig.posting(key, &hold) };
        let refused = rig.post_hold(post).await.unwrap_err();
        assert_eq!((refused.code(), refused.fields()), (code, vec!["amount"]));
    }
    let post = wire::PostHoldRequest {
        amount: "25.50".into(),
        credit: Some(wallet_side(&to)),
        kind: "PAYMENT_OUT".into(),
        ..rig.posting("p3", &hold)
    };
    let posted = rig.post_hold(post).await.unwrap().body;
    assert_eq!(
        (posted.state.as_str(), posted.amount.as_str(), posted.posted.as_str()),
        ("POSTED", "60.00", "25.50")
    );
    assert_eq!(rig.balance(&wallet).await, ["74.50", "0.00", "74.50"]);
    assert_eq!(rig.balance(&to).await[0], "25.50");
    let of =
        format!("transfers WHERE kind = 'PAYMENT_OUT' AND reference = 'a hold' AND cause_id = '{}'", "r");
    assert_eq!(rig.count(&of).await, 1);
    rig.assert_books().await;
}

async fn a_hold_ends_once_and_says_how(rig: Rig) {
    let wallet = rig.funded("USD", "100.00").await;
    let (posted, voided) = (
        rig.reserve(rig.reserving("a", &wallet, "10.00")).await.unwrap().body.id,
        rig.reserve(rig.reserving("b", &wallet, "10.00")).await.unwrap().body.id,
    );
    rig.post_hold(rig.posting("1", &posted)).await.unwrap();
    rig.void_hold(rig.voiding("1", &voided)).await.unwrap();
    for refused in [
        rig.post_hold(rig.posting("2", &posted)).await,
        rig.void_hold(rig.voiding("2", &posted)).await,
        rig.post_hold(rig.posting("3", &voided)).await,
    ] {
        assert_eq!(refused.unwrap_err().code(), "hold-ended");
    }
    let again = rig.void_hold(rig.voiding("4", &voided)).await.unwrap();
    assert_eq!((again.body.state.as_str(), again.replayed), ("VOIDED", false));
    assert_eq!(rig.balance(&wallet).await, ["90.00", "0.00", "90.00"]);
    rig.assert_books().await;
}

async fn a_hold_expires_by_itself(rig: Rig) {
    let wallet = rig.funded("USD", "100.00").await;
    let expiring = |key: &str, in_ms: i64| wire::ReserveRequest {
        expires_at: Some(to_timestamp(rig.clock.now().plus_ms(in_ms).unix_ms())),
        ..rig.reserving(key, &wallet, "10.00")
    };
    let past = rig.reserve(expiring("past", 0)).await.unwrap_err();
    assert_eq!((past.code(), past.fields()), ("validation-failed", vec!["expiresAt"]));
    let hold = rig.reserve(expiring("a", 60_000)).await.unwrap().body;
    let kept = rig.reserve(expiring("b", 61_000)).await.unwrap().body;
    assert!(hold.expires_at.is_some());
    rig.clock.advance_ms(60_000);
    // Its time is over, whether the task has come by or not.
    assert_eq!(rig.post_hold(rig.posting("p", &hold.id)).await.unwrap_err().code(), "hold-ended");
    let other = rig.another().await;
    rig.run_task("ledger-holds");
    other.run_task("ledger-holds");
    settled(&rig, "holds WHERE state = 'EXPIRED'", 1).await;
    assert_eq!(rig.void_hold(rig.voiding("v", &hold.id)).await.unwrap_err().code(), "hold-ended");
    assert_eq!(rig.balance(&wallet).await, ["100.00", "10.00", "90.00"]);
    let asked = wire::ReadHoldRequest { account_id: rig.account(), hold_id: kept.id };
    assert_eq!(rig.read_hold(asked).await.unwrap().body.state, "ACTIVE");
    rig.assert_books().await;
}

async fn a_thousand_holds_expire_in_batches(rig: Rig) {
    let wallet = rig.funded("USD", "1100.00").await;
    let expires_at = Some(to_timestamp(rig.clock.now().plus_ms(1_000).unix_ms()));
    let holds = (0..1_100).map(|i| {
        let asked = rig.reserving(&format!("r{i}"), &wallet, "1.00");
        rig.reserve(wire::ReserveRequest { expires_at, ..asked })
    });
    assert!(join_all(holds).await.iter().all(Result::is_ok));
    assert_eq!(rig.balance(&wallet).await[2], "0.00");
    rig.clock.advance_ms(1_000);
    rig.run_task("ledger-holds");
    settled(&rig, "holds WHERE state = 'EXPIRED'", 1_100).await;
    assert_eq!(rig.balance(&wallet).await, ["1100.00", "0.00", "1100.00"]);
    rig.assert_books().await;
}

async fn what_is_wrong_with_a_request_is_named(rig: Rig) {
    let wallet = rig.funded("USD", "100.00").await;
    let good = rig.reserving("r", &wallet, "1.00");
    for (field, asked) in [
        ("effectKey", wire::ReserveRequest { effect_key: String::new(), ..good.clone() }),
        ("accountId", wire::ReserveRequest { account_id: "x".into(), ..good.clone() }),
        ("amount", wire::ReserveRequest { amount: "1.001".into(), ..good.clone() }),
        ("reference", wire::ReserveRequest { reference: "\u{7}".into(), ..good.clone() }),
        ("cause", wire::ReserveRequest { cause: None, ..good.clone() }),
    ] {
        let refused = rig.reserve(asked).await.unwrap_err();
        assert_eq!((refused.code(), refused.fields()), ("validation-failed", vec![field]));
    }
    let hold = rig.reserve(good).await.unwrap().body.id;
    let good = rig.posting("p", &hold);
    let coin = rig.wallet("BTC").await;
    for (field, asked) in [
        ("credit", wire::PostHoldRequest { credit: None, ..good.clone() }),
        ("credit.system", wire::PostHoldRequest { credit: Some(system("SANDBOX")), ..good.clone() }),
        ("kind", wire::PostHoldRequest { kind: "DEPOSIT".into(), ..good.clone() }),
        ("currency", wire::PostHoldRequest { credit: Some(wallet_side(&coin)), ..rig.posting("q", &hold) }),
    ] {
        let refused = rig.post_hold(asked).await.unwrap_err();
        assert_eq!((refused.code(), refused.fields()), ("validation-failed", vec![field]));
    }
    // Only what the book decided is remembered.
    assert!(!rig.post_hold(good).await.unwrap().replayed);
}

async fn holds_of_others_do_not_exist(rig: Rig) {
    let wallet = rig.funded("USD", "100.00").await;
    let hold = rig.reserve(rig.reserving("r", &wallet, "1.00")).await.unwrap().body.id;
    let stranger = rig.stranger().account.to_string();
    let reserve =
        wire::ReserveRequest { account_id: stranger.clone(), ..rig.reserving("s", &wallet, "1.00") };
    assert_eq!(rig.reserve(reserve).await.unwrap_err().code(), "not-found");
    let post = wire::PostHoldRequest { account_id: stranger.clone(), ..rig.posting("p", &hold) };
    assert_eq!(rig.post_hold(post).await.unwrap_err().code(), "not-found");
    let void = wire::VoidHoldRequest { account_id: stranger.clone(), ..rig.voiding("v", &hold) };
    assert_eq!(rig.void_hold(void).await.unwrap_err().code(), "not-found");
    let read = wire::ReadHoldRequest { account_id: stranger, hold_id: hold };
    assert_eq!(rig.read_hold(read).await.unwrap_err().code(), "not-found");
    let read = wire::ReadHoldRequest { account_id: rig.account(), hold_id: "x".into() };
    assert_eq!(rig.read_hold(read).await.unwrap_err().code(), "not-found");
}

/// Its plan says where the money goes; posted past it, the payout would look as if it were still to come.
async fn the_hold_of_a_payout_is_not_posted_as_another_one(rig: Rig) {
    let wallet = rig.funded("USD", "100.00").await;
    let asked = wire::ReserveOutboundRequest {
        effect_key: "out".into(),
        account_id: rig.account(),
        wallet_id: wallet.clone(),
        network: "ethereum".into(),
        pay: Some(wire::Money { currency: "USDC".into(), amount: "10".into() }),
        fee_payer: "MERCHANT".into(),
        base_currency: "EUR".into(),
        cause: Some(crate::calls::cause("payment", "1")),
        ..wire::ReserveOutboundRequest::default()
    };
    let hold = rig.reserve_outbound(asked).await.unwrap().body.hold_id;
    let refused = rig.post_hold(rig.posting("p", &hold)).await.unwrap_err();
    assert_eq!((refused.code(), refused.fields()), ("validation-failed", vec!["holdId"]));
    assert_eq!(rig.void_hold(rig.voiding("v", &hold)).await.unwrap().body.state, "VOIDED");
    assert_eq!(rig.balance(&wallet).await, ["100.00", "0.00", "100.00"]);
    rig.assert_books().await;
}

async fn settled(rig: &Rig, of: &str, wanted: i64) {
    for _ in 0..500 {
        if rig.count(of).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{of}: not {wanted}");
}
