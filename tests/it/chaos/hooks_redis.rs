//! Redis loses its data with deliveries pending: what waits is rows of a database, so that nothing of it is lost.

use super::installation::Installation;
use super::trying::within;
use crate::hooks::{WALLET_CREATED, deliveries, hook};
use crate::ledger::books::{Purse, id};
use beem_receiver::{Answer, Receiver};
use beem_tests::Client;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// More than are under way to one receiver at once.
const PENDING: usize = 12;
const ARRIVES: Duration = Duration::from_secs(60);

/// Whether Redis has what was put there before it died: what is asked of an empty one is not there.
async fn remembers(installation: &Installation, set: bool) -> bool {
    let client = redis::Client::open(installation.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    if set {
        redis::cmd("SET").arg("before").arg(1).query_async::<()>(&mut connection).await.unwrap();
    }
    redis::cmd("EXISTS").arg("before").query_async(&mut connection).await.unwrap()
}

/// A wallet at every gateway.
async fn wallets(installation: &Installation) -> Vec<String> {
    let mut wallets = Vec::new();
    for client in installation.everywhere(&installation.main) {
        wallets.push(Purse(client).wallet("USD").await);
    }
    wallets
}

/// How many of the hook's deliveries stand so.
async fn standing(client: &Client, made: &serde_json::Value, status: &str) -> usize {
    deliveries(client, made, &format!("?max=500&status={status}")).await.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_27_redis_comes_back_empty_and_everything_pending_arrives() {
    let mut installation = Installation::start(&[]);
    let client = installation.client();
    let receiver = Receiver::start(Answer::held()).await;
    let made = hook(&client, &receiver.url(), &[WALLET_CREATED]).await;
    let mut opened: Vec<String> = Vec::new();
    while opened.len() < PENDING {
        opened.extend(wallets(&installation).await);
    }
    receiver.wait_for(1).await;
    within(ARRIVES, "all are pending", async || {
        (standing(&client, &made, "PENDING").await == PENDING).then_some(())
    })
    .await;
    assert!(remembers(&installation, true).await);

    installation.redis.kill();
    // Requests are signed, verified and answered all the same, and make events that wait like the others.
    opened.extend(wallets(&installation).await);
    installation.redis.start_again().unwrap();
    assert!(!remembers(&installation, false).await, "it is empty");
    opened.extend(wallets(&installation).await);
    assert_eq!(standing(&client, &made, "DELIVERED").await, 0);

    receiver.answers(Answer::status(204));
    receiver.release();
    within(ARRIVES, "everything is delivered", async || {
        (standing(&client, &made, "DELIVERED").await == opened.len()).then_some(())
    })
    .await;
    let came: BTreeSet<String> = receiver.received().iter().map(|got| id(&got.json()["data"])).collect();
    assert_eq!(came, opened.iter().cloned().collect());
    // And what comes from now on.
    let test = client.post(&crate::hooks::under(&made, "/test"), &json!({})).await.expect(200);
    within(ARRIVES, "the test event comes", async || {
        receiver.received().iter().any(|got| test["eventId"] == got.event_id()).then_some(())
    })
    .await;
    installation.all_run();
}
