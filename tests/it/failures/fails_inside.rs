//! Row 7: what fails inside, in the middle of a write, does not use up the key: the same one succeeds later, once.

use crate::chaos::installation::{House, Installation};
use crate::chaos::trying::{Write, is_certain};
use beem_signing::KeyKind;
use beem_tests::creds::new_key;
use beem_tests::forge::unique;
use beem_tests::rig::Shape;
use beem_tests::{Client, Rig};
use serde_json::json;
use sqlx::Connection as _;

const CLIENTS: &str = "/platform/v1/clients";

fn write(name: &str) -> Write {
    let body = json!({
        "name": name,
        "publicKey": new_key(KeyKind::Ed25519).public().pem(),
        "roles": ["hook:viewer"],
    });
    Write { method: "POST", target: CLIENTS.into(), body, key: unique() }
}

async fn made_once(clients: &[Client], write: &Write) {
    let made = write.persist(clients).await.expect(201);
    assert_eq!(made["roles"], json!(["layer1:role:hook:viewer"]));
    for client in clients {
        let again = write.attempt(client).await.unwrap();
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.expect(201), made);
        let list = client.get(&format!("{CLIENTS}?max=500")).await.expect(200);
        let found = list["content"].as_array().unwrap().iter().filter(|c| c["name"] == write.body["name"]);
        assert_eq!(found.count(), 1);
    }
}

/// Somebody holds authz's table, so that it reads and cannot write: the gateway lets the request in, identity begins, and
/// in the middle authz is killed.
#[tokio::test]
async fn clustered_row_7_a_service_that_dies_half_way_does_not_burn_the_key() {
    let mut installation = Installation::start(&[]);
    let (write, client) = (write(&unique()), installation.client());
    client.get(CLIENTS).await.expect(200);
    let url = installation.cluster.database("authz").unwrap().to_owned();
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let mut held = connection.begin().await.unwrap();
    sqlx::query("LOCK TABLE standings IN EXCLUSIVE MODE").execute(&mut *held).await.unwrap();
    let attempt = write.attempt(&client);
    let killing = async {
        // It is half way once authz waits for the table.
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        loop {
            let waiting: i64 = sqlx::query_scalar(waits).fetch_one(&mut *held).await.unwrap();
            if waiting > 0 {
                break installation.cluster.kill("authz").unwrap();
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let (first, ()) = tokio::join!(attempt, killing);
    first.unwrap().refused(503, "unavailable");
    held.rollback().await.unwrap();
    installation.cluster.start_again("authz").unwrap();
    let house = House::Clustered(Box::new(installation));
    made_once(&house.everywhere(house.main()), &write).await;
    let claims = house.column("identity", "SELECT count(*) AS one FROM claims WHERE state = 'RUNNING'").await;
    assert_eq!(claims, ["0"]);
}

/// Somebody holds authz's file, so that it reads and cannot write, until it gives up.
#[tokio::test]
async fn embedded_row_7_a_service_that_fails_half_way_does_not_burn_the_key() {
    let rig = Rig::start_embedded(&[]);
    let (write, client) = (write(&unique()), rig.client());
    client.get(CLIENTS).await.expect(200);
    let Shape::Embedded(embedded) = &rig.shape else { unreachable!("it is embedded") };
    let file = embedded.data_dir().join("authz.sqlite");
    let mut connection =
        sqlx::SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    let first = write.attempt(&client).await.unwrap();
    assert!(!is_certain(&first), "{}", first.text());
    sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
    drop(connection);
    let house = House::Embedded(Box::new(rig));
    made_once(&house.everywhere(house.main()), &write).await;
    let claims = house.column("identity", "SELECT count(*) AS one FROM claims WHERE state = 'RUNNING'").await;
    assert_eq!(claims, ["0"]);
}
