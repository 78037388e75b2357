//! Row 7: what fails inside, in the middle of a write, does not use up the key: the same one succeeds later, once.
//! Somebody holds authz's table of standings, so that the gateway lets the request in, identity begins, and cannot end.

use crate::chaos::installation::{House, Installation};
use crate::chaos::trying::{Write, is_certain};
use beem_signing::KeyKind;
use beem_tests::Rig;
use beem_tests::creds::new_key;
use beem_tests::forge::unique;
use serde_json::json;

const CLIENTS: &str = "/platform/v1/clients";

fn write() -> Write {
    let key = new_key(KeyKind::Ed25519);
    let body = json!({ "name": unique(), "publicKey": key.public().pem(), "roles": ["hook:viewer"] });
    Write { method: "POST", target: CLIENTS.into(), body, key: unique() }
}

/// The same key succeeds, with one effect, at every gateway.
async fn made_once(house: &House, write: &Write) {
    let clients = house.everywhere(house.main());
    let made = write.persist(&clients).await.expect(201);
    assert_eq!(made["roles"], json!(["layer1:role:hook:viewer"]));
    for client in &clients {
        let again = write.attempt(client).await.unwrap();
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.expect(201), made);
        let list = client.get(&format!("{CLIENTS}?max=500")).await.expect(200);
        let found = list["content"].as_array().unwrap().iter().filter(|c| c["name"] == write.body["name"]);
        assert_eq!(found.count(), 1);
    }
    let running = "SELECT count(*) AS one FROM claims WHERE state = 'RUNNING'";
    assert_eq!(house.column("identity", running).await, ["0"]);
}

#[tokio::test]
async fn clustered_row_7_a_service_that_dies_half_way_does_not_burn_the_key() {
    let mut house = House::Clustered(Box::new(Installation::start(&[])));
    let (write, client) = (write(), house.everywhere(house.main()).remove(0));
    client.get(CLIENTS).await.expect(200);
    let mut held = house.hold_standings().await;
    let dies = async {
        held.half_way(&house).await;
        house.kill("authz");
    };
    let (first, ()) = tokio::join!(write.attempt(&client), dies);
    first.unwrap().refused(503, "unavailable");
    held.release().await;
    house.start_again("authz");
    made_once(&house, &write).await;
}

#[tokio::test]
async fn embedded_row_7_a_service_that_fails_half_way_does_not_burn_the_key() {
    let house = House::Embedded(Box::new(Rig::start_embedded(&[])));
    let (write, client) = (write(), house.everywhere(house.main()).remove(0));
    client.get(CLIENTS).await.expect(200);
    let held = house.hold_standings().await;
    let first = write.attempt(&client).await.unwrap();
    assert!(!is_certain(&first), "{}", first.text());
    held.release().await;
    made_once(&house, &write).await;
}
