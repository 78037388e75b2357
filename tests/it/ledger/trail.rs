//! What is told of money: rows of the audit trail, and events on the ledger's feed.

use super::books::{As, Purse, QUOTES, WALLETS, id};
use beem_proto::events::v1::feed_client::FeedClient;
use beem_proto::events::v1::{Event, SubscribeRequest};
use beem_tests::cluster_keys::ClusterKeys;
use beem_tests::{Rig, eventually, on_both_shapes, trail};
use serde_json::{Value, json};
use tonic::service::interceptor::InterceptedService;

async fn writes_of_money_are_rows_of_the_trail(rig: &Rig) {
    let purse = Purse::new(rig);
    let (usd, eur) = (purse.wallet("USD").await, purse.wallet("EUR").await);
    let quote = id(&purse.quote(&usd, &eur, "1.08").await);
    purse.execute(&quote).await.refused(422, "insufficient-funds");
    purse.credit(&usd, "5.00").await;
    purse.execute(&quote).await.expect(200);
    let rows = async |action: &str, count: usize| {
        eventually(&format!("{count} rows of {action}"), || async {
            let rows = trail(&purse.0, &format!("action={action}")).await;
            assert!(rows.len() <= count, "{rows:#?}");
            (rows.len() == count).then_some(rows)
        })
        .await
    };
    let wallets = rows("CreateWallet", 2).await;
    assert_eq!(wallets[1]["target"], json!({ "type": "wallet", "id": usd }));
    assert_eq!(wallets[0]["target"]["id"], eur.as_str());
    let quotes = rows("CreateQuote", 1).await;
    assert_eq!(quotes[0]["target"], json!({ "type": "quote", "id": quote }));
    let credits = rows("CreateCredit", 1).await;
    assert_eq!(credits[0]["target"], json!({ "type": "wallet", "id": usd }));
    let executed = rows("ExecuteQuote", 2).await;
    let outcomes: Vec<&Value> = executed.iter().map(|row| &row["outcome"]).collect();
    assert_eq!(outcomes, ["done", "insufficient-funds"]);
    for row in executed.iter().chain(&wallets).chain(&quotes).chain(&credits) {
        assert_eq!(row["actor"]["name"], purse.0.creds.client_id.as_str());
        assert_eq!(row["keyFingerprint"], purse.0.creds.key.public().fingerprint().to_string());
    }
    assert!(executed.iter().all(|row| row["target"]["id"] == quote.as_str()), "{executed:#?}");
}

/// Everything on the ledger's feed of one account.
async fn events_of(keys: &ClusterKeys, account: &str) -> Vec<Event> {
    let service = InterceptedService::new(keys.channel("ledger"), As(keys.identity("admin")));
    let mut feed = FeedClient::new(service);
    let (mut epoch, mut after, mut all) = (String::new(), 0, Vec::new());
    loop {
        let ask = SubscribeRequest { epoch, after, max: 500, wait_ms: 0 };
        let answer = feed.subscribe(ask).await.unwrap().into_inner();
        epoch = answer.epoch;
        let Some(last) = answer.events.last() else { return all };
        after = last.position;
        all.extend(answer.events.into_iter().filter(|e| e.account_id == account));
    }
}

#[tokio::test]
async fn clustered_wallets_and_conversions_are_events() {
    let rig = Rig::clustered();
    let purse = Purse::new(rig);
    let (usd, eur) = (purse.filled("USD", "10.00").await, purse.wallet("EUR").await);
    let made = purse.0.post(WALLETS, &json!({ "currency": "BTC", "name": "x" })).await.expect(201);
    let quote = id(&purse.quote(&usd, &eur, "1.08").await);
    purse.execute(&quote).await.expect(200);
    purse.execute(&quote).await.refused(422, "quote-used");
    let keys = ClusterKeys::read(&rig.cluster_folder());
    let events = eventually("three wallets and a conversion", || async {
        let events = events_of(&keys, &purse.0.creds.account_id).await;
        (events.len() >= 4).then_some(events)
    })
    .await;
    assert_eq!(events.len(), 4, "{events:#?}");
    let of = |kind: &str| events.iter().filter(|e| e.event == kind).collect::<Vec<_>>();
    let wallets = of("layer1:ledger:wallet:created");
    assert_eq!(wallets.iter().map(|e| e.entity_id.as_str()).collect::<Vec<_>>(), [&usd, &eur, &id(&made)]);
    assert!(events.iter().all(|e| e.source == "ledger" && e.sequence == 1), "{events:#?}");
    // As GET answers it.
    let data: Value = serde_json::from_str(&wallets[2].data).unwrap();
    assert_eq!(data, made);
    let converted = of("layer1:ledger:conversion:executed");
    assert_eq!((converted.len(), converted[0].entity_id.as_str()), (1, quote.as_str()));
    let data: Value = serde_json::from_str(&converted[0].data).unwrap();
    assert_eq!(data, purse.0.get(&format!("{QUOTES}/{quote}")).await.expect(200));
}

on_both_shapes!(writes_of_money_are_rows_of_the_trail);
