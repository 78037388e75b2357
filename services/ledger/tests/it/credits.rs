//! Free money of a sandbox.

use crate::calls::{system, transfer, wallet_side};
use crate::on_both;
use crate::rig::{Answer, Base, Refusal, Rig};
use crate::wallets::{get, opened};
use beem_caller::Actor;
use beem_events::audit::unpushed;
use beem_ledger::LedgerSettings;
use beem_proto::ledger::v1 as wire;
use beem_proto::to_timestamp;
use beem_settings::Environment;

on_both!(
    a_credit_is_made_once_per_key,
    bad_amounts_name_the_field,
    amounts_of_every_size_are_exact,
    a_wallet_that_would_overflow_refuses,
    a_credit_is_a_million_million_units_at_most,
    twenty_credits_at_once_add_up,
    credits_and_refusals_are_told_to_the_trail,
);

pub async fn credit(
    rig: &Rig,
    actor: &Actor,
    key: &str,
    wallet: &str,
    amount: &str,
    reference: &str,
) -> Result<Answer<wire::Transaction>, Refusal> {
    let (wallet_id, amount, reference) = (wallet.into(), amount.into(), reference.into());
    let asked = wire::CreateCreditRequest { wallet_id, amount, reference };
    rig.create_credit(actor, key, asked).await
}

async fn total(rig: &Rig, actor: &Actor, wallet: &str) -> String {
    get(rig, actor, wallet).await.unwrap().balance.unwrap().total
}

async fn a_credit_is_made_once_per_key(rig: Rig) {
    let owner = rig.stranger();
    let wallet = opened(&rig, &owner, "USD", "a").await;
    rig.clock.advance_ms(5);
    let first = credit(&rig, &owner, "k1", &wallet.id, "100.00", "start").await.unwrap();
    let again = credit(&rig, &owner, "k1", &wallet.id, "100.00", "start").await.unwrap();
    assert!(!first.replayed && again.replayed && first.body == again.body);
    let made = first.body;
    let cause = made.cause.clone().unwrap();
    assert!(cause.r#type == "credit" && cause.id.len() == 36);
    let expected = wire::Transaction {
        id: made.id.clone(),
        wallet_id: wallet.id.clone(),
        kind: "ADJUSTMENT".into(),
        amount: "100.00".into(),
        balance_after: "100.00".into(),
        currency: "USD".into(),
        counterpart: None,
        reference: "start".into(),
        cause: Some(cause),
        time: Some(to_timestamp(rig.clock.now().unix_ms())),
    };
    assert_eq!(made, expected);
    let asked = wire::ListTransactionsRequest { id: wallet.id.clone(), ..Default::default() };
    assert_eq!(crate::transactions::list(&rig, &owner, asked).await.unwrap().content, [made]);
    let other = credit(&rig, &owner, "k1", &wallet.id, "100.01", "start").await.unwrap_err();
    assert_eq!(other.code(), "idempotency-key-reused");
    let second = credit(&rig, &owner, "k2", &wallet.id, "0.5", "").await.unwrap().body;
    assert_eq!((second.amount.as_str(), second.balance_after.as_str()), ("0.50", "100.50"));
    assert_eq!(total(&rig, &owner, &wallet.id).await, "100.50");
}

async fn bad_amounts_name_the_field(rig: Rig) {
    let owner = rig.stranger();
    let long = "1".repeat(61);
    let digits = "1".repeat(40);
    let bad = [
        "", "0", "0.00", "-1", "+1", "1e3", "1E-2", "NaN", "Infinity", "1.", ".5", " 1", "1 ", "1_000",
        "1,00", "١", "0x1", "1.234", "1.000", &long, &digits,
    ];
    for (currency, more) in [("USD", "0.001"), ("JPY", "1.0"), ("ETH", "0.0000000000000000001")] {
        let wallet = opened(&rig, &owner, currency, "a").await;
        for (at, amount) in bad.into_iter().chain([more]).enumerate() {
            if currency == "ETH" && matches!(amount, "1.234" | "1.000") {
                continue;
            }
            let key = format!("{currency} {at}");
            let refusal = credit(&rig, &owner, &key, &wallet.id, amount, "").await.unwrap_err();
            assert_eq!(
                (refusal.code(), refusal.fields()),
                ("validation-failed", vec!["amount"]),
                "{amount:?}"
            );
            assert!(credit(&rig, &owner, &key, &wallet.id, amount, "").await.unwrap_err().replayed);
        }
        let zero = wallet.balance.unwrap().total;
        assert_eq!(total(&rig, &owner, &wallet.id).await, zero);
    }
    let wallet = opened(&rig, &owner, "USD", "b").await;
    for (at, reference) in ["x".repeat(201), "a\nb".to_owned()].into_iter().enumerate() {
        let refusal = credit(&rig, &owner, &format!("r{at}"), &wallet.id, "1", &reference).await.unwrap_err();
        assert_eq!(refusal.fields(), ["reference"]);
    }
    assert!(credit(&rig, &owner, "r", &wallet.id, "1", &"ü".repeat(200)).await.is_ok());
}

async fn amounts_of_every_size_are_exact(rig: Rig) {
    let owner = rig.stranger();
    let eth = opened(&rig, &owner, "ETH", "a").await;
    // 30 digits, more than a float or 64 bits hold.
    credit(&rig, &owner, "1", &eth.id, "123456789012.123456789012345678", "").await.unwrap();
    credit(&rig, &owner, "2", &eth.id, "0.000000000000000001", "").await.unwrap();
    assert_eq!(total(&rig, &owner, &eth.id).await, "123456789012.123456789012345679");
    let yen = opened(&rig, &owner, "JPY", "a").await;
    credit(&rig, &owner, "3", &yen.id, "999999999999", "").await.unwrap();
    let made = credit(&rig, &owner, "4", &yen.id, "1", "").await.unwrap().body;
    assert_eq!(made.balance_after, "1000000000000");
    assert_eq!(total(&rig, &owner, &yen.id).await, "1000000000000");
}

async fn a_wallet_that_would_overflow_refuses(rig: Rig) {
    let yen = rig.wallet("JPY").await;
    let most = i128::MAX.to_string();
    // As much as no credit has.
    let all = transfer(system("LIQUIDITY"), wallet_side(&yen), "JPY", &most);
    assert_eq!(rig.post("all", vec![all]).await.refused, "");
    for key in ["2", "2"] {
        let refusal = credit(&rig, &rig.owner, key, &yen, "1", "").await.unwrap_err();
        assert_eq!((refusal.code(), refusal.fields()), ("validation-failed", vec!["amount"]));
    }
    assert_eq!(rig.balance(&yen).await[0], most);
}

async fn a_credit_is_a_million_million_units_at_most(rig: Rig) {
    let owner = rig.stranger();
    for (currency, least) in [("JPY", "1"), ("USD", "0.01"), ("ETH", "0.000000000000000001")] {
        let wallet = opened(&rig, &owner, currency, "a").await.id;
        let most = "1000000000000";
        credit(&rig, &owner, &format!("{currency} most"), &wallet, most, "").await.unwrap();
        let more =
            if currency == "JPY" { "1000000000001".to_owned() } else { format!("{most}{}", &least[1..]) };
        for (at, more) in [more, i128::MAX.to_string(), format!("{most}0")].into_iter().enumerate() {
            let key = format!("{currency} {at}");
            let refusal = credit(&rig, &owner, &key, &wallet, &more, "").await.unwrap_err();
            assert_eq!((refusal.code(), refusal.fields()), ("validation-failed", vec!["amount"]), "{more}");
        }
        // There is as much for everybody else.
        let other = rig.stranger();
        let theirs = opened(&rig, &other, currency, "a").await.id;
        credit(&rig, &other, "theirs", &theirs, most, "").await.unwrap();
        assert!(total(&rig, &owner, &wallet).await.starts_with(most));
    }
}

async fn twenty_credits_at_once_add_up(rig: Rig) {
    let owner = rig.stranger();
    let wallet = opened(&rig, &owner, "USD", "a").await;
    let (rig, owner, id) = (&rig, &owner, wallet.id.as_str());
    let calls = (0..20).map(|at| async move { credit(rig, owner, &at.to_string(), id, "1.05", "").await });
    for outcome in futures::future::join_all(calls).await {
        outcome.unwrap();
    }
    assert_eq!(total(rig, owner, id).await, "21.00");
}

async fn credits_and_refusals_are_told_to_the_trail(rig: Rig) {
    let owner = rig.stranger();
    let wallet = opened(&rig, &owner, "USD", "a").await;
    let made = credit(&rig, &owner, "1", &wallet.id, "1.00", "").await.unwrap().body;
    credit(&rig, &owner, "1", &wallet.id, "1.00", "").await.unwrap();
    credit(&rig, &owner, "2", &wallet.id, "x", "").await.unwrap_err();
    credit(&rig, &owner, "3", "no id\u{7}", "1", "").await.unwrap_err();
    let rows = unpushed(&rig.db, 100).await.unwrap();
    let rows = rows.iter().map(|row| &row.row).filter(|row| row.action == "CreateCredit").collect::<Vec<_>>();
    let mut told: Vec<_> = rows.iter().map(|row| (row.outcome.as_str(), row.target_id.as_str())).collect();
    told.sort_unstable();
    let mut expected = [("done", wallet.id.as_str()), ("not-found", ""), ("validation-failed", &wallet.id)];
    expected.sort_unstable();
    assert_eq!(told, expected);
    let done = rows.iter().find(|row| row.outcome == "done").unwrap();
    let after = done.after.as_ref().unwrap();
    assert_eq!((&after["amount"], &after["transaction"]), (&"1.00".into(), &made.id.clone().into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_installation_has_neither_free_money_nor_a_sandbox_network() {
    for base in [Base::Sqlite, Base::Postgres] {
        let rig = Rig::start_with(base, LedgerSettings::default(), Some(Environment::Live)).await;
        let owner = rig.stranger();
        let wallet = opened(&rig, &owner, "USD", "a").await;
        let refusal = credit(&rig, &owner, "1", &wallet.id, "1.00", "").await.unwrap_err();
        assert_eq!(refusal.code(), "not-found");
        assert_eq!(total(&rig, &owner, &wallet.id).await, "0.00");
        assert_eq!(rig.count("ledger_accounts WHERE purpose = 'SANDBOX'").await, 0);
        let content = rig.list_currencies(&owner, wire::ListCurrenciesRequest {}).await.unwrap().content;
        let mut networks = content.iter().flat_map(|currency| &currency.networks);
        assert!(networks.clone().count() > 0 && networks.all(|network| network.network != "sandbox"));
    }
}
