//! A live installation: no free money; liquidity goes below zero only as far as it was told to, while what a chain has done is
//! booked whatever limits say.

use super::books::{
    BALANCES, Balance, CREDITS, CURRENCIES, Inside, Purse, batch, cause, clean, credit, id, system_side,
    wallet_side,
};
use super::quotes::a_quote_expires;
use beem_proto::ledger::v1::{SettleInboundRequest, Transfer};
use beem_tests::Rig;
use beem_tests::cluster_keys::ClusterKeys;
use beem_tests::forge::unique;

const LIVE: (&str, &str) = ("BEEM__ENVIRONMENT", "live");

/// The sandbox's RPCs are not there, for whoever asks, and nobody reads of them.
async fn there_is_no_sandbox(rig: &Rig) {
    let purse = Purse::new(rig);
    let usd = purse.wallet("USD").await;
    purse.0.post(CREDITS, &credit(&usd, "1.00")).await.refused(404, "not-found");
    purse.0.get(CREDITS).await.refused(404, "not-found");
    purse.0.post(CREDITS, &serde_json::json!({ "nope": 1 })).await.refused(404, "not-found");
    assert_eq!(purse.balance(&usd).await, Balance::free("0.00"));
    let openapi = purse.0.get("/openapi.json").await.expect(200);
    assert!(openapi["paths"].get(BALANCES).is_some());
    let said = openapi.to_string();
    assert!(!said.contains("/sandbox/") && !said.contains("CreateCredit"), "nothing of the sandbox");
    let list = purse.0.get(CURRENCIES).await.expect(200);
    assert!(!list.to_string().contains("\"sandbox\""), "the sandbox's network is not offered");
}

#[tokio::test]
async fn embedded_live_has_no_sandbox() {
    let rig = Rig::start_embedded(&[LIVE]);
    there_is_no_sandbox(&rig).await;
    clean(&rig, &[]);
}

/// The same on a cluster, where money comes in from chains.
#[tokio::test]
async fn clustered_live_keeps_to_its_limits() {
    let rig = Rig::start_clustered(&[
        LIVE,
        ("BEEM__LEDGER__OVERDRAFT", "{USD=\"1000\", BTC=\"1\"}"),
        ("BEEM__LEDGER__QUOTE_TTL_S", "3"),
    ]);
    there_is_no_sandbox(&rig).await;
    let keys = ClusterKeys::read(&rig.cluster_folder());
    let channels = Inside::channels(&keys);
    let purse = Purse::new(&rig);
    let account = purse.0.creds.account_id.clone();
    let (btc, usd, eur) = (purse.wallet("BTC").await, purse.wallet("USD").await, purse.wallet("EUR").await);
    let from_chain = |network: &str, amount: &str| {
        batch(
            &account,
            vec![Transfer {
                debit: system_side("CLEARING", network),
                credit: wallet_side(&btc),
                currency: "BTC".into(),
                amount: amount.into(),
                kind: "DEPOSIT".into(),
                reference: String::new(),
                cause: cause(),
            }],
        )
    };
    // More than liquidity may owe: a chain has done what it has done.
    let posted = channels.post(from_chain("bitcoin", "4")).await.unwrap();
    assert_eq!(posted.refused, "", "{posted:?}");
    // The sandbox's network is no network here.
    let sandbox = channels.post(from_chain("sandbox", "1")).await;
    assert!(sandbox.map_or(true, |outcome| outcome.refused == "validation-failed"));
    let deposit = SettleInboundRequest {
        effect_key: format!("deposit:sandbox:{}:0", unique()),
        account_id: account.clone(),
        wallet_id: btc.clone(),
        network: "sandbox".into(),
        currency: "BTC".into(),
        amount: "1".into(),
        kind: "DEPOSIT".into(),
        cause: cause(),
        ..SettleInboundRequest::default()
    };
    assert!(channels.settlements.clone().settle_inbound(deposit).await.is_err());
    assert_eq!(purse.balance(&btc).await, Balance::free("4.00000000"));
    // One bitcoin is worth more dollars than the house may owe.
    let dear = id(&purse.quote(&btc, &usd, "0.02").await);
    purse.execute(&dear).await.refused(422, "insufficient-funds");
    assert_eq!(purse.balance(&btc).await, Balance::free("4.00000000"), "nothing of it happened");
    let quote = purse.quote(&btc, &usd, "0.01").await;
    purse.execute(&id(&quote)).await.expect(200);
    assert_eq!(purse.balance(&usd).await, Balance::free(quote["amountOut"]["amount"].as_str().unwrap()));
    let more = id(&purse.quote(&btc, &usd, "0.001").await);
    purse.execute(&more).await.refused(422, "insufficient-funds");
    a_quote_expires(&purse, &usd, &eur).await;
    clean(&rig, &[]);
}
