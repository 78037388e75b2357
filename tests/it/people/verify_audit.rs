//! `beem admin verify-audit`: the trail as it is served and as it lies on disk; a row that was changed, removed or put in is
//! named, and so is a tail that was cut.

use beem_tests::people::{USERS, new_user};
use beem_tests::rig::Shape;
use beem_tests::{Rig, eventually, trail};
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use std::process::Output;

/// Seconds between two signed heads of a chain that grows.
const HEADS: &str = "BEEM__AUTHZ__AUDIT_HEAD_INTERVAL_S";

/// Writes some, and waits until the trail has them.
async fn fill(rig: &Rig) {
    for _ in 0..8 {
        rig.client().post(USERS, &new_user(&json!({}))).await.expect(201);
    }
    eventually("the trail has them", || async {
        (trail(&rig.client(), "action=CreateUser").await.len() >= 8).then_some(())
    })
    .await;
}

fn verify(rig: &Rig, more: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = rig.beem(&[&["admin", "verify-audit"], more].concat());
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    (status.code(), said)
}

fn clean(rig: &Rig, more: &[&str]) {
    let (code, said) = verify(rig, more);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(" 0 findings") && !said.contains("WRONG"), "{said}");
}

fn found(rig: &Rig, what: &str, word: &str) {
    let (code, said) = verify(rig, &[]);
    assert_eq!(code, Some(1), "{what}: {said}");
    let wrong: Vec<&str> = said.lines().filter(|l| l.starts_with("WRONG")).collect();
    assert!(wrong.iter().any(|l| l.contains(word)), "{what}: {said}");
}

/// The chain that is longest, on either database.
const CHAIN: &str =
    "account_id = (SELECT account_id FROM audit_events GROUP BY account_id ORDER BY count(*) DESC LIMIT 1)";

/// What somebody with the database does: what, how verify-audit calls it, and the statements.
fn tampering() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let at = |n: u8| format!("{CHAIN} AND sequence = {n}");
    let columns = "time_ms, actor_id, actor_kind, actor_name, action, target_type, target_id, outcome, before, after, \
        address, key_fingerprint, request_id";
    let changed = |set: &str| vec![format!("UPDATE audit_events SET {set} WHERE {}", at(4))];
    vec![
        ("an outcome", "changed", changed("outcome = 'role-missing'")),
        ("an actor", "changed", changed("actor_name = 'somebody else'")),
        ("a time", "changed", changed("time_ms = time_ms - 1")),
        (
            "a text moved over a border",
            "changed",
            changed("target_type = 'use', target_id = 'r' || target_id"),
        ),
        ("a row gone", "removed", vec![format!("DELETE FROM audit_events WHERE {}", at(4))]),
        (
            "a row gone, and the gap closed",
            "removed",
            vec![
                format!("DELETE FROM audit_events WHERE {}", at(4)),
                format!(
                    "UPDATE audit_events SET sequence = sequence + 100000 WHERE {CHAIN} AND sequence > 4"
                ),
                format!(
                    "UPDATE audit_events SET sequence = sequence - 100001 WHERE {CHAIN} AND sequence > 100000"
                ),
            ],
        ),
        (
            "a row put in",
            "inserted",
            vec![
                format!(
                    "UPDATE audit_events SET sequence = sequence + 100000 WHERE {CHAIN} AND sequence > 4"
                ),
                format!(
                    "UPDATE audit_events SET sequence = sequence - 99999 WHERE {CHAIN} AND sequence > 100000"
                ),
                format!(
                    "INSERT INTO audit_events (account_id, sequence, id, {columns}, hash) \
                     SELECT account_id, 5, @ID@, {columns}, hash FROM audit_events WHERE {}",
                    at(4)
                ),
            ],
        ),
        (
            "a row after the end",
            "",
            vec![format!(
                "INSERT INTO audit_events (account_id, sequence, id, {columns}, hash) \
                 SELECT account_id, sequence + 1, @ID@, {columns}, hash FROM audit_events WHERE {CHAIN} \
                 ORDER BY sequence DESC LIMIT 1"
            )],
        ),
        (
            "two rows swapped",
            "",
            vec![
                format!("UPDATE audit_events SET sequence = 100000 WHERE {}", at(4)),
                format!("UPDATE audit_events SET sequence = 4 WHERE {}", at(5)),
                format!("UPDATE audit_events SET sequence = 5 WHERE {CHAIN} AND sequence = 100000"),
            ],
        ),
    ]
}

#[tokio::test]
async fn embedded_what_was_done_to_the_trail_is_named() {
    let mut rig = Rig::start_embedded(&[(HEADS, "1")]);
    fill(&rig).await;
    clean(&rig, &[]);
    let heads = kept_heads(&rig);
    assert!(rig.embedded_mut().process.stop().unwrap().success());
    clean(&rig, &["--heads", heads.path().to_str().unwrap()]);
    let database = rig.embedded_mut().data_dir().join("authz.sqlite");
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", database.display())).await.unwrap();
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    connection.close().await.unwrap();
    let original = std::fs::read(&database).unwrap();
    for (what, word, statements) in tampering() {
        let url = format!("sqlite:{}", database.display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        for statement in statements {
            let statement = statement.replace("@ID@", "randomblob(16)");
            connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
        }
        connection.close().await.unwrap();
        found(&rig, what, word);
        std::fs::write(&database, &original).unwrap();
        for journal in ["authz.sqlite-wal", "authz.sqlite-shm"] {
            let _ = std::fs::remove_file(database.with_file_name(journal));
        }
    }
    clean(&rig, &[]);
    // A tail cut off together with the chain's own head: only heads kept elsewhere reach beyond it.
    let url = format!("sqlite:{}", database.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for statement in cut() {
        connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    }
    connection.close().await.unwrap();
    let (code, said) = verify(&rig, &["--heads", heads.path().to_str().unwrap()]);
    assert!(code == Some(1) && said.contains("WRONG"), "{said}");
}

/// Rows after the third, and whatever says that there were any.
fn cut() -> Vec<String> {
    vec![
        format!("DELETE FROM audit_heads WHERE {CHAIN} AND sequence > 3"),
        format!(
            "UPDATE audit_chains SET sequence = 3, signed_sequence = 0, \
             hash = (SELECT e.hash FROM audit_events e WHERE e.account_id = audit_chains.account_id AND e.sequence = 3) \
             WHERE {CHAIN}"
        ),
        format!("DELETE FROM audit_events WHERE {CHAIN} AND sequence > 3"),
    ]
}

/// What `audit-heads` prints, once every chain has a signed head.
fn kept_heads(rig: &Rig) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let printed = beem_testkit::eventually("signed heads", std::time::Duration::from_secs(60), || {
        let output = rig.beem(&["admin", "audit-heads"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let reaches = text.lines().any(|line| {
            let head: serde_json::Value = serde_json::from_str(line).unwrap();
            head["sequence"].as_u64().unwrap() > 3
        });
        Ok(reaches.then_some(text))
    });
    std::fs::write(file.path(), printed.unwrap()).unwrap();
    file
}

#[tokio::test]
async fn clustered_what_was_done_to_the_trail_is_named() {
    let rig = Rig::start_clustered(&[]);
    fill(&rig).await;
    clean(&rig, &[]);
    let Shape::Clustered(cluster) = &rig.shape else { unreachable!("it is a cluster") };
    let url = cluster.database("authz").unwrap();
    for (what, word, statements) in tampering() {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let keep = "CREATE TABLE kept AS SELECT * FROM audit_events";
        connection.execute(keep).await.unwrap();
        for statement in statements {
            let statement = statement.replace("@ID@", "gen_random_uuid()");
            connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
        }
        found(&rig, what, word);
        let back = "DELETE FROM audit_events; INSERT INTO audit_events SELECT * FROM kept; DROP TABLE kept";
        connection.execute(back).await.unwrap();
    }
    clean(&rig, &[]);
}
