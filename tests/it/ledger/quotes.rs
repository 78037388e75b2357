//! Quotes: what is refused, once and for all or for now.

use super::books::{Balance, Purse, QUOTES, accept, conversion, id};
use beem_tests::{Rig, ask, eventually, on_both_shapes};
use futures::future::join_all;
use serde_json::{Value, json};

async fn refusals_of_a_quote(rig: &Rig) {
    let (purse, stranger) = (Purse::new(rig), Purse::new(rig));
    let (usd, usdc) = (purse.filled("USD", "100.00").await, purse.wallet("USDC").await);
    let theirs = stranger.filled("USD", "100.00").await;
    let create = async |body: Value| purse.0.post(QUOTES, &body).await;
    create(conversion(&usd, &usd, "1.00")).await.refused(400, "same-wallet");
    let nobody = uuid::Uuid::now_v7().to_string();
    for [from, to] in [[&usd, &theirs], [&theirs, &usd], [&usd, &nobody], [&nobody, &usd]] {
        create(conversion(from, to, "1.00")).await.refused(404, "not-found");
    }
    let long =
        json!({ "fromWalletId": usd, "toWalletId": usdc, "amountIn": "1", "reference": "x".repeat(201) });
    let problem = create(long).await.refused(400, "validation-failed");
    assert_eq!(problem["errors"][0]["field"], "reference");
    let nested =
        json!({ "fromWalletId": usd, "toWalletId": usdc, "amountIn": "1", "fee": { "amount": "0" } });
    assert_eq!(create(nested).await.refused(400, "unknown-field")["errors"][0]["field"], "fee");
    assert_eq!(purse.balance(&usd).await, Balance::free("100.00"));
}

/// Accepted once, whoever asks again, and by nobody else.
async fn a_quote_is_used_once(rig: &Rig) {
    let (purse, stranger) = (Purse::new(rig), Purse::new(rig));
    let (usd, usdc) = (purse.filled("USD", "100.00").await, purse.wallet("USDC").await);
    let quote = id(&purse.quote(&usd, &usdc, "10.80").await);
    stranger.0.get(&format!("{QUOTES}/{quote}")).await.refused(404, "not-found");
    stranger.execute(&quote).await.refused(404, "not-found");
    stranger.execute("no-quote").await.refused(404, "not-found");
    assert!(stranger.listed(&format!("{QUOTES}?max=500")).await.is_empty());
    // Twenty at once, at every gateway, each a request of its own.
    let gateways: Vec<_> = rig.everywhere(&purse.0.creds).collect();
    let target = accept(&quote);
    let asked = gateways.iter().cycle().take(20).map(|client| ask(client, "PUT", &target, &Value::Null));
    let answers = join_all(asked).await;
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 1, "{answers:?}");
    for answer in answers.iter().filter(|a| a.status != 200) {
        answer.refused(422, "quote-used");
    }
    purse.execute(&quote).await.refused(422, "quote-used");
    assert_eq!(purse.balance(&usd).await, Balance::free("89.20"));
    assert_eq!(purse.balance(&usdc).await, Balance::free("10.800000"));
    assert_eq!(purse.0.get(&format!("{QUOTES}/{quote}")).await.expect(200)["status"], "EXECUTED");
}

/// Refused for funds, it stays what it was, and is carried out when they are there.
async fn insufficient_funds_leave_the_quote(rig: &Rig) {
    let purse = Purse::new(rig);
    let (usd, usdc) = (purse.filled("USD", "10.79").await, purse.wallet("USDC").await);
    let quote = id(&purse.quote(&usd, &usdc, "10.80").await);
    purse.execute(&quote).await.refused(422, "insufficient-funds");
    assert_eq!(purse.0.get(&format!("{QUOTES}/{quote}")).await.expect(200)["status"], "PENDING");
    assert_eq!(purse.balance(&usd).await, Balance::free("10.79"));
    purse.credit(&usd, "0.01").await;
    purse.execute(&quote).await.expect(200);
    assert_eq!(purse.balance(&usd).await, Balance::free("0.00"));
    assert_eq!(purse.balance(&usdc).await, Balance::free("10.800000"));
}

/// Twenty spend one wallet at once; what is there suffices for seven.
async fn many_at_once_never_overdraw(rig: &Rig) {
    let purse = Purse::new(rig);
    let (usd, usdc) = (purse.filled("USD", "80.00").await, purse.wallet("USDC").await);
    let quotes = join_all((0..20).map(|_| async { id(&purse.quote(&usd, &usdc, "10.80").await) })).await;
    let gateways: Vec<_> = rig.everywhere(&purse.0.creds).collect();
    let asked = quotes.iter().zip(gateways.iter().cycle());
    let answers = join_all(
        asked.map(|(quote, client)| async move { ask(client, "PUT", &accept(quote), &Value::Null).await }),
    )
    .await;
    for answer in answers.iter().filter(|a| a.status != 200) {
        answer.refused(422, "insufficient-funds");
    }
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 7);
    assert_eq!(purse.balance(&usd).await, Balance::free("4.40"));
    assert_eq!(purse.balance(&usdc).await, Balance::free("75.600000"));
}

/// Newest first, page by page, the account's own alone.
async fn quotes_are_listed(rig: &Rig) {
    let purse = Purse::new(rig);
    let (usd, usdc) = (purse.filled("USD", "80.00").await, purse.wallet("USDC").await);
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(purse.quote(&usd, &usdc, "1.08").await);
    }
    assert_eq!(purse.listed(&format!("{QUOTES}?order=asc&max=2")).await, made);
    made.reverse();
    assert_eq!(purse.listed(&format!("{QUOTES}?max=2")).await, made);
    let skipped = purse.0.get(&format!("{QUOTES}?offset=3&max=1")).await.expect(200);
    assert_eq!(skipped["content"][0], made[3]);
    purse.0.get(&format!("{QUOTES}?max=501")).await.refused(400, "validation-failed");
}

/// After its time it is refused, and nothing moves. The caller's rig has quotes that hold for two seconds.
pub async fn a_quote_expires(purse: &Purse, usd: &str, usdc: &str) {
    let before = purse.balance(usd).await;
    let quote = id(&purse.quote(usd, usdc, "1.08").await);
    eventually("it expires", || async {
        let now = purse.0.get(&format!("{QUOTES}/{quote}")).await.expect(200);
        (now["status"] == "EXPIRED").then_some(())
    })
    .await;
    purse.execute(&quote).await.refused(422, "quote-expired");
    assert_eq!(purse.balance(usd).await, before);
    let again = id(&purse.quote(usd, usdc, "1.08").await);
    purse.execute(&again).await.expect(200);
}

#[tokio::test]
async fn embedded_a_quote_expires() {
    let rig = Rig::start_embedded(&[("BEEM__LEDGER__QUOTE_TTL_S", "2")]);
    let purse = Purse::new(&rig);
    let (usd, usdc) = (purse.filled("USD", "80.00").await, purse.wallet("USDC").await);
    a_quote_expires(&purse, &usd, &usdc).await;
}

on_both_shapes!(
    refusals_of_a_quote,
    a_quote_is_used_once,
    insufficient_funds_leave_the_quote,
    many_at_once_never_overdraw,
    quotes_are_listed,
);
