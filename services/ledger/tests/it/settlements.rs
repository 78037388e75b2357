//! Deposits: booked whatever else is the case, and credited once.

mod suspense;

use crate::calls::cause;
use crate::rig::{Ledger, Rig};
use beem_database::Sql as _;
use beem_ledger::LedgerSettings;
use beem_proto::ledger::v1 as wire;
use beem_proto::to_timestamp;
use futures::future::join_all;
use std::time::Duration;

crate::on_both!(
    a_deposit_is_booked_converted_and_credited,
    a_deposit_in_the_wallets_currency_is_moved_as_it_is,
    row_02_settled_twice_under_one_key_credits_once,
    row_03_a_key_of_another_deposit_is_refused,
    row_04_twenty_of_one_deposit_at_once_credit_once,
    row_07_an_internal_error_does_not_burn_the_key,
    row_08_the_deposit_and_its_record_are_there_together_or_not_at_all,
    row_08_a_process_that_dies_between_the_steps_has_booked_the_deposit,
    row_08_what_was_left_between_the_steps_is_settled_when_it_is_asked_for_again,
    row_19_what_rounding_keeps_of_a_deposit_is_an_entry_of_its_own,
    row_22_a_settlement_that_was_changed_is_not_credited,
    row_22_a_settlement_whose_every_trace_is_gone_is_not_credited_again,
    a_deposit_whose_wallet_is_gone_is_an_error_and_stays_as_it_is,
    wrong_data_is_refused_and_books_nothing,
);

/// Minor units of a system account.
pub async fn system(ledger: &Ledger, purpose: &str, currency: &str, network: &str) -> i128 {
    let sql = "SELECT CAST(b.total AS TEXT) AS total FROM balances b JOIN ledger_accounts a ON a.id = b.ledger_account_id
        WHERE a.purpose = $1 AND a.currency = $2 AND a.network = $3";
    let row = ledger.db.read().row(sql, vec![purpose.into(), currency.into(), network.into()]).await;
    row.unwrap().unwrap().try_get::<String>("", "total").unwrap().parse().unwrap()
}

async fn system_id(ledger: &Ledger, purpose: &str, currency: &str) -> String {
    let sql = "SELECT id FROM ledger_accounts WHERE purpose = $1 AND currency = $2";
    let row = ledger.db.read().row(sql, vec![purpose.into(), currency.into()]).await.unwrap().unwrap();
    row.try_get::<uuid::Uuid>("", "id").unwrap().to_string()
}

fn deposit(rig: &Rig, key: &str, wallet: &str, currency: &str, amount: &str) -> wire::SettleInboundRequest {
    wire::SettleInboundRequest {
        effect_key: key.into(),
        account_id: rig.account(),
        wallet_id: wallet.into(),
        network: if currency == "BTC" { "bitcoin" } else { "ethereum" }.into(),
        currency: currency.into(),
        amount: amount.into(),
        kind: "DEPOSIT".into(),
        reference: "a deposit".into(),
        cause: Some(cause("deposit", key)),
        keep: false,
        rate_lock_id: String::new(),
        seen_at: Some(to_timestamp(rig.clock.now().unix_ms())),
    }
}

async fn read(ledger: &Ledger, key: &str) -> wire::Settlement {
    ledger.read_settlement(wire::ReadSettlementRequest { effect_key: key.into() }).await.unwrap().body
}

fn release(key: &str) -> wire::ReleaseInboundRequest {
    wire::ReleaseInboundRequest { effect_key: key.into() }
}

/// State and reason.
fn place(settlement: &wire::Settlement) -> (&str, &str) {
    (&settlement.state, &settlement.reason)
}

fn credited(settlement: &wire::Settlement) -> &str {
    &settlement.credited.as_ref().unwrap().amount
}

async fn until_settled(ledger: &Ledger, key: &str) -> wire::Settlement {
    let settled = async {
        loop {
            let now = read(ledger, key).await;
            if now.state == "SETTLED" {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), settled).await.expect("it is settled")
}

async fn a_deposit_is_booked_converted_and_credited(rig: Rig) {
    let wallet = rig.wallet("EUR").await;
    let answer = rig.settle_inbound(deposit(&rig, "d", &wallet, "USDC", "100")).await.unwrap();
    assert!(!answer.replayed);
    let settled = answer.body;
    assert_eq!((place(&settled), credited(&settled)), (("SETTLED", ""), "92.59"));
    assert_eq!(settled.rate, "0.925925925925925925");
    assert_eq!(settled.paid.as_ref().unwrap().amount, "100.000000");
    assert!(settled.date_settled.is_some());
    assert_eq!(settled, read(&rig, "d").await);
    assert_eq!(rig.balance(&wallet).await, ["92.59", "0.00", "92.59"]);
    assert_eq!(system(&rig, "CLEARING", "USDC", "ethereum").await, -100_000_000);
    assert_eq!(system(&rig, "SUSPENSE", "USDC", "").await, 0);
    assert_eq!(system(&rig, "LIQUIDITY", "USDC", "").await, 100_000_000);
    assert_eq!(system(&rig, "LIQUIDITY", "EUR", "").await, -9_259);
    let asked = wire::ListTransactionsRequest { id: wallet, ..wire::ListTransactionsRequest::default() };
    let shown = rig.list_transactions(&rig.owner, asked).await.unwrap().content;
    assert_eq!((shown.len(), shown[0].kind.as_str(), shown[0].amount.as_str()), (1, "DEPOSIT", "92.59"));
    let counterpart = shown[0].counterpart.as_ref().unwrap();
    assert_eq!((counterpart.currency.as_str(), counterpart.amount.as_str()), ("USDC", "100.000000"));
    assert_eq!(shown[0].cause, Some(cause("deposit", "d")));
    rig.assert_books().await;
}

async fn a_deposit_in_the_wallets_currency_is_moved_as_it_is(rig: Rig) {
    let wallet = rig.wallet("BTC").await;
    let mut asked = deposit(&rig, "d", &wallet, "BTC", "0.00000001");
    asked.kind = "PAYMENT_IN".into();
    asked.seen_at = None;
    let settled = rig.settle_inbound(asked).await.unwrap().body;
    assert_eq!((place(&settled), credited(&settled)), (("SETTLED", ""), "0.00000001"));
    assert_eq!(settled.rate, "1");
    assert_eq!(rig.count("transfers").await, 2);
    let asked = wire::ListTransactionsRequest { id: wallet, ..wire::ListTransactionsRequest::default() };
    let shown = rig.list_transactions(&rig.owner, asked).await.unwrap().content;
    assert_eq!((shown[0].kind.as_str(), &shown[0].counterpart), ("PAYMENT_IN", &None));
    rig.assert_books().await;
}

async fn row_02_settled_twice_under_one_key_credits_once(mut rig: Rig) {
    let wallet = rig.wallet("EUR").await;
    let asked = deposit(&rig, "d", &wallet, "USDC", "100");
    let first = rig.settle_inbound(asked.clone()).await.unwrap();
    rig.restart().await;
    let again = rig.settle_inbound(asked).await.unwrap();
    assert_eq!((again.body, again.replayed), (first.body, true));
    assert_eq!(rig.balance(&wallet).await[0], "92.59");
    assert_eq!(rig.count("settlements").await, 1);
    rig.assert_books().await;
}

async fn row_03_a_key_of_another_deposit_is_refused(rig: Rig) {
    let wallet = rig.wallet("EUR").await;
    let asked = deposit(&rig, "d", &wallet, "USDC", "100");
    rig.settle_inbound(asked.clone()).await.unwrap();
    let more = wire::SettleInboundRequest { amount: "200".into(), ..asked.clone() };
    let nowhere = wire::SettleInboundRequest { wallet_id: asked.account_id.clone(), ..asked.clone() };
    let kept = wire::SettleInboundRequest { keep: true, ..asked };
    for other in [more, nowhere, kept] {
        assert_eq!(rig.settle_inbound(other).await.unwrap_err().code(), "idempotency-key-reused");
    }
    assert_eq!(rig.balance(&wallet).await[0], "92.59");
}

async fn row_04_twenty_of_one_deposit_at_once_credit_once(rig: Rig) {
    let (wallet, other) = (rig.wallet("EUR").await, rig.another().await);
    let asked = deposit(&rig, "d", &wallet, "USDC", "100");
    let calls = (0..20).map(|n| {
        let ledger = if n % 2 == 0 { &rig.ledger } else { &other };
        ledger.settle_inbound(asked.clone())
    });
    let answers = join_all(calls).await;
    let fresh = answers.iter().filter(|answer| !answer.as_ref().unwrap().replayed).count();
    assert_eq!(fresh, 1);
    let settled = read(&rig, "d").await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().body == settled));
    assert_eq!(rig.balance(&wallet).await[0], "92.59");
    rig.assert_books().await;
}

async fn row_07_an_internal_error_does_not_burn_the_key(rig: Rig) {
    let wallet = rig.wallet("EUR").await;
    let suspense = system_id(&rig, "SUSPENSE", "USDC").await;
    let asked = deposit(&rig, "d", &wallet, "USDC", "100");
    rig.refuse_changes(&suspense, true).await;
    assert_eq!(rig.settle_inbound(asked.clone()).await.unwrap_err().code(), "internal");
    rig.refuse_changes(&suspense, false).await;
    let answer = rig.settle_inbound(asked).await.unwrap();
    assert_eq!((answer.body.state.as_str(), answer.replayed), ("SETTLED", false));
}

async fn row_08_the_deposit_and_its_record_are_there_together_or_not_at_all(rig: Rig) {
    let wallet = rig.wallet("EUR").await;
    let suspense = system_id(&rig, "SUSPENSE", "USDC").await;
    rig.refuse_changes(&suspense, true).await;
    rig.settle_inbound(deposit(&rig, "d", &wallet, "USDC", "100")).await.unwrap_err();
    assert_eq!((rig.count("settlements").await, rig.count("transfers").await), (0, 0));
    assert_eq!(rig.count("effects WHERE effect_key = 'SettleInbound:d'").await, 0);
    let missing = rig.read_settlement(wire::ReadSettlementRequest { effect_key: "d".into() }).await;
    assert_eq!(missing.unwrap_err().code(), "not-found");
    assert_eq!(rig.release_inbound(release("d")).await.unwrap_err().code(), "not-found");
}

/// A deposit whose second step could not be taken.
async fn interrupted(rig: &mut Rig, wallet: &str) -> wire::SettleInboundRequest {
    let asked = deposit(rig, "d", wallet, "USDC", "100");
    rig.refuse_changes(wallet, true).await;
    assert_eq!(rig.settle_inbound(asked.clone()).await.unwrap_err().code(), "internal");
    rig.restart().await;
    let now = read(rig, "d").await;
    assert_eq!((place(&now), credited(&now)), (("SUSPENDED", ""), "0.00"));
    assert_eq!(system(rig, "SUSPENSE", "USDC", "").await, 100_000_000);
    assert_eq!(rig.balance(wallet).await[0], "0.00");
    rig.assert_books().await;
    rig.refuse_changes(wallet, false).await;
    asked
}

async fn row_08_a_process_that_dies_between_the_steps_has_booked_the_deposit(mut rig: Rig) {
    let wallet = rig.wallet("EUR").await;
    let asked = interrupted(&mut rig, &wallet).await;
    rig.run_task("ledger-suspense");
    let settled = until_settled(&rig, "d").await;
    assert_eq!(credited(&settled), "92.59");
    let again = rig.settle_inbound(asked).await.unwrap();
    assert_eq!((again.body, again.replayed), (settled, true));
    assert_eq!(rig.balance(&wallet).await[0], "92.59");
    rig.assert_books().await;
}

async fn row_08_what_was_left_between_the_steps_is_settled_when_it_is_asked_for_again(mut rig: Rig) {
    let wallet = rig.wallet("EUR").await;
    let asked = interrupted(&mut rig, &wallet).await;
    let again = rig.settle_inbound(asked).await.unwrap();
    assert_eq!((place(&again.body), again.replayed), (("SETTLED", ""), true));
    assert_eq!(rig.balance(&wallet).await[0], "92.59");
    rig.assert_books().await;
}

async fn row_19_what_rounding_keeps_of_a_deposit_is_an_entry_of_its_own(rig: Rig) {
    let settings =
        LedgerSettings { spread_millionths: 3_333, fee_millionths: 10_000, ..LedgerSettings::default() };
    let rig = Rig::start_with(rig.base, settings, None).await;
    let wallet = rig.wallet("JPY").await;
    let settled = rig.settle_inbound(deposit(&rig, "d", &wallet, "USDC", "10")).await.unwrap().body;
    // 10 / 0.0067 is 1492.5…; less the spread 1487.56…. No fee: what is credited is what the rate says.
    assert_eq!(credited(&settled), "1487");
    let (spread, rounding) =
        (system(&rig, "SPREAD", "JPY", "").await, system(&rig, "ROUNDING", "JPY", "").await);
    assert_eq!((spread, rounding), (4, 1));
    assert_eq!(system(&rig, "LIQUIDITY", "JPY", "").await, -1_492);
    assert_eq!(system(&rig, "FEES", "USDC", "").await, 0);
    rig.assert_books().await;
}

async fn row_22_a_settlement_that_was_changed_is_not_credited(rig: Rig) {
    let wallet = rig.wallet("EUR").await;
    let asked = wire::SettleInboundRequest { keep: true, ..deposit(&rig, "d", &wallet, "USDC", "100") };
    rig.settle_inbound(asked.clone()).await.unwrap();
    rig.tamper("UPDATE settlements SET amount = '90000000000'").await;
    assert_eq!(rig.release_inbound(release("d")).await.unwrap_err().code(), "internal");
    assert_eq!(rig.settle_inbound(asked.clone()).await.unwrap_err().code(), "internal");
    rig.tamper("UPDATE settlements SET reason = ''").await;
    assert_eq!(rig.settle_inbound(asked.clone()).await.unwrap_err().code(), "internal");
    assert_eq!(rig.balance(&wallet).await[0], "0.00");
    // Made to look as if it had not been credited, it is not credited again.
    rig.tamper("UPDATE settlements SET amount = '100000000'").await;
    assert_eq!(rig.settle_inbound(asked.clone()).await.unwrap().body.state, "SETTLED");
    let undo =
        "UPDATE settlements SET state = 'SUSPENDED', credited = NULL, rate = NULL, credit_transfer = NULL,
        settled_ms = NULL";
    rig.tamper(undo).await;
    assert_eq!(rig.settle_inbound(asked).await.unwrap_err().code(), "internal");
    assert_eq!(rig.balance(&wallet).await[0], "92.59");
    rig.assert_books().await;
}

async fn row_22_a_settlement_whose_every_trace_is_gone_is_not_credited_again(rig: Rig) {
    let (eur, usdc) = (rig.wallet("EUR").await, rig.wallet("USDC").await);
    let asked = [deposit(&rig, "d", &eur, "USDC", "100"), deposit(&rig, "e", &usdc, "USDC", "7")];
    for asked in &asked {
        assert_eq!(rig.settle_inbound(asked.clone()).await.unwrap().body.state, "SETTLED");
    }
    // More of both in suspense, so that there would be something to take.
    for (key, wallet) in [("f", &eur), ("g", &usdc)] {
        let kept = wire::SettleInboundRequest { keep: true, ..deposit(&rig, key, wallet, "USDC", "1000") };
        rig.settle_inbound(kept).await.unwrap();
    }
    let undo =
        "UPDATE settlements SET state = 'SUSPENDED', credited = NULL, rate = NULL, credit_transfer = NULL,
        settled_ms = NULL WHERE state = 'SETTLED'";
    assert_eq!(rig.tamper(undo).await, 2);
    assert_eq!(rig.tamper("DELETE FROM effects WHERE effect_key LIKE 'Credit:%'").await, 2);
    for asked in asked {
        assert_eq!(rig.settle_inbound(asked.clone()).await.unwrap_err().code(), "internal");
        assert_eq!(place(&read(&rig, &asked.effect_key).await), ("SUSPENDED", ""));
    }
    assert_eq!(rig.balance(&eur).await[0], "92.59");
    assert_eq!(rig.balance(&usdc).await[0], "7.000000");
    rig.assert_books().await;
}

async fn a_deposit_whose_wallet_is_gone_is_an_error_and_stays_as_it_is(rig: Rig) {
    let wallet = rig.wallet("EUR").await;
    let asked = wire::SettleInboundRequest { keep: true, ..deposit(&rig, "d", &wallet, "USDC", "100") };
    rig.settle_inbound(asked).await.unwrap();
    rig.tamper("CREATE TABLE gone AS SELECT * FROM balances WHERE owner IS NOT NULL").await;
    rig.tamper("DELETE FROM balances WHERE owner IS NOT NULL").await;
    assert_eq!(rig.release_inbound(release("d")).await.unwrap_err().code(), "internal");
    assert_eq!(place(&read(&rig, "d").await), ("SUSPENDED", ""));
    rig.tamper("INSERT INTO balances SELECT * FROM gone").await;
    assert_eq!(credited(&rig.release_inbound(release("d")).await.unwrap().body), "92.59");
}

async fn wrong_data_is_refused_and_books_nothing(rig: Rig) {
    let (wallet, stranger) = (rig.wallet("EUR").await, rig.stranger());
    let theirs = rig.wallet_of(&stranger, "EUR").await;
    let right = deposit(&rig, "d", &wallet, "USDC", "100");
    let with = |change: &dyn Fn(&mut wire::SettleInboundRequest)| {
        let mut asked = right.clone();
        change(&mut asked);
        asked
    };
    let cases: [(&str, &str, wire::SettleInboundRequest); 15] = [
        ("validation-failed", "effectKey", with(&|a| a.effect_key = String::new())),
        ("validation-failed", "accountId", with(&|a| a.account_id = "me".into())),
        ("not-found", "", with(&|a| a.wallet_id = "mine".into())),
        ("not-found", "", with(&|a| a.wallet_id = theirs.clone())),
        ("not-found", "", with(&|a| a.wallet_id = a.account_id.clone())),
        ("currency-unknown", "currency", with(&|a| a.currency = "XXX".into())),
        ("validation-failed", "network", with(&|a| a.network = "bitcoin".into())),
        ("validation-failed", "network", with(&|a| a.network = String::new())),
        ("validation-failed", "amount", with(&|a| a.amount = "0".into())),
        ("validation-failed", "amount", with(&|a| a.amount = "1e3".into())),
        ("validation-failed", "amount", with(&|a| a.amount = "0.0000001".into())),
        ("validation-failed", "kind", with(&|a| a.kind = "FEE".into())),
        ("validation-failed", "reference", with(&|a| a.reference = "x".repeat(201))),
        ("validation-failed", "cause", with(&|a| a.cause = None)),
        ("validation-failed", "rateLockId", with(&|a| a.rate_lock_id = "lock".into())),
    ];
    for (code, field, asked) in cases {
        let refusal = rig.settle_inbound(asked).await.unwrap_err();
        assert_eq!(refusal.code(), code, "{field}");
        assert_eq!(refusal.fields().first().copied().unwrap_or_default(), field);
    }
    assert_eq!((rig.count("settlements").await, rig.count("transfers").await), (0, 0));
    // The money is a fact: with right data the same key works.
    assert_eq!(rig.settle_inbound(right).await.unwrap().body.state, "SETTLED");
}
