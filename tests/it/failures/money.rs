//! Rows that are about money, on the installations that all share: however often, at once, or badly something is asked, it
//! happens once, and the sums stay right.

use crate::ledger::books::{
    Balance, CREDITS, Inside, Purse, QUOTES, accept, batch, between, clean, conversion, credit, id, minor,
    post_hold, replayed, reserve, void_hold,
};
use crate::ledger::{digits_are_kept, the_answer_is_the_commit};
use beem_proto::ledger::v1::PostBatchesRequest;
use beem_tests::cluster_keys::ClusterKeys;
use beem_tests::forge::unique;
use beem_tests::rig::Gateway;
use beem_tests::{Client, Rig, on_both_shapes};
use futures::future::join_all;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A proxy in front of a gateway that hands on what is asked, one caller after the other, and swallows what is answered; it
/// ends with the set.
async fn swallowing(gateway: SocketAddr) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut proxy = JoinSet::new();
    proxy.spawn(async move {
        while let Ok((caller, _)) = listener.accept().await {
            let (mut asked, _answered) = caller.into_split();
            let (mut answer, mut ask) = TcpStream::connect(gateway).await.unwrap().into_split();
            let mut swallowed = Vec::new();
            // The caller closes nothing before it has an answer: the gateway ends it.
            tokio::select! {
                _ = tokio::io::copy(&mut asked, &mut ask) => {}
                _ = answer.read_to_end(&mut swallowed) => {}
            }
            assert!(!swallowed.is_empty(), "the gateway had answered");
        }
    });
    (address, proxy)
}

/// The answer is lost on the way; the client asks again under its key, at another gateway, and has the first outcome.
async fn row_1_a_lost_answer_and_a_retry_move_money_once(rig: &Rig) {
    let purse = Purse::new(rig);
    let (usd, usdc) = (purse.filled("USD", "100.00").await, purse.wallet("USDC").await);
    let quote = id(&purse.quote(&usd, &usdc, "10.80").await);
    let (address, proxy) = swallowing(rig.gateways[0].address).await;
    let lossy = purse.0.at(&Gateway { address, ..rig.gateways[0].clone() });
    for (method, target, body, status) in [
        ("POST", CREDITS.to_owned(), credit(&usd, "1.00"), 201),
        ("POST", QUOTES.to_owned(), conversion(&usd, &usdc, "1.08"), 201),
        ("PUT", accept(&quote), Value::Null, 200),
    ] {
        let key = unique();
        let forge = lossy.forge(method, &target).keyed(&key);
        let forge = if body.is_null() { forge } else { forge.json(&body) };
        assert!(forge.sign().try_send().await.is_err(), "the answer was lost");
        let mut first: Option<Value> = None;
        for client in rig.everywhere(&purse.0.creds) {
            let again = client.keyed(method, &target, &body, &key).await;
            assert!(replayed(&again), "{target}: it was done already");
            let answer = again.expect(status);
            assert_eq!(first.get_or_insert_with(|| answer.clone()), &answer);
        }
    }
    assert_eq!(purse.balance(&usd).await, Balance::free("90.20"));
    assert_eq!(purse.balance(&usdc).await, Balance::free("10.800000"));
    assert_eq!(purse.transactions(&usd).await.len(), 3);
    drop(proxy);
}

async fn row_4_twenty_first_uses_of_one_key_move_money_once(rig: &Rig) {
    let purse = Purse::new(rig);
    let (usd, usdc) = (purse.filled("USD", "100.00").await, purse.wallet("USDC").await);
    let quote = id(&purse.quote(&usd, &usdc, "10.80").await);
    for (method, target, body, status) in
        [("POST", CREDITS.to_owned(), credit(&usd, "1.00"), 201), ("PUT", accept(&quote), Value::Null, 200)]
    {
        let key = unique();
        let gateways: Vec<Client> = rig.everywhere(&purse.0.creds).collect();
        let asked = gateways.iter().cycle().take(20).map(|client| client.keyed(method, &target, &body, &key));
        let answers = join_all(asked).await;
        let done: Vec<_> = answers.iter().filter(|a| a.status == status).collect();
        let first = done[0].json();
        for answer in &answers {
            if answer.status == status {
                assert_eq!(answer.json(), first);
            } else {
                answer.refused(409, "request-in-progress");
            }
        }
        assert!(done.iter().filter(|a| !replayed(a)).count() <= 1, "one was the first");
    }
    assert_eq!(purse.balance(&usd).await, Balance::free("90.20"));
    assert_eq!(purse.balance(&usdc).await, Balance::free("10.800000"));
}

/// Refused for funds, it stays refused under its key when the funds are there: whoever gave up on it is not surprised.
async fn row_6_a_refusal_for_funds_is_remembered(rig: &Rig) {
    let purse = Purse::new(rig);
    let (usd, usdc) = (purse.wallet("USD").await, purse.wallet("USDC").await);
    let quote = id(&purse.quote(&usd, &usdc, "10.80").await);
    let key = unique();
    let execute =
        async |client: &Client, key: &str| client.keyed("PUT", &accept(&quote), &Value::Null, key).await;
    execute(&purse.0, &key).await.refused(422, "insufficient-funds");
    purse.credit(&usd, "100.00").await;
    for client in rig.everywhere(&purse.0.creds) {
        let again = execute(&client, &key).await;
        again.refused(422, "insufficient-funds");
        assert!(replayed(&again), "{:?}", again.headers);
    }
    assert_eq!(purse.balance(&usd).await, Balance::free("100.00"));
    execute(&purse.0, &unique()).await.expect(200);
    execute(&purse.0, &key).await.refused(422, "insufficient-funds");
    assert_eq!(purse.balance(&usd).await, Balance::free("89.20"));
}

async fn row_18_amounts_are_kept_to_the_last_digit(rig: &Rig) {
    digits_are_kept(rig).await;
}

/// Minor units of all ledger accounts of a purpose, in one statement; all of them without one.
async fn sum(rig: &Rig, currency: &str, purpose: Option<&str>) -> i128 {
    let purpose = purpose.map_or(String::new(), |purpose| {
        let ids = format!("SELECT id FROM ledger_accounts WHERE purpose = '{purpose}'");
        format!(" AND ledger_account_id IN ({ids})")
    });
    let all = format!("SELECT CAST(total AS TEXT) FROM balances WHERE currency = '{currency}'{purpose}");
    rig.column("ledger", &all).await.iter().map(|total| total.parse::<i128>().unwrap()).sum()
}

/// Odd amounts there and back: the customer never gains, and nothing comes from nowhere.
async fn row_19_the_remainder_of_a_conversion_is_kept(rig: &Rig) {
    let purse = Purse::new(rig);
    let (usd, btc) = (purse.filled("USD", "10.00").await, purse.wallet("BTC").await);
    let mut dollars = 1_000;
    for amount in ["0.01", "0.03", "1.11", "3.33", "0.07"] {
        let quote = purse.quote(&usd, &btc, amount).await;
        purse.execute(&id(&quote)).await.expect(200);
        let got = quote["amountOut"]["amount"].as_str().unwrap();
        let back = purse.0.post(QUOTES, &conversion(&btc, &usd, got)).await;
        if back.status == 201 {
            purse.execute(&id(&back.json())).await.expect(200);
        } else {
            // Worth less than a cent by now.
            back.refused(400, "validation-failed");
        }
        let now = minor(&purse.balance(&usd).await.total);
        assert!(now <= dollars, "{now} after {dollars}: gained by going there and back with {amount}");
        dollars = now;
    }
    for currency in ["USD", "BTC"] {
        assert_eq!(sum(rig, currency, None).await, 0, "{currency}: what one has another gave");
    }
    clean(rig, &[]);
}

/// What lies between two rates and what rounding leaves have accounts of their own, and are all that is there.
#[tokio::test]
async fn embedded_row_19_spread_and_remainder_have_entries_of_their_own() {
    let rig = Rig::start_embedded(&[("BEEM__LEDGER__SPREAD_MILLIONTHS", "3333")]);
    let purse = Purse::new(&rig);
    let (usd, eur) = (purse.filled("USD", "1000.00").await, purse.wallet("EUR").await);
    let (mut spread, mut out) = (0, 0);
    for n in 0..12 {
        let quote = purse.quote(&usd, &eur, &format!("{}.{:02}", 7 + n, 13 * n % 100)).await;
        purse.execute(&id(&quote)).await.expect(200);
        spread += minor(quote["spread"]["amount"].as_str().unwrap());
        out += minor(quote["amountOut"]["amount"].as_str().unwrap());
    }
    assert_eq!(sum(&rig, "EUR", Some("SPREAD")).await, spread);
    let rounded = sum(&rig, "EUR", Some("ROUNDING")).await;
    assert!((1..=12).contains(&rounded), "{rounded}: at most a cent a conversion");
    assert_eq!(sum(&rig, "EUR", Some("LIQUIDITY")).await, -(out + spread + rounded));
    assert_eq!(sum(&rig, "EUR", None).await, 0);
    clean(&rig, &[]);
}

async fn row_20_what_was_answered_is_there(rig: &Rig) {
    the_answer_is_the_commit(rig).await;
}

on_both_shapes!(
    row_1_a_lost_answer_and_a_retry_move_money_once,
    row_4_twenty_first_uses_of_one_key_move_money_once,
    row_6_a_refusal_for_funds_is_remembered,
    row_18_amounts_are_kept_to_the_last_digit,
    row_19_the_remainder_of_a_conversion_is_kept,
    row_20_what_was_answered_is_there,
);

fn inside() -> (Inside, Purse, String) {
    let rig = Rig::clustered();
    let purse = Purse::new(rig);
    let account = purse.0.creds.account_id.clone();
    (Inside::payments(&ClusterKeys::read(&rig.cluster_folder())), purse, account)
}

/// Effect keys twice, in calls one after the other and at once: the same ids.
#[tokio::test]
async fn clustered_row_2_internal_writes_called_twice_give_the_same_ids() {
    let (payments, purse, account) = inside();
    let (one, two) = (purse.filled("USD", "100.00").await, purse.wallet("USD").await);
    let wanted = batch(
        &account,
        vec![between(&one, &two, "USD", "1.00", "r"), between(&two, &one, "USD", "0.25", "r")],
    );
    let outcomes = join_all((0..8).map(|_| payments.post(wanted.clone()))).await;
    let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert!(outcomes.iter().all(|o| o.transfer_ids == outcomes[0].transfer_ids && o.transfer_ids.len() == 2));
    assert_eq!(outcomes.iter().filter(|o| !o.replayed).count(), 1);
    let hold = reserve(&account, &one, "10.00");
    let holds = join_all((0..8).map(|_| payments.reserve(hold.clone()))).await;
    let holds: Vec<_> = holds.into_iter().map(Result::unwrap).collect();
    assert!(holds.iter().all(|h| h.id == holds[0].id));
    let post = post_hold(&account, &holds[0]);
    for _ in 0..3 {
        let posted = payments.post_hold(post.clone()).await.unwrap();
        assert_eq!((posted.state.as_str(), posted.posted.as_str()), ("POSTED", "10.00"));
    }
    assert_eq!(purse.balance(&one).await, Balance::free("89.25"));
    assert_eq!(purse.balance(&two).await, Balance::free("0.75"));
}

#[tokio::test]
async fn clustered_row_3_another_payload_under_an_effect_key_is_refused() {
    let (payments, purse, account) = inside();
    let (one, two) = (purse.filled("USD", "100.00").await, purse.wallet("USD").await);
    let wanted = batch(&account, vec![between(&one, &two, "USD", "1.00", "r")]);
    payments.post(wanted.clone()).await.unwrap();
    for (amount, reference) in [("1.01", "r"), ("1.00", "s")] {
        let mut other = wanted.clone();
        other.transfers = vec![between(&one, &two, "USD", amount, reference)];
        let refused = payments.post(other).await.unwrap();
        assert_eq!(refused.refused, "idempotency-key-reused", "{refused:?}");
    }
    let hold = reserve(&account, &one, "10.00");
    payments.reserve(hold.clone()).await.unwrap();
    let mut other = hold.clone();
    other.amount = "11.00".into();
    let refused = payments.reserve(other).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused:?}");
    let balance = purse.balance(&one).await;
    assert_eq!((balance.total.as_str(), balance.reserved.as_str()), ("99.00", "10.00"));
}

/// One call may hold the same key twice: it counts once; and with other contents the second is refused.
#[tokio::test]
async fn clustered_row_5_one_key_twice_in_one_call_counts_once() {
    let (payments, purse, account) = inside();
    let (one, two) = (purse.filled("USD", "100.00").await, purse.wallet("USD").await);
    let wanted = batch(&account, vec![between(&one, &two, "USD", "1.00", "r")]);
    let mut other = wanted.clone();
    other.transfers = vec![between(&one, &two, "USD", "2.00", "r")];
    let batches = vec![wanted.clone(), wanted.clone(), other, wanted.clone()];
    let answer = payments.postings.clone().post_batches(PostBatchesRequest { batches }).await.unwrap();
    let outcomes = answer.into_inner().outcomes;
    for n in [0, 1, 3] {
        assert_eq!(
            (outcomes[n].refused.as_str(), &outcomes[n].transfer_ids),
            ("", &outcomes[0].transfer_ids)
        );
    }
    assert_eq!(outcomes[2].refused, "idempotency-key-reused");
    assert_eq!(outcomes.iter().filter(|o| o.refused.is_empty() && !o.replayed).count(), 1, "{outcomes:?}");
    assert_eq!(purse.balance(&two).await, Balance::free("1.00"));
    assert_eq!(purse.transactions(&two).await.len(), 1);
}

/// A refusal under an effect key is for ever, too.
#[tokio::test]
async fn clustered_row_6_a_refused_batch_stays_refused() {
    let (payments, purse, account) = inside();
    let (one, two) = (purse.wallet("USD").await, purse.wallet("USD").await);
    let wanted = batch(&account, vec![between(&one, &two, "USD", "1.00", "r")]);
    assert_eq!(payments.post(wanted.clone()).await.unwrap().refused, "insufficient-funds");
    purse.credit(&one, "5.00").await;
    let again = payments.post(wanted.clone()).await.unwrap();
    assert_eq!((again.refused.as_str(), again.replayed), ("insufficient-funds", true));
    let fresh = batch(&account, wanted.transfers);
    assert_eq!(payments.post(fresh).await.unwrap().refused, "");
    assert_eq!(purse.balance(&one).await, Balance::free("4.00"));
}

/// What is held is not spent again, neither by another hold nor by a transfer nor by a conversion, however many ask at once.
#[tokio::test]
async fn clustered_row_9_holds_count() {
    let (payments, purse, account) = inside();
    let (usd, other, eur) =
        (purse.filled("USD", "100.00").await, purse.wallet("USD").await, purse.wallet("EUR").await);
    let quote = id(&purse.quote(&usd, &eur, "10.80").await);
    let holds = join_all((0..20).map(|_| payments.reserve(reserve(&account, &usd, "9.50")))).await;
    let placed: Vec<_> = holds.iter().filter_map(|h| h.as_ref().ok()).collect();
    assert_eq!(placed.len(), 10);
    assert!(
        holds.iter().filter_map(|h| h.as_ref().err()).all(|e| e.code() == tonic::Code::FailedPrecondition)
    );
    let held = Balance { total: "100.00".into(), available: "5.00".into(), reserved: "95.00".into() };
    assert_eq!(purse.balance(&usd).await, held);
    purse.execute(&quote).await.refused(422, "insufficient-funds");
    let spend = batch(&account, vec![between(&usd, &other, "USD", "5.01", "r")]);
    assert_eq!(payments.post(spend).await.unwrap().refused, "insufficient-funds");
    let spend = batch(&account, vec![between(&usd, &other, "USD", "5.00", "r")]);
    assert_eq!(payments.post(spend).await.unwrap().refused, "");
    payments.void_hold(void_hold(&account, placed[0])).await.unwrap();
    payments.void_hold(void_hold(&account, placed[1])).await.unwrap();
    let quote = id(&purse.quote(&usd, &eur, "10.80").await);
    purse.execute(&quote).await.expect(200);
    let left = Balance { total: "84.20".into(), available: "8.20".into(), reserved: "76.00".into() };
    assert_eq!(purse.balance(&usd).await, left);
    assert_eq!(purse.transactions(&usd).await.len(), 3, "placing and giving back move nothing");
}

/// Posted and voided from all sides at once: one of them wins, and the others hear that it has ended.
#[tokio::test]
async fn clustered_row_10_a_hold_ends_once() {
    let (payments, purse, account) = inside();
    let usd = purse.filled("USD", "100.00").await;
    let mut total = 10_000;
    for _ in 0..5 {
        let hold = payments.reserve(reserve(&account, &usd, "10.00")).await.unwrap();
        let posts = join_all((0..4).map(|_| payments.post_hold(post_hold(&account, &hold))));
        let voids = join_all((0..4).map(|_| payments.void_hold(void_hold(&account, &hold))));
        let (posts, voids) = tokio::join!(posts, voids);
        let (posted, voided) =
            (posts.iter().filter(|p| p.is_ok()).count(), voids.iter().filter(|v| v.is_ok()).count());
        // Voiding what is voided changes nothing, and may be told so.
        assert!((posted == 1 && voided == 0) || (posted == 0 && voided >= 1), "{posts:?} {voids:?}");
        for refused in posts.iter().chain(&voids).filter_map(|r| r.as_ref().err()) {
            assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused:?}");
        }
        total -= if posted == 1 { 1_000 } else { 0 };
        let balance = purse.balance(&usd).await;
        assert_eq!((minor(&balance.total), balance.reserved.as_str()), (total, "0.00"));
    }
    clean(Rig::clustered(), &[]);
}

/// Two wallets, both ways at once, by batches of both orders and by conversions: nobody waits for anybody who waits for them.
#[tokio::test]
async fn clustered_row_23_hot_accounts_do_not_deadlock() {
    let (payments, purse, account) = inside();
    let (usd, eur) = (purse.filled("USD", "1000.00").await, purse.filled("EUR", "1000.00").await);
    let other = purse.filled("USD", "1000.00").await;
    let deadlocks = "SELECT CAST(deadlocks AS TEXT) FROM pg_stat_database WHERE datname = current_database()";
    let rig = Rig::clustered();
    let before = rig.column("ledger", deadlocks).await;
    let batches = (0..60).map(|n| {
        let (to, back) =
            (between(&usd, &other, "USD", "1.00", "r"), between(&other, &usd, "USD", "1.00", "r"));
        let transfers = if n % 2 == 0 { vec![to, back] } else { vec![back, to] };
        payments.post(batch(&account, transfers))
    });
    let conversions = (0..20).map(|n| {
        let (purse, from, to) = if n % 2 == 0 { (&purse, &usd, &eur) } else { (&purse, &eur, &usd) };
        async move {
            let quote = id(&purse.quote(from, to, "1.08").await);
            purse.execute(&quote).await
        }
    });
    let (posted, converted) = tokio::join!(join_all(batches), join_all(conversions));
    for outcome in posted {
        assert_eq!(outcome.unwrap().refused, "");
    }
    for answer in converted {
        answer.expect(200);
    }
    assert_eq!(rig.column("ledger", deadlocks).await, before);
    assert_eq!(purse.balance(&other).await, Balance::free("1000.00"));
}

/// The same with both of them hot on SQLite, by conversions.
#[tokio::test]
async fn embedded_row_23_hot_accounts_do_not_deadlock() {
    let purse = Purse::new(Rig::embedded());
    let (usd, eur) = (purse.filled("USD", "1000.00").await, purse.filled("EUR", "1000.00").await);
    let conversions = (0..30).map(|n| {
        let (purse, from, to) = if n % 2 == 0 { (&purse, &usd, &eur) } else { (&purse, &eur, &usd) };
        async move {
            let quote = id(&purse.quote(from, to, "1.08").await);
            purse.execute(&quote).await
        }
    });
    for answer in join_all(conversions).await {
        answer.expect(200);
    }
    assert_eq!(purse.transactions(&usd).await.len(), 31);
}
