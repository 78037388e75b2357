//! Pages over a real table, with rows coming in between.

use crate::rig::{Rig, on_both};
use beem_database::page::{Order, Page, PageQuery};
use beem_database::{Database, OrFault as _, Sql as _};
use sea_orm::ActiveValue::Set;
use sea_orm::QueryResult;
use sea_orm::entity::prelude::*;

on_both!(pages_are_stable_under_inserts, offsets_skip_rows, a_list_by_hand_goes_by_time_and_a_number,);

mod row {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "rows")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub created_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

async fn table(rig: &Rig) -> Database {
    let db = rig.bare_process().await;
    let make = "CREATE TABLE rows (id ID PRIMARY KEY, created_ms BIGINT NOT NULL)";
    let id = if db.backend() == beem_database::Backend::Postgres { "UUID" } else { "BLOB" };
    let make = &make.replace("ID PRIMARY", &format!("{id} PRIMARY"));
    db.write(|tx| Box::pin(async move { tx.execute_unprepared(make).await.or_fault() })).await.unwrap();
    db
}

async fn insert(db: &Database, rows: impl Iterator<Item = (u128, i64)>) {
    let models: &Vec<_> = &rows
        .map(|(id, created_ms)| row::ActiveModel {
            id: Set(Uuid::from_u128(id)),
            created_ms: Set(created_ms),
        })
        .collect();
    db.write(|tx| {
        Box::pin(async move { row::Entity::insert_many(models.clone()).exec(tx).await.or_fault().map(drop) })
    })
    .await
    .unwrap();
}

async fn read(db: &Database, query: PageQuery<'_>) -> (Vec<u128>, String) {
    let page = Page::parse(query, "ListRows", b"account").unwrap();
    let select = page.select(row::Entity::find(), row::Column::CreatedMs, row::Column::Id);
    let rows = select.all(db.read()).await.unwrap();
    let (rows, token) = page.finish(rows, |r| (r.created_ms, r.id));
    (rows.iter().map(|r| r.id.as_u128()).collect(), token)
}

async fn pages_are_stable_under_inserts(rig: Rig) {
    let db = table(&rig).await;
    // Four rows to a millisecond, so that pages of three end inside one.
    insert(&db, (1..=40).map(|n| (n, i64::try_from(n).unwrap() / 4))).await;
    for order in ["desc", "asc"] {
        let mut seen = Vec::new();
        let mut token = String::new();
        let mut fresh = 1000;
        loop {
            let (rows, next) =
                read(&db, PageQuery { max: Some(3), page_token: &token, order, offset: None }).await;
            assert!(rows.len() <= 3);
            seen.extend(rows);
            // Rows at both ends, which are not this reader's any more or not yet.
            fresh += 1;
            if order == "desc" {
                insert(&db, std::iter::once((fresh, 5000))).await;
            }
            if next.is_empty() {
                break;
            }
            token = next;
        }
        let old: Vec<_> = seen.iter().copied().filter(|id| *id <= 40).collect();
        let mut expected: Vec<u128> = (1..=40).collect();
        if order == "desc" {
            expected.reverse();
            assert_eq!(seen.len(), 40, "nothing new slips into a list that is being read");
        }
        assert_eq!(old, expected);
    }
}

async fn offsets_skip_rows(rig: Rig) {
    let db = table(&rig).await;
    insert(&db, (1..=10).map(|n| (n, i64::try_from(n).unwrap()))).await;
    let (rows, token) = read(&db, PageQuery { max: Some(2), offset: Some(3), ..PageQuery::default() }).await;
    assert_eq!(rows, [7, 6]);
    let (rows, _) = read(&db, PageQuery { max: Some(2), page_token: &token, ..PageQuery::default() }).await;
    assert_eq!(rows, [5, 4], "and go on by token");
}

/// One page of a statement by hand; the numbers.
async fn read_by_hand(db: &Database, query: PageQuery<'_>) -> (Vec<i64>, String) {
    let page = Page::parse(query, "ListEntries", b"account").unwrap();
    let (beyond, order) = match page.order {
        Order::Asc => (">", "ASC"),
        Order::Desc => ("<", "DESC"),
    };
    let mut values = vec![page.limit().cast_signed().into(), i64::from(page.skipped()).into()];
    let mut place = String::new();
    if let Some((at_ms, id)) = page.after() {
        let sequence = id.as_u64_pair().1;
        values.extend([at_ms.into(), sequence.cast_signed().into()]);
        place = format!("WHERE (created_ms, sequence) {beyond} ($3, $4)");
    }
    let sql = format!(
        "SELECT created_ms, sequence FROM entries {place}
        ORDER BY created_ms {order}, sequence {order} LIMIT $1 OFFSET $2"
    );
    let rows = db.read().rows(&sql, values).await.unwrap();
    let number = |row: &QueryResult, column: &str| row.try_get::<i64>("", column).unwrap();
    let (rows, token) = page.finish(rows, |row| {
        (number(row, "created_ms"), Uuid::from_u64_pair(0, number(row, "sequence").cast_unsigned()))
    });
    (rows.iter().map(|row| number(row, "sequence")).collect(), token)
}

async fn a_list_by_hand_goes_by_time_and_a_number(rig: Rig) {
    let db = rig.bare_process().await;
    db.write(|tx| {
        Box::pin(async move {
            let make = "CREATE TABLE entries (created_ms BIGINT NOT NULL, sequence BIGINT NOT NULL)";
            tx.execute_unprepared(make).await.or_fault()?;
            for n in 1..=20_i64 {
                // Three of a millisecond.
                tx.run("INSERT INTO entries VALUES ($1, $2)", vec![(n / 3).into(), n.into()]).await?;
            }
            Ok(())
        })
    })
    .await
    .unwrap();
    for order in ["desc", "asc"] {
        for skipped in [None, Some(4)] {
            let first = PageQuery { max: Some(7), offset: skipped, order, ..PageQuery::default() };
            let (mut seen, mut token) = read_by_hand(&db, first).await;
            assert_eq!(seen.len(), 7);
            while !token.is_empty() {
                let next = PageQuery { max: Some(7), page_token: &token, order, offset: None };
                let (rows, following) = read_by_hand(&db, next).await;
                seen.extend(rows);
                token = following;
            }
            let mut all: Vec<i64> = (1..=20).collect();
            if order == "desc" {
                all.reverse();
            }
            assert_eq!(seen, all[usize::try_from(skipped.unwrap_or(0)).unwrap()..]);
        }
    }
}
