//! Deposits in suspense: seen, alarmed once, and going on at a rate that is current or was promised.

use super::{credited, deposit, place, read, release, system, until_settled};
use crate::calls::cause;
use crate::rates::{Source, asking};
use crate::rig::{Base, Ledger, Rig};
use beem_ledger::LedgerSettings;
use beem_proto::ledger::v1 as wire;
use beem_proto::to_timestamp;
use beem_settings::Environment;
use futures::future::join_all;
use serde_json::json;

crate::on_both!(
    a_stale_rate_leaves_it_in_suspense_and_a_fresh_one_settles_it,
    a_kept_deposit_waits_until_it_is_released,
    twenty_releases_at_once_credit_once,
    a_deposit_too_small_for_its_wallet_stays_and_is_seen,
    a_promised_rate_holds_for_what_was_seen_in_time,
    a_live_installation_that_cannot_cover_it_keeps_it_until_it_can,
    what_is_in_suspense_is_listed_the_oldest_first,
    what_cannot_go_on_holds_up_nothing_else,
);

/// How often a deposit was said to stay in suspense for a reason.
fn alarms(ledger: &Ledger, reason: &str) -> u64 {
    let text = ledger.telemetry.prometheus_text();
    let of = |line: &&str| {
        line.starts_with("beem_ledger_deposits_suspended_total")
            && line.contains(&format!("reason=\"{reason}\""))
    };
    text.lines().find(of).map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

async fn suspended(ledger: &Ledger) -> Vec<wire::Suspended> {
    let asked = wire::ListSuspendedRequest::default();
    ledger.list_suspended(asked).await.unwrap().body.content
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
        ("seen when it was given", &lock.id, Some(expires - 60_000), "80.00"),
        ("seen before it was given", &lock.id, Some(expires - 60_001), "62.50"),
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
    rig.settle_inbound(kept.clone()).await.unwrap();
    // One that was changed is not used, and does not keep a deposit from being booked.
    rig.tamper("UPDATE rate_locks SET mid = '8'").await;
    let changed = wire::SettleInboundRequest { keep: false, effect_key: "changed".into(), ..kept };
    assert_eq!(credited(&rig.settle_inbound(changed).await.unwrap().body), "62.50");
    rig.tamper("DELETE FROM rate_locks").await;
    assert_eq!(credited(&rig.release_inbound(release("kept")).await.unwrap().body), "80.00");
    rig.assert_books().await;
}

async fn a_live_installation_that_cannot_cover_it_keeps_it_until_it_can(rig: Rig) {
    let settings = |eur: &str| LedgerSettings {
        overdraft: [("EUR", eur), ("USDC", "0")].map(|(code, n)| (code.to_owned(), n.to_owned())).into(),
        ..LedgerSettings::default()
    };
    let live = Some(Environment::Live);
    let rig = Rig::start_with(rig.base, settings("50"), live).await;
    let wallet = rig.wallet("EUR").await;
    let asked = deposit(&rig, "d", &wallet, "USDC", "100");
    // Booked whatever the limits are: what a chain has done is a fact.
    let answer = rig.settle_inbound(asked).await.unwrap();
    assert_eq!((place(&answer.body), answer.replayed), (("SUSPENDED", "no-liquidity"), false));
    assert_eq!(alarms(&rig, "no-liquidity"), 1);
    let ledger = rig.another_with(settings("100"), live).await.unwrap();
    ledger.run_task("ledger-suspense");
    assert_eq!(credited(&until_settled(&ledger, "d").await), "92.59");
    ledger.assert_books().await;
    // The sandbox's network is not a live installation's.
    let play =
        wire::SettleInboundRequest { network: "sandbox".into(), ..deposit(&rig, "s", &wallet, "USDC", "1") };
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

async fn what_cannot_go_on_holds_up_nothing_else(rig: Rig) {
    let settings = |eur: &str| LedgerSettings {
        overdraft: [("EUR", eur), ("USDC", "0"), ("GBP", "1000")]
            .map(|(code, n)| (code.to_owned(), n.to_owned()))
            .into(),
        ..LedgerSettings::default()
    };
    let live = Some(Environment::Live);
    let rig = Rig::start_with(rig.base, settings("0"), live).await;
    let (eur, gbp, usdc) = (rig.wallet("EUR").await, rig.wallet("GBP").await, rig.wallet("USDC").await);
    // More than a round of those that find no liquidity, and of those that can never be looked at.
    for n in 0..210 {
        let asked = deposit(&rig, &format!("eur-{n}"), &eur, "USDC", "1");
        let asked = wire::SettleInboundRequest { keep: n % 2 == 0, ..asked };
        rig.settle_inbound(asked).await.unwrap();
    }
    rig.tamper("UPDATE settlements SET reason = '', network = 'polygon' WHERE reason = 'kept'").await;
    rig.clock.advance_ms(1);
    for (key, wallet) in [("gbp", &gbp), ("usdc", &usdc)] {
        let asked = wire::SettleInboundRequest { keep: true, ..deposit(&rig, key, wallet, "USDC", "1") };
        rig.settle_inbound(asked).await.unwrap();
    }
    rig.tamper("UPDATE settlements SET reason = '' WHERE reason = 'kept'").await;
    rig.run_task("ledger-suspense");
    until_settled(&rig, "usdc").await;
    until_settled(&rig, "gbp").await;
    assert_eq!(rig.count("settlements WHERE reason = 'no-liquidity'").await, 105);
    assert!(rig.drain().await);
    // Once there is liquidity, they all go on.
    let ledger = rig.another_with(settings("1000"), live).await.unwrap();
    ledger.run_task("ledger-suspense");
    for n in [1, 107, 209] {
        until_settled(&ledger, &format!("eur-{n}")).await;
    }
    assert!(ledger.drain().await);
    ledger.assert_books().await;
}
