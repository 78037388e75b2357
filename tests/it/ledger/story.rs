//! The main path: credit, quote, execute, look at it from every side.

use super::books::{
    BALANCES, Balance, CREDITS, CURRENCIES, Purse, QUOTES, WALLETS, accept, clean, conversion, credit, id,
    minor,
};
use beem_tests::{Rig, ask, on_both_shapes};
use serde_json::{Value, json};

/// Members of an object, in their order.
fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn credit_quote_execute_export(rig: &Rig) {
    let purse = Purse::new(rig);
    let made = purse.0.post(WALLETS, &json!({ "currency": "USD", "name": "Dollars" })).await.expect(201);
    let mut shape = members(&made);
    shape.sort_unstable();
    assert_eq!(shape, ["accountId", "balance", "currency", "dateCreated", "id", "name"]);
    assert_eq!((&made["name"], &made["currency"]), (&json!("Dollars"), &json!("USD")));
    assert_eq!(made["accountId"], purse.0.creds.account_id.as_str());
    assert_eq!(Balance::of(&made["balance"]), Balance::free("0.00"));
    let (usd, eth) = (id(&made), purse.wallet("ETH").await);

    let credited = purse.0.post(CREDITS, &credit(&usd, "10000.25")).await.expect(201);
    let seen = (&credited["kind"], &credited["amount"], &credited["balanceAfter"], &credited["currency"]);
    assert_eq!(seen, (&json!("ADJUSTMENT"), &json!("10000.25"), &json!("10000.25"), &json!("USD")));
    assert_eq!(
        (&credited["walletId"], &credited["reference"], &credited["cause"]["type"]),
        (&json!(usd), &json!("a test"), &json!("credit"))
    );
    assert_eq!(purse.balance(&usd).await, Balance::free("10000.25"));

    let quote = purse.0.post(QUOTES, &conversion(&usd, &eth, "3450.25")).await.expect(201);
    let money = |currency: &str, amount: &str| json!({ "currency": currency, "amount": amount });
    assert_eq!((&quote["status"], &quote["reference"]), (&json!("PENDING"), &json!("a test")));
    assert_eq!((&quote["fromWalletId"], &quote["toWalletId"]), (&json!(usd), &json!(eth)));
    assert_eq!((&quote["amountIn"], &quote["fee"]), (&money("USD", "3450.25"), &money("USD", "0.00")));
    // One ETH is 3450.25 USD in a new sandbox; what is less than a minor unit stays with the house.
    let out = quote["amountOut"]["amount"].as_str().unwrap();
    assert_eq!(quote["amountOut"]["currency"], "ETH");
    let short = 1_000_000_000_000_000_000 - minor(out);
    assert!((0..1_000_000).contains(&short), "{quote}");
    // A quote reserves nothing.
    assert_eq!(purse.balance(&usd).await, Balance::free("10000.25"));

    let done = purse.execute(&id(&quote)).await.expect(200);
    assert_eq!(done["status"], "EXECUTED");
    for name in ["id", "amountIn", "amountOut", "rate", "fee", "expiresAt", "fromWalletId", "toWalletId"] {
        assert_eq!(done[name], quote[name], "{name}: what was quoted is what was done");
    }
    assert_eq!(purse.balance(&usd).await, Balance::free("6550.00"));
    assert_eq!(purse.balance(&eth).await, Balance::free(out));
    assert_eq!(purse.0.get(&format!("{QUOTES}/{}", id(&quote))).await.expect(200), done);

    let balances = purse.0.get(BALANCES).await.expect(200);
    let of = |n: usize| (balances["balances"][n]["walletId"].as_str(), Balance::of(&balances["balances"][n]));
    assert_eq!(of(0), (Some(usd.as_str()), Balance::free("6550.00")));
    assert_eq!(of(1), (Some(eth.as_str()), Balance::free(out)));
    assert_eq!(balances["balances"].as_array().unwrap().len(), 2);
    assert!(balances["at"].is_string());
    looked_at_from_every_side(&purse, &usd, &eth, &done).await;
    clean(rig, &[]);
}

/// The lists, the exports and the balances say the same.
async fn looked_at_from_every_side(purse: &Purse, usd: &str, eth: &str, quote: &Value) {
    let (mut all, out) = (purse.transactions(usd).await, quote["amountOut"]["amount"].as_str().unwrap());
    let given = all.pop().unwrap();
    assert_eq!(all.len(), 1);
    let seen = (&given["kind"], &given["amount"], &given["balanceAfter"]);
    assert_eq!(seen, (&json!("CONVERSION_OUT"), &json!("-3450.25"), &json!("6550.00")));
    assert_eq!(given["counterpart"], json!({ "currency": "ETH", "amount": out, "rate": quote["rate"] }));
    assert_eq!(given["cause"], json!({ "type": "quote", "id": quote["id"] }));
    let got = purse.transactions(eth).await;
    let seen = (&got[0]["kind"], &got[0]["amount"], &got[0]["balanceAfter"], got.len());
    assert_eq!(seen, (&json!("CONVERSION_IN"), &json!(out), &json!(out), 1));
    assert_eq!(got[0]["counterpart"]["amount"], "3450.25");
    assert_ne!(got[0]["id"], given["id"]);
    for wallet in [usd, eth] {
        let rows = purse.export(wallet).await;
        let header = "id,time,kind,amount,balanceAfter,currency,counterpartCurrency,counterpartAmount,rate,\
            reference,causeType,causeId";
        assert_eq!(rows[0].join(","), header);
        let listed = purse.transactions(wallet).await;
        assert_eq!(rows.len(), listed.len() + 1);
        for (row, listed) in rows[1..].iter().zip(&listed) {
            for (cell, name) in row.iter().zip(["id", "time", "kind", "amount", "balanceAfter", "currency"]) {
                assert_eq!(listed[name], cell.as_str(), "{name}");
            }
        }
        let sum: i128 = rows[1..].iter().map(|row| minor(&row[3])).sum();
        assert_eq!(sum, minor(&purse.balance(wallet).await.total), "an export sums up to the balance");
    }
}

async fn currencies_are_listed(rig: &Rig) {
    let nobody = rig.as_client(&rig.new_client(&[]).await);
    let list = nobody.get(CURRENCIES).await.expect(200);
    let all = list["content"].as_array().unwrap();
    let codes: Vec<&str> = all.iter().map(|c| c["code"].as_str().unwrap()).collect();
    assert!(codes.is_sorted(), "{codes:?}");
    for (code, decimals, kind) in [
        ("USD", 2, "FIAT"),
        ("EUR", 2, "FIAT"),
        ("GBP", 2, "FIAT"),
        ("AUD", 2, "FIAT"),
        ("USDC", 6, "CRYPTO"),
        ("USDT", 6, "CRYPTO"),
        ("EURC", 6, "CRYPTO"),
        ("DAI", 18, "CRYPTO"),
        ("BTC", 8, "CRYPTO"),
        ("ETH", 18, "CRYPTO"),
        ("XRP", 6, "CRYPTO"),
        ("SOL", 9, "CRYPTO"),
        ("TRX", 6, "CRYPTO"),
        ("POL", 18, "CRYPTO"),
        ("BNB", 18, "CRYPTO"),
    ] {
        let currency = all.iter().find(|c| c["code"] == code).unwrap_or_else(|| panic!("no {code}"));
        assert_eq!((&currency["decimals"], &currency["type"]), (&json!(decimals), &json!(kind)), "{code}");
        let networks = currency["networks"].as_array().unwrap();
        assert_eq!(networks.is_empty(), kind == "FIAT", "{code}");
        assert!(networks.iter().all(|n| n["confirmations"].as_u64().unwrap() > 0), "{code}");
        let sandbox = networks.iter().any(|n| n["network"] == "sandbox");
        assert_eq!(sandbox, kind == "CRYPTO", "{code}: this is a sandbox");
    }
}

/// A spread and a fee are shown and taken, to the last minor unit.
#[tokio::test]
async fn spread_and_fee_lie_inside() {
    let rig = Rig::start_embedded(&[
        ("BEEM__LEDGER__SPREAD_MILLIONTHS", "10000"),
        ("BEEM__LEDGER__FEE_MILLIONTHS", "5000"),
    ]);
    let purse = Purse::new(&rig);
    let (usd, eur) = (purse.filled("USD", "1000.00").await, purse.wallet("EUR").await);
    let quote = purse.quote(&usd, &eur, "108.00").await;
    // 108.00 less 0.54 are 107.46; at 1.08 99.50, of which one hundredth is spread.
    assert_eq!((&quote["fee"]["amount"], &quote["spread"]["currency"]), (&json!("0.54"), &json!("EUR")));
    let (out, spread) = (
        minor(quote["amountOut"]["amount"].as_str().unwrap()),
        minor(quote["spread"]["amount"].as_str().unwrap()),
    );
    assert!(
        (9_848..=9_851).contains(&out) && (97..=100).contains(&spread) && out + spread <= 9_950,
        "{quote}"
    );
    ask(&purse.0, "PUT", &accept(&id(&quote)), &Value::Null).await.expect(200);
    assert_eq!(purse.balance(&usd).await, Balance::free("892.00"), "amountIn is all that is debited");
    assert_eq!(minor(&purse.balance(&eur).await.total), out, "amountOut is all that is credited");
    clean(&rig, &[]);
}

on_both_shapes!(credit_quote_execute_export, currencies_are_listed);
