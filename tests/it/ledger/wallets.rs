//! Wallets and what moved in them: whose they are, how they are listed, what they held at a time.

use super::books::{BALANCES, Balance, CREDITS, Purse, WALLETS, credit, csv, id};
use beem_tests::{Rig, on_both_shapes};
use serde_json::{Value, json};

async fn what_is_no_wallet_is_refused(rig: &Rig) {
    let purse = Purse::new(rig);
    let create = async |body: Value| purse.0.post(WALLETS, &body).await;
    for currency in ["XXX", "usd", "", "US", "USDD", " USD"] {
        let problem = create(json!({ "currency": currency, "name": "x" })).await;
        let problem = problem.refused(400, "currency-unknown");
        assert_eq!(problem["errors"][0]["field"], "currency", "{currency}");
    }
    let long = "x".repeat(101);
    for name in ["", " ", " x", "x ", "a\u{7}b", "a\nb", &long] {
        let problem =
            create(json!({ "currency": "USD", "name": name })).await.refused(400, "validation-failed");
        assert_eq!(problem["errors"][0]["field"], "name", "{name}");
    }
    for body in [json!({ "currency": "USD", "name": "x", "balance": { "total": "5" } }), json!({ "id": "x" })]
    {
        create(body).await.refused(400, "unknown-field");
    }
    assert!(purse.listed(&format!("{WALLETS}?max=500")).await.is_empty());
    for name in ["x", "Käse & Söhne 🧀", &"ü".repeat(100)] {
        assert_eq!(create(json!({ "currency": "USD", "name": name })).await.expect(201)["name"], *name);
    }
}

/// As if it were not there, in every place a wallet can be named.
async fn another_accounts_wallet_is_404(rig: &Rig) {
    let (purse, stranger) = (Purse::new(rig), Purse::new(rig));
    let wallet = purse.filled("USD", "10.00").await;
    let nobodys = uuid::Uuid::now_v7().to_string();
    for named in
        [wallet.as_str(), &nobodys, "balance", "0", "../x", "%00", "00000000-0000-0000-0000-000000000000"]
    {
        for what in ["", "/transactions", "/transactions/export"] {
            let answer = stranger.0.get(&format!("{WALLETS}/{named}{what}")).await;
            assert!(matches!(answer.status, 400 | 404), "{named}{what}: {}", answer.text());
            if named.len() == 36 {
                answer.refused(404, "not-found");
            }
        }
    }
    stranger.0.post(CREDITS, &credit(&wallet, "1.00")).await.refused(404, "not-found");
    stranger.0.post(CREDITS, &credit("x", "1.00")).await.refused(404, "not-found");
    assert!(stranger.0.get(BALANCES).await.expect(200)["balances"].as_array().unwrap().is_empty());
    assert_eq!(purse.balance(&wallet).await, Balance::free("10.00"));
}

async fn wallets_are_listed(rig: &Rig) {
    let purse = Purse::new(rig);
    let mut made = Vec::new();
    for currency in ["USD", "EUR", "BTC", "USD", "ETH"] {
        made.push(purse.wallet(currency).await);
    }
    let ids = |all: Vec<Value>| all.iter().map(id).collect::<Vec<_>>();
    assert_eq!(ids(purse.listed(&format!("{WALLETS}?order=asc&max=2")).await), made);
    let mut first = purse.0.get(&format!("{WALLETS}?max=2")).await.expect(200);
    let newest: Vec<String> = made.iter().rev().cloned().collect();
    // What is newer comes before the first page.
    purse.wallet("USD").await;
    let mut all = ids(first["content"].as_array().unwrap().clone());
    while first["nextPageToken"] != "" {
        let token = first["nextPageToken"].as_str().unwrap();
        first = purse.0.get(&format!("{WALLETS}?max=2&pageToken={token}")).await.expect(200);
        all.extend(ids(first["content"].as_array().unwrap().clone()));
    }
    assert_eq!(all, newest);
    for (query, field) in
        [("max=0", "max"), ("max=501", "max"), ("order=up", "order"), ("pageToken=x", "pageToken")]
    {
        let problem = purse.0.get(&format!("{WALLETS}?{query}")).await.refused(400, "validation-failed");
        assert_eq!(problem["errors"][0]["field"], field, "{query}");
    }
    // Balances: oldest first, and at most so many.
    let page = purse.0.get(&format!("{BALANCES}?max=4")).await.expect(200);
    let token = page["nextPageToken"].as_str().unwrap();
    let rest = purse.0.get(&format!("{BALANCES}?max=4&pageToken={token}")).await.expect(200);
    let both = [&page, &rest].map(|p| p["balances"].as_array().unwrap().clone()).concat();
    let seen: Vec<&str> = both.iter().map(|b| b["walletId"].as_str().unwrap()).collect();
    assert_eq!((&seen[..5], seen.len()), (&made.iter().map(String::as_str).collect::<Vec<_>>()[..], 6));
}

/// Filters, orders and pages of what moved, stable while more moves.
async fn transactions_are_listed(rig: &Rig) {
    let purse = Purse::new(rig);
    let (usd, eur) = (purse.wallet("USD").await, purse.wallet("EUR").await);
    for n in 1..=5 {
        purse.credit(&usd, &format!("{n}.00")).await;
    }
    let quote = id(&purse.quote(&usd, &eur, "1.08").await);
    purse.execute(&quote).await.expect(200);
    let at = format!("{WALLETS}/{usd}/transactions");
    let whole = purse.transactions(&usd).await;
    let amounts: Vec<&str> = whole.iter().map(|t| t["amount"].as_str().unwrap()).collect();
    assert_eq!(amounts, ["1.00", "2.00", "3.00", "4.00", "5.00", "-1.08"]);
    let after: Vec<&str> = whole.iter().map(|t| t["balanceAfter"].as_str().unwrap()).collect();
    assert_eq!(after, ["1.00", "3.00", "6.00", "10.00", "15.00", "13.92"]);
    let mut newest = whole.clone();
    newest.reverse();
    assert_eq!(purse.listed(&format!("{at}?max=4")).await, newest);
    assert_eq!(purse.listed(&format!("{at}?max=1&order=asc")).await, whole);
    assert_eq!(
        purse.0.get(&format!("{at}?offset=2&max=2")).await.expect(200)["content"],
        json!(newest[2..4])
    );
    assert_eq!(purse.listed(&format!("{at}?kind=ADJUSTMENT&max=2")).await, newest[1..]);
    assert_eq!(purse.listed(&format!("{at}?kind=CONVERSION_OUT&max=2")).await, newest[..1]);
    assert!(purse.listed(&format!("{at}?kind=DEPOSIT&max=2")).await.is_empty());
    let time = |n: usize| whole[n]["time"].as_str().unwrap();
    let from = purse.listed(&format!("{at}?from={}&order=asc&max=500", time(3))).await;
    assert!(from.ends_with(&whole[3..]) && from.iter().all(|t| t["time"].as_str().unwrap() >= time(3)));
    assert!(purse.listed(&format!("{at}?to={}&max=500", time(0))).await.is_empty());
    let token =
        purse.0.get(&format!("{at}?max=1")).await.expect(200)["nextPageToken"].as_str().unwrap().to_owned();
    // More has moved: the walk goes on where it was.
    purse.credit(&usd, "9.00").await;
    let next = purse.0.get(&format!("{at}?max=1&pageToken={token}")).await.expect(200);
    assert_eq!(next["content"], json!(newest[1..2]));
    let other = purse.0.get(&format!("{at}?max=1&kind=FEE&pageToken={token}")).await;
    other.refused(400, "validation-failed");
    for (query, field) in [("kind=DEPOSITS", "kind"), ("from=yesterday", "from"), ("max=501", "max")] {
        let problem = purse.0.get(&format!("{at}?{query}")).await.refused(400, "validation-failed");
        assert_eq!(problem["errors"][0]["field"], field, "{query}");
    }
}

/// What each wallet held then: before, between and after; a wallet that was not there then is left out.
async fn balances_at_a_time(rig: &Rig) {
    let purse = Purse::new(rig);
    let usd = purse.wallet("USD").await;
    let opened = purse.0.get(&format!("{WALLETS}/{usd}")).await.expect(200)["dateCreated"].clone();
    let mut times = Vec::new();
    for amount in ["1.00", "2.00", "4.00"] {
        // The clock has milliseconds: the next movement is in another one.
        let last = times.last().cloned();
        loop {
            let now = purse.0.get(BALANCES).await.expect(200)["at"].clone();
            if last.as_ref() != Some(&now) && now != opened {
                break;
            }
        }
        times.push(purse.credit(&usd, amount).await["time"].clone());
    }
    let eur = purse.wallet("EUR").await;
    let at = async |time: &str| {
        let answer = purse.0.get(&format!("{BALANCES}?at={time}")).await.expect(200);
        let all = answer["balances"].as_array().unwrap();
        all.iter().map(|b| (b["walletId"].as_str().unwrap().to_owned(), Balance::of(b))).collect::<Vec<_>>()
    };
    assert!(at("2001-01-01T00:00:00Z").await.is_empty(), "there was nothing then");
    for (time, total) in times.iter().zip(["1.00", "3.00", "7.00"]) {
        let time = time.as_str().unwrap();
        assert_eq!(at(time).await[0], (usd.clone(), Balance::free(total)), "at {time}");
    }
    let now = at("2999-01-01T00:00:00Z").await;
    assert_eq!(now, [(usd.clone(), Balance::free("7.00")), (eur, Balance::free("0.00"))]);
    let other_zone = times[0].as_str().unwrap().replace('Z', "%2B00:00");
    assert_eq!(at(&other_zone).await[0].1, Balance::free("1.00"));
    for wrong in ["at=now", "at=2026-13-01T00:00:00Z", "at=1"] {
        let problem = purse.0.get(&format!("{BALANCES}?{wrong}")).await.refused(400, "validation-failed");
        assert_eq!(problem["errors"][0]["field"], "at", "{wrong}");
    }
}

/// What somebody wrote stays what it was for a reader of CSV, and is no formula to a spreadsheet.
async fn an_export_is_safe_csv(rig: &Rig) {
    let purse = Purse::new(rig);
    let usd = purse.wallet("USD").await;
    let references = ["=1+1", "+1", "-1", "@x", "a,b", "say \"hi\"", "", "plain", "Ä;ö"];
    for reference in references {
        let body = json!({ "walletId": usd, "amount": "1.00", "reference": reference });
        purse.0.post(CREDITS, &body).await.expect(201);
    }
    let answer = purse.0.get(&format!("{WALLETS}/{usd}/transactions/export")).await;
    let text = answer.text();
    assert!(text.contains("\r\n") && !text.starts_with('\u{feff}'));
    let rows = csv(&text);
    for (row, reference) in rows[1..].iter().zip(references) {
        let wanted = if reference.starts_with(['=', '+', '-', '@']) {
            format!("'{reference}")
        } else {
            reference.into()
        };
        assert_eq!(row[9], wanted);
    }
    assert_eq!(rows.len(), references.len() + 1);
    let filtered = purse.0.get(&format!("{WALLETS}/{usd}/transactions/export?kind=FEE")).await;
    assert_eq!(csv(&filtered.text()).len(), 1, "the header alone");
    for (query, field) in [("format=xlsx", "format"), ("kind=x", "kind")] {
        let problem = purse.0.get(&format!("{WALLETS}/{usd}/transactions/export?{query}")).await;
        assert_eq!(problem.refused(400, "validation-failed")["errors"][0]["field"], field);
    }
}

on_both_shapes!(
    what_is_no_wallet_is_refused,
    another_accounts_wallet_is_404,
    wallets_are_listed,
    transactions_are_listed,
    balances_at_a_time,
    an_export_is_safe_csv,
);
