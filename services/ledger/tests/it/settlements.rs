//! Deposits: booked whatever else is the case, credited once, at a rate that is current or was promised; what stays in
//! suspense is seen and goes on.

use crate::calls::cause;
use crate::rates::{Source, asking};
use crate::rig::{Base, Ledger, Rig};
use beem_database::Sql as _;
use beem_ledger::LedgerSettings;
use beem_proto::ledger::v1 as wire;
use beem_proto::to_timestamp;
use beem_settings::Environment;
use futures::future::join_all;
use serde_json::json;
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
    a_stale_rate_leaves_it_in_suspense_and_a_fresh_one_settles_it,
    a_kept_deposit_waits_until_it_is_released,
    twenty_releases_at_once_credit_once,
    a_deposit_too_small_for_its_wallet_stays_and_is_seen,
    a_promised_rate_holds_for_what_was_seen_in_time,
    wrong_data_is_refused_and_books_nothing,
    a_live_installation_that_cannot_cover_it_keeps_it_until_it_can,
    what_is_in_suspense_is_listed_the_oldest_first,
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

/// How often a deposit was said to stay in suspense for a reason.
fn alarms(ledger: &Ledger, reason: &str) -> u64 {
    let text = ledger.telemetry.prometheus_text();
    let of = |line: &&str| {
        line.starts_with("beem_ledger_deposits_suspended_total") && line.contains(&format!("reason=\"{reason}\""))
    };
    text.lines().find(of).map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

async fn suspended(ledger: &Ledger) -> Vec<wire::Suspended> {
    let asked = wire::ListSuspendedRequest::default();
    ledger.list_suspended(asked).await.unwrap().body.content
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
    let settings = LedgerSettings { spread_millionths: 3_333, fee_millionths: 10_000, ..LedgerSettings::default() };
    let rig = Rig::start_with(rig.base, settings, None).await;
    let wallet = rig.wallet("JPY").await;
    let settled = rig.settle_inbound(deposit(&rig, "d", &wallet, "USDC", "10")).await.unwrap().body;
    // 10 / 0.0067 is 1492.5…; less the spread 1487.56…. No fee: what is credited is what the rate says.
    assert_eq!(credited(&settled), "1487");
    let (spread, rounding) = (system(&rig, "SPREAD", "JPY", "").await, system(&rig, "ROUNDING", "JPY", "").await);
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
    let undo = "UPDATE settlements SET state = 'SUSPENDED', credited = NULL, rate = NULL, credit_transfer = NULL,
        settled_ms = NULL";
    rig.tamper(undo).await;
    assert_eq!(rig.settle_inbound(asked).await.unwrap_err().code(), "internal");
    assert_eq!(rig.balance(&wallet).await[0], "92.59");
    rig.assert_books().await;
}

/// A rig whose one source of prices has been heard.
async fn listening(base: Base, source: &Source) -> Rig {
    let rig = Rig::start_with(base, asking(&[source], 1, &json!({})), None).await;
    rig.run_task("ledger-rates");
    source.heard().await;
    rig
}

async fn a_stale_rate_leaves_it_in_suspense_and_a_fresh_one_settles_it(rig: Rig) {
    let source = Source::start().await;
    source.prices(&[("USDC", "1"), ("EUR", "1.25")]);
    let rig = listening(rig.base, &source).await;
    source.away();
    source.heard().await;
    rig.clock.advance_ms(120_001);
    let wallet = rig.wallet("EUR").await;
    let asked = deposit(&rig, "d", &wallet, "USDC", "100");
    for replayed in [false, true, true] {
        let answer = rig.settle_inbound(asked.clone()).await.unwrap();
        assert_eq!((place(&answer.body), answer.replayed), (("SUSPENDED", "no-rate"), replayed));
    }
    assert_eq!(alarms(&rig, "no-rate"), 1);
    let seen = suspended(&rig).await;
    assert_eq!((seen.len(), seen[0].reason.as_str(), seen[0].amount.as_str()), (1, "no-rate", "100.000000"));
    assert_eq!(seen[0].since_ms, rig.clock.now().unix_ms());
    assert_eq!(system(&rig, "SUSPENSE", "USDC", "").await, 100_000_000);
    // What needs no rate is not kept up.
    let coin = rig.wallet("USDC").await;
    let same = rig.settle_inbound(deposit(&rig, "e", &coin, "USDC", "7")).await.unwrap().body;
    assert_eq!(place(&same), ("SETTLED", ""));
    source.prices(&[("USDC", "1"), ("EUR", "1.6")]);
    source.heard().await;
    rig.run_task("ledger-suspense");
    let settled = until_settled(&rig, "d").await;
    assert_eq!((credited(&settled), settled.rate.as_str()), ("62.50", "0.625"));
    assert_eq!((rig.balance(&wallet).await[0].as_str(), alarms(&rig, "no-rate")), ("62.50", 1));
    assert!(suspended(&rig).await.is_empty());
    rig.assert_books().await;
}

async fn a_kept_deposit_waits_until_it_is_released(rig: Rig) {
    let wallet = rig.wallet("EUR").await;
    let asked = wire::SettleInboundRequest { keep: true, ..deposit(&rig, "d", &wallet, "USDC", "100") };
    for replayed in [false, true] {
        let answer = rig.settle_inbound(asked.clone()).await.unwrap();
        assert_eq!((place(&answer.body), answer.replayed), (("SUSPENDED", "kept"), replayed));
    }
    assert_eq!((alarms(&rig, "kept"), suspended(&rig).await[0].reason.as_str()), (1, "kept"));
    // The task leaves it alone: another that it does settle proves that it has looked.
    let other = rig.wallet("EUR").await;
    rig.refuse_changes(&other, true).await;
    rig.settle_inbound(deposit(&rig, "e", &other, "USDC", "1")).await.unwrap_err();
    rig.refuse_changes(&other, false).await;
    rig.run_task("ledger-suspense");
    until_settled(&rig, "e").await;
    assert_eq!(place(&read(&rig, "d").await), ("SUSPENDED", "kept"));
    let first = rig.release_inbound(release("d")).await.unwrap().body;
    assert_eq!((place(&first), credited(&first)), (("SETTLED", ""), "92.59"));
    assert_eq!(rig.release_inbound(release("d")).await.unwrap().body, first);
    // Asked for again, to be kept again: it has gone on.
    assert_eq!(rig.settle_inbound(asked).await.unwrap().body, first);
    assert_eq!(rig.balance(&wallet).await[0], "92.59");
    rig.assert_books().await;
}

async fn twenty_releases_at_once_credit_once(rig: Rig) {
    let (wallet, other) = (rig.wallet("EUR").await, rig.another().await);
    let asked = wire::SettleInboundRequest { keep: true, ..deposit(&rig, "d", &wallet, "USDC", "100") };
    let kept = join_all((0..20).map(|_| rig.settle_inbound(asked.clone()))).await;
    assert!(kept.iter().all(|answer| place(&answer.as_ref().unwrap().body) == ("SUSPENDED", "kept")));
    let calls = (0..20).map(|n| {
        let ledger = if n % 2 == 0 { &rig.ledger } else { &other };
        ledger.release_inbound(release("d"))
    });
    let answers = join_all(calls).await;
    let settled = read(&rig, "d").await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().body == settled));
    assert_eq!((place(&settled), rig.balance(&wallet).await[0].as_str()), (("SETTLED", ""), "92.59"));
    rig.assert_books().await;
}

async fn a_deposit_too_small_for_its_wallet_stays_and_is_seen(rig: Rig) {
    let wallet = rig.wallet("EUR").await;
    let asked = deposit(&rig, "d", &wallet, "USDC", "0.000001");
    for _ in 0..2 {
        let answer = rig.settle_inbound(asked.clone()).await.unwrap().body;
        assert_eq!(place(&answer), ("SUSPENDED", "too-small"));
    }
    let released = rig.release_inbound(release("d")).await.unwrap().body;
    assert_eq!(place(&released), ("SUSPENDED", "too-small"));
    assert_eq!((alarms(&rig, "too-small"), suspended(&rig).await[0].reason.as_str()), (1, "too-small"));
    assert_eq!(system(&rig, "SUSPENSE", "USDC", "").await, 1);
    rig.assert_books().await;
}

async fn a_promised_rate_holds_for_what_was_seen_in_time(rig: Rig) {
    let source = Source::start().await;
    source.prices(&[("USDC", "1"), ("EUR", "1.25"), ("GBP", "2")]);
    let rig = listening(rig.base, &source).await;
    let promise = |key: &str, to: &str| wire::LockRateRequest {
        effect_key: key.into(),
        from: "USDC".into(),
        to: to.into(),
        side: "SELL".into(),
        time_to_live_s: 60,
    };
    let lock = rig.lock_rate(promise("l", "EUR")).await.unwrap().body;
    let of_gbp = rig.lock_rate(promise("m", "GBP")).await.unwrap().body.id;
    source.prices(&[("USDC", "1"), ("EUR", "1.6"), ("GBP", "2")]);
    source.heard().await;
    let expires = beem_proto::from_timestamp(lock.expires_at.as_ref().unwrap());
    let wallet = rig.wallet("EUR").await;
    let unknown = rig.account();
    // Long after it has expired, as a deposit that was seen deep down and settled late.
    rig.clock.advance_ms(90_000);
    source.heard().await;
    let cases = [
        ("in time", &lock.id, Some(expires - 1), "80.00"),
        ("late by a millisecond", &lock.id, Some(expires), "62.50"),
        ("seen when it is settled", &lock.id, None, "62.50"),
        ("of another pair", &of_gbp, Some(expires - 1), "62.50"),
        ("of nobody", &unknown, Some(expires - 1), "62.50"),
    ];
    for (key, lock, seen, gets) in cases {
        let asked = wire::SettleInboundRequest {
            effect_key: key.replace(' ', "-"),
            rate_lock_id: lock.clone(),
            seen_at: seen.map(to_timestamp),
            ..deposit(&rig, key, &wallet, "USDC", "100")
        };
        let asked = wire::SettleInboundRequest { cause: Some(cause("deposit", "1")), ..asked };
        assert_eq!(credited(&rig.settle_inbound(asked).await.unwrap().body), gets, "{key}");
    }
    // A promise outlives its lock's row while the deposit is kept.
    let kept = wire::SettleInboundRequest {
        keep: true,
        rate_lock_id: lock.id,
        seen_at: Some(to_timestamp(expires - 1)),
        ..deposit(&rig, "kept", &wallet, "USDC", "100")
    };
    rig.settle_inbound(kept).await.unwrap();
    rig.tamper("DELETE FROM rate_locks").await;
    assert_eq!(credited(&rig.release_inbound(release("kept")).await.unwrap().body), "80.00");
    rig.assert_books().await;
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

async fn a_live_installation_that_cannot_cover_it_keeps_it_until_it_can(rig: Rig) {
    let settings = |eur: &str, usdc: &str| LedgerSettings {
        overdraft: [("EUR", eur), ("USDC", usdc)].map(|(code, n)| (code.to_owned(), n.to_owned())).into(),
        ..LedgerSettings::default()
    };
    let live = Some(Environment::Live);
    let rig = Rig::start_with(rig.base, settings("50", "99"), live).await;
    let wallet = rig.wallet("EUR").await;
    let asked = deposit(&rig, "d", &wallet, "USDC", "100");
    // Clearing is at its end: nothing is booked, and nothing is remembered that would keep it from being booked.
    assert_eq!(rig.settle_inbound(asked.clone()).await.unwrap_err().code(), "unavailable");
    assert_eq!(rig.count("settlements").await, 0);
    let ledger = rig.another_with(settings("50", "1000"), live).await.unwrap();
    let answer = ledger.settle_inbound(asked).await.unwrap();
    assert_eq!((place(&answer.body), answer.replayed), (("SUSPENDED", "no-liquidity"), false));
    assert_eq!(alarms(&ledger, "no-liquidity"), 1);
    let ledger = rig.another_with(settings("100", "1000"), live).await.unwrap();
    ledger.run_task("ledger-suspense");
    assert_eq!(credited(&until_settled(&ledger, "d").await), "92.59");
    ledger.assert_books().await;
    // The sandbox's network is not a live installation's.
    let play = wire::SettleInboundRequest { network: "sandbox".into(), ..deposit(&rig, "s", &wallet, "USDC", "1") };
    assert_eq!(ledger.settle_inbound(play).await.unwrap_err().fields(), ["network"]);
}

async fn what_is_in_suspense_is_listed_the_oldest_first(rig: Rig) {
    let wallet = rig.wallet("EUR").await;
    for key in ["a", "b", "c", "d", "e"] {
        let asked = wire::SettleInboundRequest { keep: true, ..deposit(&rig, key, &wallet, "USDC", "1") };
        rig.settle_inbound(asked).await.unwrap();
        rig.clock.advance_ms(1);
    }
    rig.release_inbound(release("c")).await.unwrap();
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = wire::ListSuspendedRequest { max: 2, page_token };
        let page = rig.list_suspended(asked).await.unwrap().body;
        seen.extend(page.content.into_iter().map(|suspended| suspended.effect_key));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["a", "b", "d", "e"]);
    let asked = wire::ListSuspendedRequest { max: 501, page_token: String::new() };
    assert_eq!(rig.list_suspended(asked).await.unwrap_err().fields(), ["max"]);
}
