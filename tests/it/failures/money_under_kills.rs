//! Rows 7 and 8 where money moves: what is killed or held up half way leaves nothing half done, and does not use up the key.

use crate::chaos::installation::{Held, House, Installation};
use crate::chaos::trying::{Write, is_certain};
use crate::ledger::books::{Balance, CREDITS, Purse, accept, clean, credit, id};
use beem_tests::Rig;
use beem_tests::forge::unique;
use beem_tests::rig::Shape;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use std::time::Duration;

/// So that a write which cannot go on is answered soon.
const DEADLINE: (&str, &str) = ("BEEM__GATEWAY__DEADLINE_MS", "2000");

/// The books, held so that they can be read and a write stays half way: its rows before are written, and these are not.
async fn hold(house: &House, table: &str) -> Held {
    match house {
        House::Clustered(installation) => {
            let url = installation.cluster.database("ledger").unwrap();
            let mut connection = PgConnection::connect(url).await.unwrap();
            sqlx::query("BEGIN").execute(&mut connection).await.unwrap();
            let lock = format!("LOCK TABLE {table} IN EXCLUSIVE MODE");
            sqlx::query(sqlx::AssertSqlSafe(lock)).execute(&mut connection).await.unwrap();
            Held::Postgres(connection)
        }
        House::Embedded(rig) => {
            let Shape::Embedded(embedded) = &rig.shape else { unreachable!("it is embedded") };
            let file = embedded.data_dir().join("ledger.sqlite");
            let mut connection =
                SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
            sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
            Held::Sqlite(connection)
        }
    }
}

fn verified(house: &House) {
    match house {
        House::Embedded(rig) => clean(rig, &[]),
        House::Clustered(installation) => {
            let said = installation.cluster.admin(&["verify-ledger"]).unwrap();
            assert!(said.contains(" 0 findings"), "{said}");
        }
    }
}

fn purse(house: &House) -> Purse {
    Purse(house.everywhere(house.main()).remove(0))
}

/// The one write of these tests that moves two currencies.
async fn conversion(purse: &Purse, usd: &str, usdc: &str) -> Write {
    let target = accept(&id(&purse.quote(usd, usdc, "10.80").await));
    Write { method: "PUT", target, body: Value::Null, key: unique() }
}

async fn row_7(house: House) {
    let purse = purse(&house);
    let (usd, usdc) = (purse.filled("USD", "100.00").await, purse.wallet("USDC").await);
    for table in ["entries", "balances"] {
        let write = conversion(&purse, &usd, &usdc).await;
        let before = purse.balance(&usd).await;
        let held = hold(&house, table).await;
        let first = write.attempt(&purse.0).await.unwrap();
        assert!(!is_certain(&first), "{table}: {}", first.text());
        assert_eq!(purse.balance(&usd).await, before, "nothing of it is there");
        held.release().await;
        write.persist(&house.everywhere(house.main())).await.expect(200);
        let again = write.attempt(&purse.0).await.unwrap();
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    assert_eq!(purse.balance(&usd).await, Balance::free("78.40"), "each of the two once");
    assert_eq!(purse.balance(&usdc).await, Balance::free("21.600000"));
    verified(&house);
}

#[tokio::test]
async fn clustered_row_7_a_write_of_money_that_is_held_up_does_not_burn_the_key() {
    row_7(House::Clustered(Box::new(Installation::start(&[DEADLINE])))).await;
}

#[tokio::test]
async fn embedded_row_7_a_write_of_money_that_is_held_up_does_not_burn_the_key() {
    row_7(House::Embedded(Box::new(Rig::start_embedded(&[DEADLINE])))).await;
}

/// Killed between the rows of one write, the ledger and then PostgreSQL: none of them is there, and the same key does it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clustered_row_8_a_kill_between_record_and_balance_leaves_neither() {
    let mut house = House::Clustered(Box::new(Installation::start(&[DEADLINE])));
    let purse = purse(&house);
    let (usd, usdc) = (purse.filled("USD", "100.00").await, purse.wallet("USDC").await);
    let mut wanted = 10_000;
    for victim in ["ledger", "postgres"] {
        let write = conversion(&purse, &usd, &usdc).await;
        let before = purse.balance(&usd).await;
        let mut held = hold(&house, "entries").await;
        let dies = async {
            held.half_way(&house).await;
            tokio::task::block_in_place(|| house.kill(victim));
        };
        let (first, ()) = tokio::join!(write.attempt(&purse.0), dies);
        assert!(!first.as_ref().is_ok_and(is_certain), "{victim}: {first:?}");
        if victim == "ledger" {
            held.release().await;
        } else {
            drop(held);
        }
        tokio::task::block_in_place(|| house.start_again(victim));
        let now = crate::chaos::trying::within(Duration::from_secs(30), "it serves again", async || {
            let answer = purse.0.get(&format!("/api/v1/wallets/{usd}")).await;
            (answer.status == 200).then(|| Balance::of(&answer.json()["balance"]))
        })
        .await;
        assert_eq!(now, before, "nothing of it is there");
        verified(&house);
        write.persist(&house.everywhere(house.main())).await.expect(200);
        wanted -= 1_080;
        assert_eq!(crate::ledger::books::minor(&purse.balance(&usd).await.total), wanted);
    }
    house.all_run();
    verified(&house);
}

/// Many at once, killed when the first is answered: the answered ones are there, the others whole or absent, and each
/// once when its key is used again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_row_8_a_kill_between_record_and_balance_leaves_neither() {
    let mut house = House::Embedded(Box::new(Rig::start_embedded(&[])));
    let purse = purse(&house);
    let (usd, usdc) = (purse.filled("USD", "1000.00").await, purse.wallet("USDC").await);
    let mut writes = Vec::new();
    for _ in 0..3 {
        for _ in 0..8 {
            writes.push(conversion(&purse, &usd, &usdc).await);
            let body = credit(&usdc, "1.00");
            writes.push(Write { method: "POST", target: CREDITS.into(), body, key: unique() });
        }
        let rest = {
            let mut asked: FuturesUnordered<_> = writes
                .iter()
                .map(|write| async { (write.key.clone(), write.attempt(&purse.0).await) })
                .collect();
            let mut answered = vec![asked.next().await.unwrap()];
            tokio::task::block_in_place(|| house.kill("beem"));
            answered.extend(asked.collect::<Vec<_>>().await);
            answered
        };
        tokio::task::block_in_place(|| house.start_again("beem"));
        verified(&house);
        for (key, first) in rest {
            let write = writes.iter().find(|w| w.key == key).unwrap();
            let again = write.persist(std::slice::from_ref(&purse.0)).await;
            assert!(matches!(again.status, 200 | 201), "{}", again.text());
            if let Ok(first) = first.as_ref().map_err(drop).and_then(|a| is_certain(a).then_some(a).ok_or(()))
            {
                assert_eq!(
                    (first.status, first.json()),
                    (again.status, again.json()),
                    "what was answered stays"
                );
                assert_eq!(again.header("idempotent-replayed"), Some("true"));
            }
        }
    }
    // 24 of each.
    assert_eq!(purse.balance(&usd).await, Balance::free("740.80"));
    assert_eq!(purse.balance(&usdc).await, Balance::free("283.200000"));
    verified(&house);
}
