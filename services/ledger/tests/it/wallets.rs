//! Currencies, opening and reading wallets, balances now and at a time.

use crate::credits::credit;
use crate::on_both;
use crate::rig::{Answer, Refusal, Rig};
use crate::transactions::{hold, post, put, void};
use beem_caller::Actor;
use beem_events::audit::unpushed;
use beem_ledger::domain::{Kind, Purpose, Step};
use beem_ledger::store::entries;
use beem_proto::ledger::v1 as wire;
use beem_proto::{AnswerJson, Contract, from_timestamp, to_timestamp};
use sea_orm::{ConnectionTrait as _, Statement};

on_both!(
    a_wallet_is_opened_once_per_key,
    one_key_at_twenty_callers_opens_one_wallet,
    a_wrong_wallet_names_every_field,
    what_was_done_is_an_event_and_a_row_of_the_trail,
    another_accounts_wallet_is_nowhere,
    wallets_page_and_inserts_move_nothing,
    a_page_has_one_to_five_hundred_rows,
    balances_now_are_those_of_the_wallets,
    balances_at_a_time_are_those_of_the_entries_until_then,
    balances_of_a_conversion_change_on_both_sides_at_once,
    balances_page_oldest_first,
    currencies_come_in_the_order_of_their_codes,
);

pub async fn create(
    rig: &Rig,
    actor: &Actor,
    key: &str,
    asked: &wire::CreateWalletRequest,
) -> Result<Answer<wire::Wallet>, Refusal> {
    rig.create_wallet(actor, key, asked.clone()).await
}

pub fn named(currency: &str, name: &str) -> wire::CreateWalletRequest {
    wire::CreateWalletRequest { currency: currency.into(), name: name.into() }
}

/// A wallet that is there from now on.
pub async fn opened(rig: &Rig, actor: &Actor, currency: &str, name: &str) -> wire::Wallet {
    create(rig, actor, &format!("open {currency} {name}"), &named(currency, name)).await.unwrap().body
}

pub async fn get(rig: &Rig, actor: &Actor, id: &str) -> Result<wire::Wallet, Refusal> {
    rig.get_wallet(actor, wire::GetWalletRequest { id: id.into() }).await
}

async fn list(
    rig: &Rig,
    actor: &Actor,
    asked: wire::ListWalletsRequest,
) -> Result<wire::ListWalletsResponse, Refusal> {
    rig.list_wallets(actor, asked).await
}

async fn balances(
    rig: &Rig,
    actor: &Actor,
    asked: wire::ListBalancesRequest,
) -> Result<wire::ListBalancesResponse, Refusal> {
    rig.list_balances(actor, asked).await
}

/// Total, available and reserved of each wallet when that millisecond was over.
async fn held_at(rig: &Rig, actor: &Actor, at_ms: i64) -> Vec<[String; 3]> {
    let asked = wire::ListBalancesRequest { at: Some(to_timestamp(at_ms)), ..Default::default() };
    let answer = balances(rig, actor, asked).await.unwrap();
    answer.balances.into_iter().map(|held| [held.total, held.available, held.reserved]).collect()
}

fn ids(wallets: &[wire::Wallet]) -> Vec<&str> {
    wallets.iter().map(|wallet| wallet.id.as_str()).collect()
}

async fn a_wallet_is_opened_once_per_key(rig: Rig) {
    let owner = rig.stranger();
    let asked = named("BTC", "Kasse");
    let first = create(&rig, &owner, "k1", &asked).await.unwrap();
    let again = create(&rig, &owner, "k1", &asked).await.unwrap();
    assert!(!first.replayed && again.replayed && first.body == again.body);
    let wallet = first.body;
    let nothing = wire::Balance {
        total: "0.00000000".into(),
        available: "0.00000000".into(),
        reserved: "0.00000000".into(),
    };
    let expected = wire::Wallet {
        id: wallet.id.clone(),
        account_id: owner.account.to_string(),
        currency: "BTC".into(),
        name: "Kasse".into(),
        balance: Some(nothing),
        date_created: Some(to_timestamp(rig.clock.now().unix_ms())),
    };
    assert_eq!(wallet, expected);
    assert_eq!(get(&rig, &owner, &wallet.id).await.unwrap(), wallet);
    let other = create(&rig, &owner, "k1", &named("BTC", "Tresor")).await.unwrap_err();
    assert_eq!(other.code(), "idempotency-key-reused");
    assert_ne!(create(&rig, &owner, "k2", &asked).await.unwrap().body.id, wallet.id);
    assert_eq!(list(&rig, &owner, wire::ListWalletsRequest::default()).await.unwrap().content.len(), 2);
}

async fn one_key_at_twenty_callers_opens_one_wallet(rig: Rig) {
    let owner = rig.stranger();
    let asked = named("USD", "one");
    let (rig, owner, asked) = (&rig, &owner, &asked);
    let calls = (0..20).map(|_| async move { create(rig, owner, "k", asked).await });
    for outcome in futures::future::join_all(calls).await {
        // A caller may be told that another one is at it.
        if let Err(refusal) = outcome {
            assert_eq!(refusal.code(), "request-in-progress");
        }
    }
    let content = list(rig, owner, wire::ListWalletsRequest::default()).await.unwrap().content;
    let wallet = create(rig, owner, "k", asked).await.unwrap();
    assert!(wallet.replayed);
    assert_eq!(content, [wallet.body]);
}

async fn a_wrong_wallet_names_every_field(rig: Rig) {
    let owner = rig.stranger();
    let long = "x".repeat(101);
    let cases: [(&str, &str, &str, &[&str]); 8] = [
        ("XXX", "a", "currency-unknown", &["currency"]),
        ("", "a", "currency-unknown", &["currency"]),
        ("usd", "a", "currency-unknown", &["currency"]),
        ("USD", "", "validation-failed", &["name"]),
        ("USD", " a", "validation-failed", &["name"]),
        ("USD", "a\nb", "validation-failed", &["name"]),
        ("USD", &long, "validation-failed", &["name"]),
        ("XXX", "", "validation-failed", &["currency", "name"]),
    ];
    for (at, (currency, name, code, fields)) in cases.into_iter().enumerate() {
        let key = format!("k{at}");
        let refusal = create(&rig, &owner, &key, &named(currency, name)).await.unwrap_err();
        assert_eq!((refusal.code(), refusal.fields()), (code, fields.to_vec()), "{currency} {name}");
        let again = create(&rig, &owner, &key, &named(currency, name)).await.unwrap_err();
        assert!(again.replayed && again.code() == code);
    }
    assert!(list(&rig, &owner, wire::ListWalletsRequest::default()).await.unwrap().content.is_empty());
    let told = unpushed(&rig.db, 100).await.unwrap();
    assert_eq!(told.len(), cases.len());
    assert!(told.iter().all(|row| row.row.action == "CreateWallet" && row.row.outcome != "done"));
    assert_eq!(
        create(&rig, &owner, "k", &named("USD", &"ü".repeat(100))).await.unwrap().body.currency,
        "USD"
    );
}

async fn what_was_done_is_an_event_and_a_row_of_the_trail(rig: Rig) {
    let owner = rig.stranger();
    let wallet = opened(&rig, &owner, "EUR", "till").await;
    create(&rig, &owner, "open EUR till", &named("EUR", "till")).await.unwrap();
    let statement = "SELECT event, source, entity_id, data FROM outbox";
    let statement = Statement::from_string(rig.db.read().get_database_backend(), statement);
    let events = rig.db.read().query_all_raw(statement).await.unwrap();
    assert_eq!(events.len(), 1);
    let text = |name: &str| events[0].try_get::<String>("", name).unwrap();
    assert_eq!(text("event"), "layer1:ledger:wallet:created");
    assert_eq!((text("source"), text("entity_id")), ("ledger".to_owned(), wallet.id.clone()));
    let json = AnswerJson::new(&Contract::load().unwrap(), "beem.ledger.v1.Wallet").unwrap();
    let answered = get(&rig, &owner, &wallet.id).await.unwrap();
    let data: serde_json::Value = serde_json::from_str(&text("data")).unwrap();
    assert_eq!(data, json.of(&answered).unwrap());
    assert_eq!(data["balance"]["available"], "0.00");
    let rows = unpushed(&rig.db, 100).await.unwrap();
    assert_eq!(rows.len(), 1);
    let row = &rows[0].row;
    assert_eq!((row.action.as_str(), row.outcome.as_str()), ("CreateWallet", "done"));
    assert_eq!((row.target_type.as_str(), &row.target_id), ("wallet", &wallet.id));
    assert_eq!(row.account_id, Some(owner.account));
    assert_eq!(row.after.as_ref().unwrap()["currency"], "EUR");
}

async fn another_accounts_wallet_is_nowhere(rig: Rig) {
    let (owner, other) = (rig.stranger(), rig.stranger());
    assert_ne!(owner.account, other.account);
    let wallet = opened(&rig, &owner, "USD", "mine").await;
    credit(&rig, &owner, "c", &wallet.id, "5.00", "").await.unwrap();
    for id in [wallet.id.as_str(), "", "x", "00000000-0000-0000-0000-000000000000"] {
        let asked = wire::ListTransactionsRequest { id: id.into(), ..Default::default() };
        let refusals = [
            get(&rig, &other, id).await.unwrap_err(),
            crate::transactions::list(&rig, &other, asked).await.unwrap_err(),
            crate::export::refused(&rig, &other, id).await,
            credit(&rig, &other, &format!("c{id}"), id, "1.00", "").await.unwrap_err(),
        ];
        assert!(refusals.iter().all(|refusal| refusal.code() == "not-found"), "{id}: {refusals:?}");
    }
    // Nor is a system account anybody's.
    let liquidity = Purpose::Liquidity.id("USD".parse().unwrap(), "").to_string();
    assert_eq!(get(&rig, &owner, &liquidity).await.unwrap_err().code(), "not-found");
    assert!(list(&rig, &other, wire::ListWalletsRequest::default()).await.unwrap().content.is_empty());
    assert!(balances(&rig, &other, wire::ListBalancesRequest::default()).await.unwrap().balances.is_empty());
    assert_eq!(get(&rig, &owner, &wallet.id).await.unwrap().balance.unwrap().total, "5.00");
}

async fn wallets_page_and_inserts_move_nothing(rig: Rig) {
    let owner = rig.stranger();
    let mut made = Vec::new();
    for at in 0..12 {
        // Some in one millisecond.
        rig.clock.advance_ms(i64::from(at % 3 == 0));
        made.push(opened(&rig, &owner, "USD", &format!("w{at}")).await.id);
    }
    for order in ["asc", "desc"] {
        let whole = wire::ListWalletsRequest { order: order.into(), ..Default::default() };
        let whole = list(&rig, &owner, whole).await.unwrap();
        assert!(whole.next_page_token.is_empty());
        let (mut paged, mut token, mut round) = (Vec::new(), String::new(), 0);
        loop {
            let asked = wire::ListWalletsRequest {
                max: Some(5),
                order: order.into(),
                page_token: token,
                ..Default::default()
            };
            let answer = list(&rig, &owner, asked).await.unwrap();
            paged.extend(answer.content);
            token = answer.next_page_token;
            if token.is_empty() {
                break;
            }
            round += 1;
            rig.clock.advance_ms(1);
            opened(&rig, &owner, "USD", &format!("{order} {round}")).await;
        }
        paged.truncate(whole.content.len());
        assert_eq!(paged, whole.content);
    }
    let offset = wire::ListWalletsRequest {
        offset: Some(10),
        max: Some(2),
        order: "asc".into(),
        ..Default::default()
    };
    let answer = list(&rig, &owner, offset).await.unwrap();
    let first: Vec<_> = list(
        &rig,
        &owner,
        wire::ListWalletsRequest { order: "asc".into(), max: Some(12), ..Default::default() },
    )
    .await
    .unwrap()
    .content;
    assert_eq!(answer.content, first[10..12]);
    let mut sorted = ids(&first);
    sorted.sort_unstable();
    made.sort_unstable();
    assert_eq!(sorted, made);
    let token = answer.next_page_token;
    let desc = wire::ListWalletsRequest { page_token: token, order: "desc".into(), ..Default::default() };
    assert_eq!(list(&rig, &owner, desc).await.unwrap_err().fields(), ["pageToken"]);
}

async fn a_page_has_one_to_five_hundred_rows(rig: Rig) {
    let owner = rig.stranger();
    let wallet = opened(&rig, &owner, "USD", "w").await;
    for (max, fits) in [(0, false), (1, true), (500, true), (501, false)] {
        let max = Some(max);
        let wallets = list(&rig, &owner, wire::ListWalletsRequest { max, ..Default::default() }).await;
        let held = balances(&rig, &owner, wire::ListBalancesRequest { max, ..Default::default() }).await;
        let asked = wire::ListTransactionsRequest { id: wallet.id.clone(), max, ..Default::default() };
        let moved = crate::transactions::list(&rig, &owner, asked).await;
        for refusal in [wallets.err(), held.err(), moved.err()] {
            assert_eq!(refusal.is_none(), fits);
            assert!(refusal.is_none_or(|refusal| refusal.fields() == ["max"]));
        }
    }
}

async fn balances_now_are_those_of_the_wallets(rig: Rig) {
    let owner = rig.stranger();
    let usd = opened(&rig, &owner, "USD", "a").await;
    rig.clock.advance_ms(1);
    let eth = opened(&rig, &owner, "ETH", "b").await;
    credit(&rig, &owner, "c1", &usd.id, "10.50", "").await.unwrap();
    credit(&rig, &owner, "c2", &eth.id, "0.000000000000000001", "").await.unwrap();
    hold(&rig, &owner, &usd.id, 250).await;
    let now = rig.clock.now().unix_ms();
    let future = Some(to_timestamp(now + 86_400_000));
    for at in [None, future, Some(to_timestamp(now))] {
        let answer =
            balances(&rig, &owner, wire::ListBalancesRequest { at, ..Default::default() }).await.unwrap();
        assert_eq!(answer.at.as_ref().map(from_timestamp), Some(now));
        assert!(answer.next_page_token.is_empty());
        let expected = [
            wire::WalletBalance {
                wallet_id: usd.id.clone(),
                currency: "USD".into(),
                total: "10.50".into(),
                available: "8.00".into(),
                reserved: "2.50".into(),
            },
            wire::WalletBalance {
                wallet_id: eth.id.clone(),
                currency: "ETH".into(),
                total: "0.000000000000000001".into(),
                available: "0.000000000000000001".into(),
                reserved: "0.000000000000000000".into(),
            },
        ];
        assert_eq!(answer.balances, expected);
    }
}

async fn balances_at_a_time_are_those_of_the_entries_until_then(rig: Rig) {
    let owner = rig.stranger();
    let before = rig.clock.now().unix_ms();
    rig.clock.advance_ms(10);
    let wallet = opened(&rig, &owner, "USD", "a").await;
    let opened_at = rig.clock.now().unix_ms();
    rig.clock.advance_ms(10);
    credit(&rig, &owner, "c1", &wallet.id, "10.00", "").await.unwrap();
    // Two in one millisecond: the later one is what was held when it was over.
    credit(&rig, &owner, "c2", &wallet.id, "1.00", "").await.unwrap();
    let credited_at = rig.clock.now().unix_ms();
    rig.clock.advance_ms(10);
    let held = hold(&rig, &owner, &wallet.id, 300).await;
    let held_from = rig.clock.now().unix_ms();
    rig.clock.advance_ms(10);
    void(&rig, &owner, held).await;
    let given_back_at = rig.clock.now().unix_ms();
    rig.clock.advance_ms(10);
    let triple =
        |total: &str, available: &str, reserved: &str| [total, available, reserved].map(str::to_owned);
    assert!(held_at(&rig, &owner, before).await.is_empty());
    assert!(held_at(&rig, &owner, opened_at - 1).await.is_empty());
    assert!(held_at(&rig, &owner, -1).await.is_empty());
    assert_eq!(held_at(&rig, &owner, opened_at).await, [triple("0.00", "0.00", "0.00")]);
    assert_eq!(held_at(&rig, &owner, credited_at - 1).await, [triple("0.00", "0.00", "0.00")]);
    assert_eq!(held_at(&rig, &owner, credited_at).await, [triple("11.00", "11.00", "0.00")]);
    assert_eq!(held_at(&rig, &owner, held_from - 1).await, [triple("11.00", "11.00", "0.00")]);
    assert_eq!(held_at(&rig, &owner, held_from).await, [triple("11.00", "8.00", "3.00")]);
    assert_eq!(held_at(&rig, &owner, given_back_at).await, [triple("11.00", "11.00", "0.00")]);
    // Neither a hold nor its end is a movement.
    let asked = wire::ListTransactionsRequest { id: wallet.id.clone(), ..Default::default() };
    assert_eq!(crate::transactions::list(&rig, &owner, asked).await.unwrap().content.len(), 2);
    let id = wallet.id.parse().unwrap();
    let at = beem_clock::Moment::from_unix_ms;
    assert_eq!(entries::last_at(rig.db.read(), id, at(credited_at - 1)).await.unwrap(), None);
    let last = entries::last_at(rig.db.read(), id, at(held_from)).await.unwrap().unwrap();
    assert_eq!((last.total.minor(), last.reserved.minor()), (1_100, 300));
}

async fn balances_of_a_conversion_change_on_both_sides_at_once(rig: Rig) {
    let owner = rig.stranger();
    let usd = opened(&rig, &owner, "USD", "a").await;
    rig.clock.advance_ms(1);
    let eur = opened(&rig, &owner, "EUR", "b").await;
    credit(&rig, &owner, "c", &usd.id, "100.00", "").await.unwrap();
    rig.clock.advance_ms(10);
    let converted_at = rig.clock.now().unix_ms();
    crate::transactions::convert(&rig, &owner, &usd.id, &eur.id, (10_000, 9_000)).await;
    rig.clock.advance_ms(10);
    let triple = |total: &str, available: &str| [total, available, "0.00"].map(str::to_owned);
    let before = [triple("100.00", "100.00"), triple("0.00", "0.00")];
    assert_eq!(held_at(&rig, &owner, converted_at - 1).await, before);
    let after = [triple("0.00", "0.00"), triple("90.00", "90.00")];
    assert_eq!(held_at(&rig, &owner, converted_at).await, after);
}

async fn balances_page_oldest_first(rig: Rig) {
    let owner = rig.stranger();
    let mut made = Vec::new();
    for at in 0..7 {
        rig.clock.advance_ms(1);
        let wallet = opened(&rig, &owner, "USD", &format!("w{at}")).await;
        let sandbox = Purpose::Sandbox.id("USD".parse().unwrap(), "");
        let step = put(&rig, sandbox, wallet.id.parse().unwrap(), "USD", at + 1, Kind::Adjustment);
        post(&rig, &owner, vec![Step::Transfer(step)]).await;
        made.push(wallet.id);
    }
    let last_opened = rig.clock.now();
    rig.clock.advance_ms(10);
    let past = Some(to_timestamp(last_opened.unix_ms()));
    for at in [None, past] {
        let (mut paged, mut token) = (Vec::new(), String::new());
        loop {
            let asked = wire::ListBalancesRequest { at, max: Some(3), page_token: token };
            let answer = balances(&rig, &owner, asked).await.unwrap();
            paged.extend(answer.balances);
            token = answer.next_page_token;
            if token.is_empty() {
                break;
            }
            let other = wire::ListBalancesRequest {
                at: Some(to_timestamp(1)),
                page_token: token.clone(),
                ..Default::default()
            };
            assert_eq!(balances(&rig, &owner, other).await.unwrap_err().fields(), ["pageToken"]);
        }
        let held: Vec<_> = paged.iter().map(|held| (held.wallet_id.clone(), held.total.clone())).collect();
        let expected = made.iter().enumerate().map(|(at, id)| (id.clone(), format!("0.0{}", at + 1)));
        assert_eq!(held, expected.collect::<Vec<_>>());
    }
    // Of those that were there: three.
    assert_eq!(held_at(&rig, &owner, last_opened.unix_ms() - 4).await.len(), 3);
}

async fn currencies_come_in_the_order_of_their_codes(rig: Rig) {
    let asked = wire::ListCurrenciesRequest {};
    let content = rig.list_currencies(&rig.stranger(), asked).await.unwrap().content;
    assert!(content.is_sorted_by(|a, b| a.code < b.code));
    let of = |code: &str| content.iter().find(|currency| currency.code == code).unwrap();
    assert_eq!((of("USD").decimals, of("USD").r#type.as_str(), of("USD").networks.len()), (2, "FIAT", 0));
    assert_eq!((of("ETH").decimals, of("ETH").r#type.as_str()), (18, "CRYPTO"));
    let networks =
        |code| of(code).networks.iter().map(|network| network.network.as_str()).collect::<Vec<_>>();
    assert!(networks("ETH").contains(&"ethereum") && networks("ETH").contains(&"sandbox"));
    assert!(of("BTC").networks.iter().all(|network| network.confirmations > 0));
}
