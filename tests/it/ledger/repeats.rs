//! Writes of money are safe to repeat: the same key gives the first answer, at every gateway; without a key two signed
//! requests are two; and what was answered is there.

use super::books::{Balance, CREDITS, Purse, QUOTES, WALLETS, accept, conversion, credit, id, replayed};
use beem_tests::forge::unique;
use beem_tests::{Rig, ask, on_both_shapes};
use serde_json::{Value, json};

async fn a_key_has_one_effect(rig: &Rig) {
    let purse = Purse::new(rig);
    let (usd, usdc) = (purse.filled("USD", "100.00").await, purse.wallet("USDC").await);
    let one = id(&purse.quote(&usd, &usdc, "10.80").await);
    let other = id(&purse.quote(&usd, &usdc, "10.80").await);
    let wallet = |name: &str| json!({ "currency": "GBP", "name": name });
    for (method, target, body, status, other_target, other_body) in [
        ("POST", WALLETS.to_owned(), wallet("one"), 201, WALLETS.to_owned(), wallet("two")),
        ("POST", CREDITS.to_owned(), credit(&usd, "1.00"), 201, CREDITS.to_owned(), credit(&usd, "1.01")),
        (
            "POST",
            QUOTES.to_owned(),
            conversion(&usd, &usdc, "1.08"),
            201,
            QUOTES.to_owned(),
            conversion(&usd, &usdc, "1.09"),
        ),
        ("PUT", accept(&one), Value::Null, 200, accept(&other), Value::Null),
    ] {
        let key = unique();
        let first = purse.0.keyed(method, &target, &body, &key).await;
        let made = first.expect(status);
        assert!(!replayed(&first), "{target}");
        for client in rig.everywhere(&purse.0.creds) {
            let again = client.keyed(method, &target, &body, &key).await;
            assert!(replayed(&again), "{target}: {:?}", again.headers);
            assert_eq!(again.expect(status), made, "{target}");
            client
                .keyed(method, &other_target, &other_body, &key)
                .await
                .refused(422, "idempotency-key-reused");
        }
    }
    assert_eq!(purse.balance(&usd).await, Balance::free("90.20"), "one credit and one conversion");
    assert_eq!(purse.balance(&usdc).await, Balance::free("10.800000"));
    assert_eq!(purse.listed(&format!("{WALLETS}?max=500")).await.len(), 3);
    assert_eq!(purse.listed(&format!("{QUOTES}?max=500")).await.len(), 3);
    // Another account's key is another key; 1.00 written otherwise is another request.
    let (key, stranger) = (unique(), Purse::new(rig));
    purse.0.keyed("POST", WALLETS, &wallet("x"), &key).await.expect(201);
    stranger.0.keyed("POST", WALLETS, &wallet("y"), &key).await.expect(201);
}

async fn without_a_key_two_signed_requests_are_two(rig: &Rig) {
    let purse = Purse::new(rig);
    let usd = purse.wallet("USD").await;
    for _ in 0..2 {
        purse.credit(&usd, "1.00").await;
    }
    assert_eq!(purse.balance(&usd).await, Balance::free("2.00"));
    // A captured one is one: refused as a repeat, or answered with what it did.
    let forge = purse.0.forge("POST", CREDITS).json(&credit(&usd, "1.00"));
    let captured = forge.with(|f| f.nonce = None).sign();
    captured.send().await.expect(201);
    for _ in 0..3 {
        let again = captured.send().await;
        assert!(again.code() == "signature-replayed" || replayed(&again), "{}", again.text());
    }
    assert_eq!(purse.balance(&usd).await, Balance::free("3.00"));
}

/// Row 20: the answer comes after the commit, and whoever has it finds what it says, wherever they ask.
pub async fn the_answer_is_the_commit(rig: &Rig) {
    let purse = Purse::new(rig);
    let everywhere: Vec<Purse> = rig.everywhere(&purse.0.creds).map(Purse).collect();
    let (mut usd_total, usdc) = (0, purse.wallet("USDC").await);
    let usd = purse.wallet("USD").await;
    for n in 0..8 {
        let (writer, reader) = (&everywhere[n % everywhere.len()], &everywhere[(n + 1) % everywhere.len()]);
        let made = writer.0.post(WALLETS, &json!({ "currency": "USD", "name": "x" })).await.expect(201);
        assert_eq!(reader.0.get(&format!("{WALLETS}/{}", id(&made))).await.expect(200), made);
        let newest = reader.0.get(&format!("{WALLETS}?max=1")).await.expect(200);
        assert_eq!(newest["content"][0], made);
        let credited = writer.credit(&usd, "5.00").await;
        usd_total += 500;
        assert_eq!(credited["balanceAfter"], reader.balance(&usd).await.total.as_str());
        let newest = reader.0.get(&format!("{WALLETS}/{usd}/transactions?max=1")).await.expect(200);
        assert_eq!(newest["content"][0], credited);
        let quote = writer.quote(&usd, &usdc, "1.08").await;
        assert_eq!(reader.0.get(&format!("{QUOTES}/{}", id(&quote))).await.expect(200), quote);
        let done = ask(&writer.0, "PUT", &accept(&id(&quote)), &Value::Null).await.expect(200);
        usd_total -= 108;
        assert_eq!(reader.0.get(&format!("{QUOTES}/{}", id(&quote))).await.expect(200), done);
        assert_eq!(super::books::minor(&reader.balance(&usd).await.total), usd_total);
        let rows = reader.export(&usd).await;
        assert_eq!(rows.last().unwrap()[3], "-1.08");
    }
}

on_both_shapes!(a_key_has_one_effect, without_a_key_two_signed_requests_are_two);
