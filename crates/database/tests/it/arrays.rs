//! Whole columns as parameters: PostgreSQL gives back what went in.

use crate::rig::{Kind, Rig};
use beem_database::{Database, OrFault as _, Sql as _, array};
use sea_orm::{TryGetable, Value};
use uuid::Uuid;

async fn column<T: TryGetable>(db: &Database, cast: &str, rows: Value) -> Vec<T> {
    let sql = format!(
        "SELECT value FROM UNNEST($1::{cast}[]) WITH ORDINALITY AS rows (value, place) ORDER BY place"
    );
    let rows = db.read().rows(&sql, vec![rows]).await.unwrap();
    rows.iter().map(|row| row.try_get("", "value").or_fault().unwrap()).collect()
}

const TEXTS: [&str; 9] =
    ["", "NULL", "a,b", "{}", "\"quoted\"", "back\\slash\\", " spaced\n", "Zürich €", "\\x00"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_come_back_as_they_went() {
    let db = Rig::new(Kind::Postgres).bare_process().await;
    let ids = [Uuid::nil(), Uuid::from_u128(7), Uuid::max()];
    assert_eq!(column::<Uuid>(&db, "uuid", array::uuids(ids)).await, ids);
    assert_eq!(column::<String>(&db, "text", array::texts(TEXTS)).await, TEXTS);
    let bytes = [vec![], vec![0, 255], b"\\x5c\"".to_vec()];
    assert_eq!(column::<Vec<u8>>(&db, "bytea", array::bytes(bytes.clone())).await, bytes);
    let longs = [i64::MIN, -1, 0, i64::MAX];
    assert_eq!(column::<i64>(&db, "bigint", array::longs(longs)).await, longs);
    assert_eq!(column::<bool>(&db, "boolean", array::flags([true, false])).await, [true, false]);
    // Amounts, which go and come as text.
    let largest = i128::MAX.to_string();
    let sum = "SELECT sum(value)::text AS value FROM UNNEST($1::numeric[]) AS rows (value)";
    let amounts = array::texts([largest.as_str(), "-1"]);
    let row = db.read().row(sum, vec![amounts]).await.unwrap().unwrap();
    assert_eq!(row.try_get::<String>("", "value").unwrap(), (i128::MAX - 1).to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nulls_come_back_as_nulls() {
    let db = Rig::new(Kind::Postgres).bare_process().await;
    let ids = [Some(Uuid::max()), None, Some(Uuid::nil())];
    assert_eq!(column::<Option<Uuid>>(&db, "text::uuid", array::optional_uuids(ids)).await, ids);
    let texts: Vec<_> = TEXTS.iter().map(|text| Some((*text).to_owned())).chain([None]).collect();
    assert_eq!(
        column::<Option<String>>(&db, "text::text", array::optional_texts(texts.clone())).await,
        texts
    );
    let longs = [None, Some(i64::MIN), Some(i64::MAX)];
    assert_eq!(column::<Option<i64>>(&db, "text::bigint", array::optional_longs(longs)).await, longs);
    let bytes = [None, Some(vec![]), Some(vec![0, b'"', b'\\', 255])];
    assert_eq!(
        column::<Option<Vec<u8>>>(&db, "text::bytea", array::optional_bytes(bytes.clone())).await,
        bytes
    );
    let amounts = array::optional_texts([None, Some(i128::MIN)]);
    let sql = "SELECT count(value) AS n FROM UNNEST($1::text::numeric[]) AS rows (value)";
    let row = db.read().row(sql, vec![amounts]).await.unwrap().unwrap();
    assert_eq!(row.try_get::<i64>("", "n").unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_rows_are_no_rows() {
    let db = Rig::new(Kind::Postgres).bare_process().await;
    assert!(column::<Uuid>(&db, "uuid", array::uuids([])).await.is_empty());
    assert!(column::<String>(&db, "text", array::texts::<String>([])).await.is_empty());
    assert!(column::<Vec<u8>>(&db, "bytea", array::bytes::<Vec<u8>>([])).await.is_empty());
    assert!(column::<i64>(&db, "bigint", array::longs([])).await.is_empty());
    assert!(column::<bool>(&db, "boolean", array::flags([])).await.is_empty());
    assert!(column::<Option<i64>>(&db, "text::bigint", array::optional_longs([])).await.is_empty());
}
