//! `beem admin verify-ledger`, `ledger-heads`, `list-suspended`: books as they are served and as they lie on disk; what was
//! done to them by hand is named, and so is what was kept elsewhere and is no longer reached.

use super::books::{Inside, Purse, cause, clean, id, verify};
use beem_proto::ledger::v1::SettleInboundRequest;
use beem_tests::Rig;
use beem_tests::cluster_keys::ClusterKeys;
use beem_tests::forge::unique;
use beem_tests::rig::Shape;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use std::process::Output;
use std::time::Duration;

/// Seconds between two signed heads; the least there is.
const HEADS: (&str, &str) = ("BEEM__LEDGER__HEAD_INTERVAL_S", "10");

/// What somebody with the database does.
struct Tampering {
    what: &'static str,
    table: &'static str,
    statement: &'static str,
    /// One of these is how it is named.
    named: &'static [&'static str],
}

const fn tampering(
    what: &'static str,
    table: &'static str,
    statement: &'static str,
    named: &'static [&'static str],
) -> Tampering {
    Tampering { what, table, statement, named }
}

/// Each is good SQL on both databases, amounts apart: they are text on one of them.
const ALL: &[Tampering] = &[
    tampering(
        "a balance raised",
        "balances",
        "UPDATE balances SET total = '999900' WHERE owner IS NOT NULL AND currency = 'USD'",
        &["balances"],
    ),
    tampering(
        "a balance's number",
        "balances",
        "UPDATE balances SET sequence = sequence + 1 WHERE owner IS NOT NULL AND currency = 'USD'",
        &["balances"],
    ),
    tampering(
        "an entry's total",
        "entries",
        "UPDATE entries SET total = '999900' WHERE kind = 'CONVERSION_OUT' AND sequence = 2",
        &["entries"],
    ),
    tampering(
        "an entry's amount",
        "entries",
        "UPDATE entries SET amount = '1' WHERE kind = 'ADJUSTMENT' AND sequence = 1 AND amount = '10000'",
        &["entries"],
    ),
    tampering(
        "an entry gone",
        "entries",
        "DELETE FROM entries WHERE kind = 'CONVERSION_OUT' AND sequence = 2",
        &["entries", "balances", "transfers"],
    ),
    tampering(
        "a transfer's amount",
        "transfers",
        "UPDATE transfers SET amount = '1' WHERE kind = 'CONVERSION_OUT'",
        &["transfers", "entries"],
    ),
    tampering(
        "a transfer's reference",
        "transfers",
        "UPDATE transfers SET reference = 'another' WHERE kind = 'CONVERSION_OUT'",
        &["transfers", "entries"],
    ),
    tampering(
        "a transfer gone",
        "transfers",
        "DELETE FROM transfers WHERE kind = 'CONVERSION_OUT'",
        &["transfers", "entries"],
    ),
    tampering(
        "a quote carried out at another price",
        "quotes",
        "UPDATE quotes SET amount_out = '1' WHERE executed_ms IS NOT NULL",
        &["quotes"],
    ),
    tampering(
        "a quote not carried out yet",
        "quotes",
        "UPDATE quotes SET amount_out = '999900' WHERE executed_ms IS NULL",
        &["quotes"],
    ),
    tampering(
        "a wallet handed to another",
        "ledger_accounts",
        "UPDATE ledger_accounts SET name = 'mine' WHERE owner IS NOT NULL AND currency = 'USD'",
        &["ledger_accounts", "wallets", "entries"],
    ),
];

/// A credit, a conversion that was carried out and one that was not.
async fn fill(rig: &Rig) -> Purse {
    let purse = Purse(rig.client());
    let (usd, eur) = (purse.filled("USD", "100.00").await, purse.wallet("EUR").await);
    let quote = id(&purse.quote(&usd, &eur, "10.80").await);
    purse.execute(&quote).await.expect(200);
    purse.credit(&usd, "1.00").await;
    purse.quote(&usd, &eur, "1.08").await;
    purse
}

fn found(rig: &Rig, tampering: &Tampering) {
    let (code, said) = verify(rig, &[]);
    let Tampering { what, named, .. } = tampering;
    assert_eq!(code, Some(1), "{what}: {said}");
    let wrong: Vec<&str> = said.lines().filter(|l| l.starts_with("WRONG")).collect();
    assert!(wrong.iter().any(|l| named.iter().any(|name| l.contains(name))), "{what}: {said}");
}

fn printed(rig: &Rig, args: &[&str]) -> String {
    let Output { status, stdout, stderr } = rig.beem(&[&["admin"], args].concat());
    assert!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// What `ledger-heads` prints, once there is one.
fn kept_heads(rig: &Rig) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let heads = beem_testkit::eventually("a signed head", Duration::from_secs(60), || {
        let text = printed(rig, &["ledger-heads"]);
        Ok((!text.is_empty()).then_some(text))
    });
    let heads = heads.unwrap();
    for line in heads.lines() {
        let head: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(head["number"].as_u64().unwrap() > 0 && head["signature"].is_string(), "{head}");
    }
    std::fs::write(file.path(), heads).unwrap();
    file
}

#[tokio::test]
async fn embedded_what_was_done_to_the_books_is_named() {
    let mut rig = Rig::start_embedded(&[HEADS]);
    fill(&rig).await;
    clean(&rig, &[]);
    let heads = kept_heads(&rig);
    let heads = ["--heads", heads.path().to_str().unwrap()];
    clean(&rig, &heads);
    assert!(rig.embedded_mut().process.stop().unwrap().success());
    clean(&rig, &heads);
    let database = rig.embedded_mut().data_dir().join("ledger.sqlite");
    let url = format!("sqlite:{}", database.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    connection.close().await.unwrap();
    let original = std::fs::read(&database).unwrap();
    let put_back = || {
        std::fs::write(&database, &original).unwrap();
        for journal in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
            let _ = std::fs::remove_file(database.with_file_name(journal));
        }
    };
    for tampering in ALL {
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let done = connection.execute(tampering.statement).await.unwrap();
        assert!(done.rows_affected() > 0, "{}: nothing to tamper with", tampering.what);
        connection.close().await.unwrap();
        found(&rig, tampering);
        put_back();
    }
    clean(&rig, &heads);
    // Heads that were cut off leave no gap: only those kept elsewhere reach beyond.
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for statement in ["DELETE FROM head_entries", "DELETE FROM heads"] {
        connection.execute(statement).await.unwrap();
    }
    connection.close().await.unwrap();
    let (code, said) = verify(&rig, &heads);
    assert!(code == Some(1) && said.contains("WRONG"), "{said}");
    put_back();
    rig.embedded_mut().start_again().unwrap();
    clean(&rig, &heads);
    assert_eq!(printed(&rig, &["list-suspended"]).lines().filter(|l| l.starts_with('{')).count(), 0);
}

/// As it is served, without stopping writes.
#[tokio::test]
async fn clustered_what_was_done_to_the_books_is_named() {
    let rig = Rig::start_clustered(&[]);
    let purse = fill(&rig).await;
    // Nothing is signed from now on while it is not as it was.
    let heads = kept_heads(&rig);
    clean(&rig, &[]);
    let Shape::Clustered(cluster) = &rig.shape else { unreachable!("it is a cluster") };
    let mut connection = PgConnection::connect(cluster.database("ledger").unwrap()).await.unwrap();
    // What stands here is what somebody with the server's own rights can do.
    connection.execute("SET session_replication_role = replica").await.unwrap();
    for tampering in ALL {
        let table = tampering.table;
        let keep = format!("CREATE TABLE kept AS SELECT * FROM {table}");
        connection.execute(AssertSqlSafe(keep)).await.unwrap();
        let statement = tampering.statement;
        let done = connection.execute(statement).await.unwrap();
        assert!(done.rows_affected() > 0, "{}: nothing to tamper with", tampering.what);
        found(&rig, tampering);
        let back = format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept; DROP TABLE kept");
        connection.execute(AssertSqlSafe(back)).await.unwrap();
    }
    clean(&rig, &["--heads", heads.path().to_str().unwrap()]);
    suspended_deposits_are_listed(&rig, &purse).await;
}

async fn suspended_deposits_are_listed(rig: &Rig, purse: &Purse) {
    let keys = ClusterKeys::read(&rig.cluster_folder());
    let channels = Inside::channels(&keys);
    let usd = purse.wallet("USD").await;
    let key = format!("deposit:sandbox:{}:0", unique());
    let deposit = SettleInboundRequest {
        effect_key: key.clone(),
        account_id: rig.main.account_id.clone(),
        wallet_id: usd.clone(),
        network: "sandbox".into(),
        currency: "USDC".into(),
        amount: "25.5".into(),
        kind: "DEPOSIT".into(),
        cause: cause(),
        keep: true,
        ..SettleInboundRequest::default()
    };
    let kept = channels.settlements.clone().settle_inbound(deposit).await.unwrap().into_inner();
    assert_eq!((kept.state.as_str(), kept.reason.as_str()), ("SUSPENDED", "kept"));
    let said = printed(rig, &["list-suspended"]);
    assert!(said.contains(&key) && said.contains("25.5") && said.contains(&usd), "{said}");
    let release = beem_proto::ledger::v1::ReleaseInboundRequest { effect_key: key.clone() };
    let settled = channels.settlements.clone().release_inbound(release).await.unwrap().into_inner();
    assert_eq!(settled.state, "SETTLED");
    assert_eq!(purse.balance(&usd).await.total, "25.50");
    assert!(!printed(rig, &["list-suspended"]).contains(&key));
    clean(rig, &[]);
}
