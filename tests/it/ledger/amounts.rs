//! Amounts on the wire: decimal text with no more decimals than the currency has, or the digits of a JSON number, and
//! nothing else. What is refused moves nothing.

use super::books::{Balance, CREDITS, Purse, QUOTES};
use beem_tests::{Answer, Rig, on_both_shapes};

/// As JSON has them, and wrong for USD and for every other currency.
const WRONG: &[&str] = &[
    "\"1e3\"",
    "\"1E3\"",
    "\"NaN\"",
    "\"Infinity\"",
    "\"-1\"",
    "\"+1\"",
    "\"\"",
    "\"0\"",
    "\"0.00\"",
    "\" 1\"",
    "\"1 \"",
    "\"1.\"",
    "\".5\"",
    "\"1,5\"",
    "\"1_000\"",
    "\"0x10\"",
    "\"١\"",
    "\"1.2.3\"",
    "\"one\"",
    "1e3",
    "1E3",
    "0.1e1",
    "-1",
    "-0",
    "0",
    "0.0",
    "0e5",
    "true",
    "[]",
    "[\"1\"]",
    "{}",
    "{\"amount\":\"1\"}",
    "null",
    // Beyond 128 bits.
    "\"999999999999999999999999999999999999999999\"",
    "999999999999999999999999999999999999999999",
];

async fn send(purse: &Purse, target: &str, body: String) -> Answer {
    let forge = purse.0.forge("POST", target).json(&serde_json::Value::Null);
    forge.with(|f| f.wire.body = body.into()).sign().send().await
}

async fn credit(purse: &Purse, wallet: &str, amount: &str) -> Answer {
    send(purse, CREDITS, format!("{{\"walletId\":\"{wallet}\",\"amount\":{amount},\"reference\":\"x\"}}"))
        .await
}

async fn quote(purse: &Purse, [from, to]: [&str; 2], amounts: &str) -> Answer {
    send(purse, QUOTES, format!("{{\"fromWalletId\":\"{from}\",\"toWalletId\":\"{to}\"{amounts}}}")).await
}

/// 400, and the field is named by its path.
fn wrong(answer: &Answer, field: &str, what: &str) {
    assert_eq!(answer.status, 400, "{what}: {}", answer.text());
    let problem = answer.refused(400, &answer.code());
    let named = problem["errors"].as_array().unwrap().iter().any(|error| {
        let named = error["field"].as_str().unwrap();
        named == field || named.starts_with(&format!("{field}."))
    });
    assert!(named, "{what}: {problem}");
    assert!(["validation-failed", "unknown-field"].contains(&answer.code().as_str()), "{what}: {problem}");
}

async fn what_is_no_amount_is_400(rig: &Rig) {
    let purse = Purse::new(rig);
    let (usd, eth) = (purse.filled("USD", "5.00").await, purse.wallet("ETH").await);
    for amount in WRONG.iter().copied().chain(["\"1.001\"", "1.001", "\"1.000\""]) {
        wrong(&credit(&purse, &usd, amount).await, "amount", amount);
        wrong(&quote(&purse, [&usd, &eth], &format!(",\"amountIn\":{amount}")).await, "amountIn", amount);
    }
    for amount in WRONG.iter().copied().chain(["\"1.0000000000000000001\"", "0.0000000000000000001"]) {
        wrong(&credit(&purse, &eth, amount).await, "amount", amount);
        wrong(&quote(&purse, [&usd, &eth], &format!(",\"amountOut\":{amount}")).await, "amountOut", amount);
    }
    let missing = send(&purse, CREDITS, format!("{{\"walletId\":\"{usd}\"}}")).await;
    wrong(&missing, "amount", "no amount");
    let twice = format!("{{\"walletId\":\"{usd}\",\"amount\":\"1\",\"amount\":\"2\"}}");
    assert_eq!(send(&purse, CREDITS, twice).await.status, 400, "one amount, not two");
    let problem = credit(&purse, &usd, "\"1\",\"amuont\":\"1\"").await.refused(400, "unknown-field");
    assert_eq!(problem["errors"][0]["field"], "amuont");
    assert_eq!(purse.balance(&usd).await, Balance::free("5.00"));
    assert_eq!(purse.balance(&eth).await, Balance::free("0.000000000000000000"));
    assert_eq!(
        (purse.transactions(&usd).await.len(), purse.listed(&format!("{QUOTES}?max=500")).await.len()),
        (1, 0)
    );
}

/// One of the two, not both and not none.
async fn a_quote_has_one_amount(rig: &Rig) {
    let purse = Purse::new(rig);
    let (usd, eur) = (purse.filled("USD", "5.00").await, purse.wallet("EUR").await);
    for amounts in ["", ",\"amountIn\":\"1\",\"amountOut\":\"1\"", ",\"amountIn\":\"\",\"amountOut\":\"\""] {
        let problem = quote(&purse, [&usd, &eur], amounts).await.refused(400, "validation-failed");
        let field = problem["errors"][0]["field"].as_str().unwrap();
        assert!(["amountIn", "amountOut"].contains(&field), "{amounts}: {problem}");
    }
    let inward = quote(&purse, [&eur, &usd], ",\"amountIn\":\"1.00\"").await.expect(201);
    assert_eq!(inward["amountOut"]["amount"], "1.08");
    let outward = quote(&purse, [&eur, &usd], ",\"amountOut\":\"1.08\"").await.expect(201);
    assert_eq!(outward["amountIn"]["amount"], "1.00");
    // Too little to buy anything with, and more than books hold.
    let problem = quote(&purse, [&usd, &purse.wallet("JPY").await], ",\"amountIn\":\"0.00\"").await;
    wrong(&problem, "amountIn", "nothing");
    let nines = format!(",\"amountIn\":\"{}\"", "9".repeat(36));
    let eth = purse.wallet("ETH").await;
    wrong(&quote(&purse, [&usd, &eth], &nines).await, "amountIn", "too much");
    let btc = purse.wallet("BTC").await;
    let little = quote(&purse, [&purse.wallet("JPY").await, &btc], ",\"amountIn\":\"1\"").await;
    assert!(matches!(little.status, 201 | 400), "{}", little.text());
}

/// Row 18: the digits that were sent are the digits that are kept, whatever a float would make of them.
pub async fn digits_are_kept(rig: &Rig) {
    let purse = Purse::new(rig);
    let usd = purse.wallet("USD").await;
    for (amount, total) in [
        ("0.1", "0.10"),
        ("0.2", "0.30"),
        ("\"0.70\"", "1.00"),
        ("1", "2.00"),
        ("1.10", "3.10"),
        ("\"0000.90\"", "4.00"),
        ("999999999999.99", "1000000000003.99"),
        ("0.01", "1000000000004.00"),
    ] {
        let made = credit(&purse, &usd, amount).await.expect(201);
        assert_eq!(made["balanceAfter"], total, "after {amount}");
        assert_eq!(purse.balance(&usd).await, Balance::free(total));
    }
    // More than a sandbox gives at once.
    for amount in ["9007199254740993", "\"123456789012345678901234567890\""] {
        credit(&purse, &usd, amount).await.refused(400, "validation-failed");
    }
    let eth = purse.wallet("ETH").await;
    for (amount, total) in [
        ("\"0.000000000000000001\"", "0.000000000000000001"),
        ("123456789012.123456789012345678", "123456789012.123456789012345679"),
        ("\"1.000000000000000000\"", "123456789013.123456789012345679"),
    ] {
        assert_eq!(credit(&purse, &eth, amount).await.expect(201)["balanceAfter"], total, "after {amount}");
    }
    let rows = purse.export(&eth).await;
    let amounts: Vec<&str> = rows[1..].iter().map(|row| row[3].as_str()).collect();
    let wanted = ["0.000000000000000001", "123456789012.123456789012345678", "1.000000000000000000"];
    assert_eq!(amounts, wanted);
    assert_eq!(purse.balance(&eth).await.total, "123456789013.123456789012345679");
}

/// A sum that does not fit is refused, and leaves what was there.
async fn a_sum_that_does_not_fit_is_refused(rig: &Rig) {
    let purse = Purse::new(rig);
    // The largest whole number of 128 bits, less a little, in minor units of a currency without decimals.
    let jpy = purse.wallet("JPY").await;
    let most = "170141183460469231731687303715884105700";
    let first = credit(&purse, &jpy, &format!("\"{most}\"")).await;
    if first.status == 201 {
        let second = credit(&purse, &jpy, "\"1000\"").await;
        assert!(matches!(second.status, 400 | 422), "{}", second.text());
        assert_eq!(purse.balance(&jpy).await, Balance::free(most));
    } else {
        // The account it comes from is other tests', too.
        assert!(matches!(first.status, 400 | 422), "{}", first.text());
        assert_eq!(purse.balance(&jpy).await, Balance::free("0"));
    }
}

on_both_shapes!(what_is_no_amount_is_400, a_quote_has_one_amount, digits_are_kept);

/// In installations of their own: nobody else of the currency has a place left.
#[tokio::test]
async fn sums_have_an_end() {
    let rig = Rig::start_embedded(&[]);
    a_sum_that_does_not_fit_is_refused(&rig).await;
    let purse = Purse::new(&rig);
    let usd = purse.filled("USD", "1.00").await;
    assert_eq!(purse.balance(&usd).await, Balance::free("1.00"));
    super::books::clean(&rig, &[]);
}
