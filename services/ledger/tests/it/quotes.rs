//! Quotes: priced exactly, carried out once, nothing lost on the way.

use crate::calls::{clearing, transfer, wallet_side};
use crate::on_both;
use crate::rig::{Refusal, Reply, Rig};
use beem_caller::Actor;
use beem_database::Sql as _;
use beem_ledger::LedgerSettings;
use beem_proto::ledger::v1 as wire;
use beem_settings::Environment;
use futures::future::join_all;
use std::collections::BTreeSet;

on_both!(
    an_amount_in_or_an_amount_out,
    round_numbers_lose_no_cent,
    row_01_02_each_write_twice_under_its_key,
    row_03_the_same_key_for_another_request,
    row_10_one_quote_accepted_twenty_times_at_once_executes_once,
    twenty_at_once_under_one_key_get_one_answer,
    row_18_every_pair_of_decimals_is_exact,
    thirty_digits_and_eighteen_decimals,
    row_19_spread_fee_and_remainder_are_entries_of_their_own,
    there_and_back_never_gains,
    a_quote_expires_to_the_millisecond,
    row_06_without_funds_a_quote_stays_pending_and_works_later_under_another_key,
    liquidity_ends_at_its_floor_in_a_live_installation,
    the_event_and_the_audit_row_are_there,
    what_is_wrong_is_named,
    another_accounts_wallets_and_quotes_do_not_exist,
    too_small_and_too_large_name_the_amount,
    a_quote_changed_by_hand_moves_nothing,
    a_quote_made_to_look_unused_is_not_carried_out_again,
    lists_are_paged_by_creation,
    only_unused_quotes_are_forgotten,
    two_wallets_of_one_currency,
    execution_cut_off_by_a_restart_is_whole_or_not_there,
);

fn asked(from: &str, to: &str, amount_in: &str, amount_out: &str) -> wire::CreateQuoteRequest {
    wire::CreateQuoteRequest {
        from_wallet_id: from.into(),
        to_wallet_id: to.into(),
        amount_in: amount_in.into(),
        amount_out: amount_out.into(),
        reference: "a conversion".into(),
    }
}

async fn quote(rig: &Rig, from: &str, to: &str, amount_in: &str) -> wire::Quote {
    rig.create_quote(&rig.owner, &rig.key(), asked(from, to, amount_in, "")).await.unwrap().body
}

async fn accept_as(rig: &Rig, actor: &Actor, key: &str, id: &str) -> Reply<wire::Quote> {
    rig.execute_quote(actor, key, wire::ExecuteQuoteRequest { id: id.into() }).await
}

async fn accept(rig: &Rig, id: &str) -> Result<wire::Quote, Refusal> {
    accept_as(rig, &rig.owner, &rig.key(), id).await.map(|answer| answer.body)
}

async fn get(rig: &Rig, id: &str) -> wire::Quote {
    rig.get_quote(&rig.owner, wire::GetQuoteRequest { id: id.into() }).await.unwrap()
}

fn money(money: &Option<wire::Money>) -> (&str, &str) {
    let money = money.as_ref().unwrap();
    (money.currency.as_str(), money.amount.as_str())
}

/// What a system account of a currency has, in minor units.
async fn system(rig: &Rig, purpose: &str, currency: &str) -> i128 {
    let sql = "SELECT CAST(b.total AS TEXT) AS total FROM balances b JOIN ledger_accounts a
        ON a.id = b.ledger_account_id WHERE a.purpose = $1 AND a.currency = $2";
    let row = rig.db.read().row(sql, vec![purpose.into(), currency.into()]).await.unwrap().unwrap();
    row.try_get::<String>("", "total").unwrap().parse().unwrap()
}

fn kept(spread_millionths: u32, fee_millionths: u32) -> LedgerSettings {
    LedgerSettings { spread_millionths, fee_millionths, ..LedgerSettings::default() }
}

async fn an_amount_in_or_an_amount_out(rig: Rig) {
    let (usd, eur) = (rig.funded("USD", "500.00").await, rig.wallet("EUR").await);
    let given = quote(&rig, &usd, &eur, "100").await;
    // 1 / 1.08, as the built-in prices say.
    assert_eq!((money(&given.amount_in), money(&given.amount_out)), (("USD", "100.00"), ("EUR", "92.59")));
    assert_eq!((given.rate.as_str(), given.status.as_str()), ("0.925925925925925925", "PENDING"));
    assert_eq!((money(&given.fee), money(&given.spread)), (("USD", "0.00"), ("EUR", "0.00")));
    let expires = given.expires_at.unwrap().seconds - given.date_created.unwrap().seconds;
    assert_eq!((expires, given.date_executed), (60, None));
    let asked = asked(&usd, &eur, "", "92.59");
    let received = rig.create_quote(&rig.owner, &rig.key(), asked).await.unwrap().body;
    assert_eq!(
        (money(&received.amount_in), money(&received.amount_out)),
        (("USD", "100.00"), ("EUR", "92.59"))
    );
    assert_eq!(rig.balance(&usd).await, ["500.00", "0.00", "500.00"], "nothing is reserved");
    for (n, id) in [(1, &given.id), (2, &received.id)] {
        let done = accept(&rig, id).await.unwrap();
        assert_eq!((done.status.as_str(), get(&rig, id).await), ("EXECUTED", done.clone()));
        assert_eq!(rig.balance(&usd).await[0], format!("{}.00", 500 - 100 * n));
    }
    assert_eq!(rig.balance(&eur).await[0], "185.18");
    rig.assert_books().await;
}

async fn row_01_02_each_write_twice_under_its_key(rig: Rig) {
    let (usd, eur) = (rig.funded("USD", "100.00").await, rig.wallet("EUR").await);
    let first = rig.create_quote(&rig.owner, "c", asked(&usd, &eur, "60", "")).await.unwrap();
    let again = rig.create_quote(&rig.owner, "c", asked(&usd, &eur, "60", "")).await.unwrap();
    assert_eq!((first.replayed, again.replayed, rig.count("quotes").await), (false, true, 1));
    assert_eq!(first.body, again.body);
    let done = accept_as(&rig, &rig.owner, "e", &first.body.id).await.unwrap();
    // As long as the key is known, even once another would be told otherwise.
    rig.clock.advance_ms(3_600_000);
    let again = accept_as(&rig, &rig.owner, "e", &first.body.id).await.unwrap();
    assert_eq!((done.replayed, again.replayed, &done.body), (false, true, &again.body));
    assert_eq!(accept(&rig, &first.body.id).await.unwrap_err().code(), "quote-used");
    assert_eq!(rig.balance(&usd).await[0], "40.00");
    rig.assert_books().await;
}

async fn row_03_the_same_key_for_another_request(rig: Rig) {
    let (usd, eur) = (rig.funded("USD", "100.00").await, rig.wallet("EUR").await);
    let (one, two) = (quote(&rig, &usd, &eur, "10").await, quote(&rig, &usd, &eur, "20").await);
    rig.create_quote(&rig.owner, "c", asked(&usd, &eur, "10", "")).await.unwrap();
    let refusal = rig.create_quote(&rig.owner, "c", asked(&usd, &eur, "11", "")).await.unwrap_err();
    assert_eq!(refusal.code(), "idempotency-key-reused");
    accept_as(&rig, &rig.owner, "e", &one.id).await.unwrap();
    let refusal = accept_as(&rig, &rig.owner, "e", &two.id).await.unwrap_err();
    assert_eq!(refusal.code(), "idempotency-key-reused");
    assert_eq!(
        (get(&rig, &two.id).await.status.as_str(), rig.balance(&usd).await[0].as_str()),
        ("PENDING", "90.00")
    );
}

async fn row_10_one_quote_accepted_twenty_times_at_once_executes_once(rig: Rig) {
    let (usd, eur) = (rig.funded("USD", "1000.00").await, rig.wallet("EUR").await);
    let id = quote(&rig, &usd, &eur, "10").await.id;
    let other = rig.another().await;
    let twenty = (0..20).map(|n| {
        let asked = wire::ExecuteQuoteRequest { id: id.clone() };
        let (process, actor) = (if n % 2 == 0 { &rig.ledger } else { &other }, &rig.owner);
        async move { process.execute_quote(actor, &format!("accept-{n}"), asked).await }
    });
    let outcomes: Vec<_> = join_all(twenty).await;
    let codes: Vec<_> = outcomes.iter().map(|o| o.as_ref().map_or_else(Refusal::code, |_| "done")).collect();
    assert_eq!(codes.iter().filter(|code| **code == "done").count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == "quote-used").count(), 19, "{codes:?}");
    assert_eq!(
        (rig.balance(&usd).await[0].as_str(), rig.balance(&eur).await[0].as_str()),
        ("990.00", "9.25")
    );
    rig.assert_books().await;
}

async fn twenty_at_once_under_one_key_get_one_answer(rig: Rig) {
    let (usd, eur) = (rig.funded("USD", "1000.00").await, rig.wallet("EUR").await);
    let id = quote(&rig, &usd, &eur, "10").await.id;
    let twenty = join_all((0..20).map(|_| accept_as(&rig, &rig.owner, "one", &id))).await;
    let answers: Vec<_> = twenty.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    assert_eq!(rig.balance(&usd).await[0], "990.00");
}

async fn row_18_every_pair_of_decimals_is_exact(rig: Rig) {
    // 0, 2, 6, 8, 9 and 18 decimals.
    let codes = ["JPY", "USD", "USDC", "BTC", "SOL", "ETH"];
    let mut wallets = Vec::new();
    for code in codes {
        wallets.push(rig.funded(code, "100000000").await);
    }
    let process = rig.another_with(kept(1_234, 567), None).await.unwrap();
    for from in &wallets {
        for to in wallets.iter().filter(|to| *to != from) {
            for request in [asked(from, to, "701", ""), asked(from, to, "", "3")] {
                let before = [rig.balance(from).await[0].clone(), rig.balance(to).await[0].clone()];
                let quote = process.create_quote(&rig.owner, &rig.key(), request).await.unwrap().body;
                accept(&rig, &quote.id).await.unwrap();
                let after = [rig.balance(from).await[0].clone(), rig.balance(to).await[0].clone()];
                let minor = |text: &str| text.replace('.', "").parse::<i128>().unwrap();
                assert_eq!(minor(&before[0]) - minor(&after[0]), minor(money(&quote.amount_in).1));
                assert_eq!(minor(&after[1]) - minor(&before[1]), minor(money(&quote.amount_out).1));
            }
        }
    }
    assert_eq!(rig.count("quotes WHERE executed_ms IS NOT NULL").await, 60);
    rig.assert_books().await;
}

async fn round_numbers_lose_no_cent(rig: Rig) {
    let (usd, eur) = (rig.funded("USD", "11.88").await, rig.wallet("EUR").await);
    for (given, received) in [("10.80", "10.00"), ("1.08", "1.00")] {
        let offer = quote(&rig, &usd, &eur, given).await;
        assert_eq!(money(&offer.amount_out).1, received);
        accept(&rig, &offer.id).await.unwrap();
    }
    assert_eq!(rig.balance(&eur).await[0], "11.00");
    let row = rig.db.read().row("SELECT DISTINCT mid FROM quotes", Vec::new()).await.unwrap().unwrap();
    assert_eq!(row.try_get::<String>("", "mid").unwrap(), "25/27", "kept whole");
    rig.assert_books().await;
}

async fn thirty_digits_and_eighteen_decimals(rig: Rig) {
    let amount = "123456789012.345678901234567891";
    let (dai, eth) = (rig.funded("DAI", amount).await, rig.wallet("ETH").await);
    let offer = quote(&rig, &dai, &eth, amount).await;
    assert_eq!(money(&offer.amount_in).1, amount);
    // A DAI is one dollar and an ETH 3450.25, as the built-in prices say; the rate that is shown has 18 digits only.
    let given: i128 = 123_456_789_012_345_678_901_234_567_891;
    let expected = given * 100 / 345_025;
    let received: i128 = money(&offer.amount_out).1.replace('.', "").parse().unwrap();
    assert_eq!(received, expected);
    accept(&rig, &offer.id).await.unwrap();
    assert_eq!(rig.balance(&dai).await[0], "0.000000000000000000");
    assert_eq!(rig.balance(&eth).await[0], money(&offer.amount_out).1);
    rig.assert_books().await;
}

async fn row_19_spread_fee_and_remainder_are_entries_of_their_own(rig: Rig) {
    let rig = Rig::start_with(rig.base, kept(10_000, 2_500), None).await;
    let (usd, eur) = (rig.funded("USD", "1000.00").await, rig.wallet("EUR").await);
    let offer = quote(&rig, &usd, &eur, "333.33").await;
    // fee = ceil(333.33 / 400) = 0.84; 332.49 at 1/1.08 are 307.86 whole cents, at 0.99/1.08 they are 304.78.
    assert_eq!((money(&offer.fee), offer.rate.as_str()), (("USD", "0.84"), "0.916666666666666666"));
    assert_eq!((money(&offer.amount_out), money(&offer.spread)), (("EUR", "304.78"), ("EUR", "3.07")));
    accept(&rig, &offer.id).await.unwrap();
    assert_eq!((system(&rig, "FEES", "USD").await, system(&rig, "SPREAD", "EUR").await), (84, 307));
    assert_eq!((system(&rig, "ROUNDING", "EUR").await, system(&rig, "LIQUIDITY", "USD").await), (1, 33_249));
    assert_eq!(system(&rig, "LIQUIDITY", "EUR").await, -30_786, "all it is worth at the middle rate");
    let (causes, all) = ("transfers WHERE cause_type = 'quote'", "transfers");
    assert_eq!((rig.count(causes).await, rig.count(all).await), (5, 6));
    rig.assert_books().await;
}

async fn there_and_back_never_gains(rig: Rig) {
    let usd = rig.funded("USD", "1000.00").await;
    for (other, amount) in
        [("JPY", "0.99"), ("JPY", "100.01"), ("BTC", "333.33"), ("ETH", "77.77"), ("EUR", "0.03")]
    {
        let before = rig.balance(&usd).await;
        let there = rig.wallet(other).await;
        let offer = quote(&rig, &usd, &there, amount).await;
        accept(&rig, &offer.id).await.unwrap();
        let all = rig.balance(&there).await[0].clone();
        let back = quote(&rig, &there, &usd, &all).await;
        accept(&rig, &back.id).await.unwrap();
        let cents = |text: &str| text.replace('.', "").parse::<i64>().unwrap();
        assert!(cents(&rig.balance(&usd).await[0]) <= cents(&before[0]), "{other}");
    }
    rig.assert_books().await;
}

async fn a_quote_expires_to_the_millisecond(rig: Rig) {
    let (usd, eur) = (rig.funded("USD", "100.00").await, rig.wallet("EUR").await);
    let (one, two) = (quote(&rig, &usd, &eur, "10").await, quote(&rig, &usd, &eur, "10").await);
    rig.clock.advance_ms(59_999);
    assert_eq!(accept(&rig, &one.id).await.unwrap().status, "EXECUTED");
    assert_eq!(get(&rig, &two.id).await.status, "PENDING");
    rig.clock.advance_ms(1);
    assert_eq!(accept(&rig, &two.id).await.unwrap_err().code(), "quote-expired");
    assert_eq!(
        (get(&rig, &one.id).await.status.as_str(), get(&rig, &two.id).await.status.as_str()),
        ("EXECUTED", "EXPIRED")
    );
    assert_eq!(rig.balance(&usd).await[0], "90.00");
}

async fn row_06_without_funds_a_quote_stays_pending_and_works_later_under_another_key(rig: Rig) {
    let (usd, eur) = (rig.funded("USD", "9.99").await, rig.wallet("EUR").await);
    let id = quote(&rig, &usd, &eur, "10").await.id;
    let refusal = accept_as(&rig, &rig.owner, "e", &id).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.replayed), ("insufficient-funds", false));
    assert_eq!((get(&rig, &id).await.status.as_str(), rig.count("transfers").await), ("PENDING", 1));
    rig.credit(&usd, "0.01").await;
    let refusal = accept_as(&rig, &rig.owner, "e", &id).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.replayed), ("insufficient-funds", true));
    // What is held is not there.
    let hold = rig.reserve(rig.reserving("h", &usd, "0.01")).await.unwrap().body;
    assert_eq!(accept(&rig, &id).await.unwrap_err().code(), "insufficient-funds");
    rig.void_hold(rig.voiding("v", &hold.id)).await.unwrap();
    assert_eq!(accept(&rig, &id).await.unwrap().status, "EXECUTED");
    rig.assert_books().await;
}

async fn liquidity_ends_at_its_floor_in_a_live_installation(rig: Rig) {
    let mut settings = LedgerSettings::default();
    settings.overdraft.insert("EUR".into(), "92.59".into());
    let rig = Rig::start_with(rig.base, settings, Some(Environment::Live)).await;
    let (usdc, eur) = (rig.wallet("USDC").await, rig.wallet("EUR").await);
    let deposit = transfer(clearing("ethereum"), wallet_side(&usdc), "USDC", "200");
    assert_eq!(rig.post_from_chain("deposit", vec![deposit]).await.refused, "");
    let (one, two) = (quote(&rig, &usdc, &eur, "100").await, quote(&rig, &usdc, &eur, "0.02").await);
    accept(&rig, &one.id).await.unwrap();
    assert_eq!(system(&rig, "LIQUIDITY", "EUR").await, -9_259);
    let refusal = accept(&rig, &two.id).await.unwrap_err();
    assert_eq!(refusal.code(), "insufficient-funds");
    assert!(!refusal.fault.detail.contains("wallet"), "{}", refusal.fault.detail);
    assert_eq!(rig.balance(&usdc).await[0], "100.000000");
    let back = quote(&rig, &eur, &usdc, "1").await;
    accept(&rig, &back.id).await.unwrap();
    accept(&rig, &two.id).await.unwrap();
    rig.assert_books().await;
}

async fn the_event_and_the_audit_row_are_there(rig: Rig) {
    let (usd, eur) = (rig.funded("USD", "100.00").await, rig.wallet("EUR").await);
    let id = quote(&rig, &usd, &eur, "10").await.id;
    rig.clock.advance_ms(1_000);
    accept(&rig, &id).await.unwrap();
    accept(&rig, &id).await.unwrap_err();
    let event =
        "SELECT event, source, entity_id, data FROM outbox WHERE event = 'layer1:ledger:conversion:executed'";
    let rows = rig.db.read().rows(event, vec![]).await.unwrap();
    let [row] = rows.as_slice() else { panic!("{} events", rows.len()) };
    let text = |column: &str| row.try_get::<String>("", column).unwrap();
    assert_eq!((text("source"), text("entity_id")), ("ledger".into(), id.clone()));
    let data: serde_json::Value = serde_json::from_str(&text("data")).unwrap();
    assert_eq!((&data["id"], &data["status"]), (&id.as_str().into(), &"EXECUTED".into()));
    assert_eq!(data["amountIn"], serde_json::json!({ "currency": "USD", "amount": "10.00" }));
    let done = get(&rig, &id).await;
    assert_eq!(done.date_executed.unwrap().seconds, done.date_created.unwrap().seconds + 1);
    let rows = "SELECT action, outcome, target_id FROM audit_rows WHERE target_type = 'quote' ORDER BY id";
    let rows = rig.db.read().rows(rows, vec![]).await.unwrap();
    let text = |n: usize, column: &str| rows[n].try_get::<String>("", column).unwrap();
    let told: BTreeSet<_> =
        (0..rows.len()).map(|n| (text(n, "action"), text(n, "outcome"), text(n, "target_id"))).collect();
    let row = |action: &str, outcome: &str| (action.to_owned(), outcome.to_owned(), id.clone());
    let expected =
        [row("CreateQuote", "done"), row("ExecuteQuote", "done"), row("ExecuteQuote", "quote-used")];
    assert_eq!(told, BTreeSet::from(expected));
}

async fn what_is_wrong_is_named(rig: Rig) {
    let (usd, jpy) = (rig.funded("USD", "100.00").await, rig.wallet("JPY").await);
    let refused = async |request: wire::CreateQuoteRequest| {
        let refusal = rig.create_quote(&rig.owner, &rig.key(), request).await.unwrap_err();
        (refusal.code(), refusal.fields().join(","))
    };
    let wrong = [
        "0",
        "0.00",
        "-1",
        "+1",
        "1e3",
        "NaN",
        "Infinity",
        "1.001",
        "1.",
        ".5",
        " 1",
        "1_000",
        "1,5",
        "\u{661}",
        "1.0000000000000000001",
        &"9".repeat(61),
        &"9".repeat(40),
    ];
    for amount in wrong {
        let given = refused(asked(&usd, &jpy, amount, "")).await;
        assert_eq!(given, ("validation-failed", "amountIn".into()), "{amount}");
    }
    for amount in ["0", "-1", "1.0", "1.5", "1e3", "NaN"] {
        let received = refused(asked(&usd, &jpy, "", amount)).await;
        assert_eq!(received, ("validation-failed", "amountOut".into()), "{amount}");
    }
    let both = ("validation-failed", "amountIn,amountOut".to_owned());
    assert_eq!(refused(asked(&usd, &jpy, "1", "1")).await, both);
    assert_eq!(refused(asked(&usd, &jpy, "", "")).await, both);
    assert_eq!(refused(asked(&usd, &usd, "1", "")).await, ("same-wallet", "toWalletId".into()));
    let long = wire::CreateQuoteRequest { reference: "x".repeat(201), ..asked(&usd, &jpy, "1", "") };
    assert_eq!(refused(long).await, ("validation-failed", "reference".into()));
    assert_eq!(rig.count("quotes").await, 0);
}

async fn another_accounts_wallets_and_quotes_do_not_exist(rig: Rig) {
    let stranger = rig.stranger();
    let (usd, eur) = (rig.funded("USD", "100.00").await, rig.wallet("EUR").await);
    let theirs = rig.wallet_of(&stranger, "EUR").await;
    let nobody = "0190163d-8694-739b-aea5-966c26f8ad91";
    for (from, to) in [(&usd, &theirs), (&theirs, &usd), (&usd, &nobody.to_owned()), (&"x".to_owned(), &eur)]
    {
        let refusal = rig.create_quote(&rig.owner, &rig.key(), asked(from, to, "1", "")).await.unwrap_err();
        assert_eq!(refusal.code(), "not-found", "{from} {to}");
    }
    let id = quote(&rig, &usd, &eur, "10").await.id;
    for id in [id.as_str(), nobody, "x", ""] {
        assert_eq!(accept_as(&rig, &stranger, &rig.key(), id).await.unwrap_err().code(), "not-found");
        let asked = wire::GetQuoteRequest { id: id.into() };
        assert_eq!(rig.get_quote(&stranger, asked).await.unwrap_err().code(), "not-found");
    }
    let listed = rig.list_quotes(&stranger, wire::ListQuotesRequest::default()).await.unwrap();
    assert!(listed.content.is_empty());
    assert_eq!(get(&rig, &id).await.status, "PENDING");
}

async fn too_small_and_too_large_name_the_amount(rig: Rig) {
    let (jpy, btc, eth) = (rig.wallet("JPY").await, rig.wallet("BTC").await, rig.wallet("ETH").await);
    let most = format!("{}", i128::MAX);
    for (request, field) in [
        (asked(&eth, &jpy, "0.000000000000000001", ""), "amountIn"),
        (asked(&jpy, &eth, &most, ""), "amountIn"),
        (asked(&eth, &jpy, "", &most), "amountOut"),
        (asked(&btc, &eth, &most[..31], ""), "amountIn"),
    ] {
        let refusal = rig.create_quote(&rig.owner, &rig.key(), request).await.unwrap_err();
        assert_eq!((refusal.code(), refusal.fields().join(",").as_str()), ("validation-failed", field));
    }
}

async fn a_quote_changed_by_hand_moves_nothing(rig: Rig) {
    let (usd, eur) = (rig.funded("USD", "100.00").await, rig.wallet("EUR").await);
    let id = quote(&rig, &usd, &eur, "10").await.id;
    assert_eq!(rig.tamper("UPDATE quotes SET amount_out = '900000'").await, 1);
    assert_eq!(accept_as(&rig, &rig.owner, "e", &id).await.unwrap_err().code(), "internal");
    assert_eq!(
        (rig.balance(&usd).await[0].as_str(), rig.balance(&eur).await[0].as_str()),
        ("100.00", "0.00")
    );
    // Row 7: that burned no key.
    assert_eq!(rig.tamper("UPDATE quotes SET amount_out = '925'").await, 1);
    assert_eq!(accept_as(&rig, &rig.owner, "e", &id).await.unwrap().body.status, "EXECUTED");
    assert_eq!(rig.balance(&eur).await[0], "9.25");
}

async fn lists_are_paged_by_creation(rig: Rig) {
    let (usd, eur) = (rig.wallet("USD").await, rig.wallet("EUR").await);
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(quote(&rig, &usd, &eur, "10").await.id);
        // Two of them share a millisecond.
        rig.clock.advance_ms(i64::from(n != 2));
    }
    let page = async |order: &str, token: &str, offset: Option<u32>| {
        let (order, page_token) = (order.to_owned(), token.to_owned());
        let asked = wire::ListQuotesRequest { max: Some(2), page_token, offset, order };
        let page = rig.list_quotes(&rig.owner, asked).await.unwrap();
        (page.content.into_iter().map(|quote| quote.id).collect::<Vec<_>>(), page.next_page_token)
    };
    for order in ["asc", "desc", ""] {
        let (mut all, mut token) = (Vec::new(), String::new());
        for _ in 0..3 {
            let (some, next) = page(order, &token, None).await;
            all.extend(some);
            token = next;
        }
        let found: BTreeSet<_> = all.iter().collect();
        assert_eq!((all.len(), found, token.as_str()), (5, ids.iter().collect(), ""));
        let first = if order == "asc" { &ids[0] } else { &ids[4] };
        assert_eq!(&all[0], first);
    }
    assert_eq!(page("asc", "", Some(4)).await.0, [ids[4].clone()]);
    for (max, refused) in [(0, true), (500, false), (501, true)] {
        let asked = wire::ListQuotesRequest { max: Some(max), ..wire::ListQuotesRequest::default() };
        assert_eq!(rig.list_quotes(&rig.owner, asked).await.is_err(), refused);
    }
}

async fn only_unused_quotes_are_forgotten(rig: Rig) {
    let (usd, eur) = (rig.funded("USD", "100.00").await, rig.wallet("EUR").await);
    let (used, unused) = (quote(&rig, &usd, &eur, "10").await.id, quote(&rig, &usd, &eur, "10").await.id);
    accept(&rig, &used).await.unwrap();
    rig.clock.advance_ms(61_000);
    assert_eq!(beem_ledger::store::quotes::purge(&rig.db, 1_000, 500).await.unwrap(), 0);
    rig.clock.advance_ms(1);
    assert_eq!(beem_ledger::store::quotes::purge(&rig.db, 1_000, 500).await.unwrap(), 1);
    assert_eq!(get(&rig, &used).await.status, "EXECUTED");
    let gone = rig.get_quote(&rig.owner, wire::GetQuoteRequest { id: unused.clone() }).await.unwrap_err();
    assert_eq!(gone.code(), "not-found");
    assert_eq!(accept(&rig, &unused).await.unwrap_err().code(), "not-found");
}

async fn two_wallets_of_one_currency(rig: Rig) {
    let rig = Rig::start_with(rig.base, kept(10_000, 1_000), None).await;
    let (one, two) = (rig.funded("EUR", "100.00").await, rig.wallet("EUR").await);
    let offer = quote(&rig, &one, &two, "50").await;
    // No spread between a currency and itself; the fee is one.
    assert_eq!(
        (offer.rate.as_str(), money(&offer.amount_out).1, money(&offer.fee).1),
        ("1", "49.95", "0.05")
    );
    accept(&rig, &offer.id).await.unwrap();
    assert_eq!(
        (rig.balance(&one).await[0].as_str(), rig.balance(&two).await[0].as_str()),
        ("50.00", "49.95")
    );
    assert_eq!(system(&rig, "LIQUIDITY", "EUR").await, 0);
    rig.assert_books().await;
}

async fn execution_cut_off_by_a_restart_is_whole_or_not_there(mut rig: Rig) {
    let (usd, eur) = (rig.funded("USD", "1000.00").await, rig.wallet("EUR").await);
    let id = quote(&rig, &usd, &eur, "10").await.id;
    for cut_us in [0, 100, 500, 1_000, 2_000, 4_000] {
        let call = accept_as(&rig, &rig.owner, "e", &id);
        drop(tokio::time::timeout(std::time::Duration::from_micros(cut_us), call).await);
        rig.restart().await;
        let moved = rig.balance(&usd).await[0] == "990.00";
        assert_eq!(get(&rig, &id).await.status == "EXECUTED", moved);
        rig.assert_books().await;
    }
    // A lost answer: the same key gives the first outcome, or is the first.
    assert_eq!(accept_as(&rig, &rig.owner, "e", &id).await.unwrap().body.status, "EXECUTED");
    assert_eq!(rig.balance(&usd).await[0], "990.00");
    rig.assert_books().await;
}

async fn a_quote_made_to_look_unused_is_not_carried_out_again(rig: Rig) {
    let (usd, eur) = (rig.funded("USD", "500.00").await, rig.wallet("EUR").await);
    let (one, other) = (quote(&rig, &usd, &eur, "100").await, quote(&rig, &usd, &eur, "50").await);
    accept(&rig, &one.id).await.unwrap();
    let unused = "UPDATE quotes SET executed_ms = NULL, debit_transfer = NULL, credit_transfer = NULL";
    assert_eq!(rig.tamper(unused).await, 2);
    assert_eq!(get(&rig, &one.id).await.status, "PENDING");
    for _ in 0..2 {
        assert_eq!(accept(&rig, &one.id).await.unwrap_err().code(), "internal");
    }
    assert_eq!(
        (rig.balance(&usd).await[0].as_str(), rig.balance(&eur).await[0].as_str()),
        ("400.00", "92.59")
    );
    accept(&rig, &other.id).await.unwrap();
    assert_eq!(rig.balance(&usd).await[0], "350.00");
    rig.assert_books().await;
}
