//! What is done to an installation behind its back: statements on the database of one of its services.

use crate::rig::{Rig, Shape};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};
use std::time::Duration;

/// A running service writes, too.
const PATIENCE: Duration = Duration::from_secs(10);

impl Rig {
    /// Runs one statement that both databases understand; how many rows it changed.
    pub async fn execute(&self, service: &str, statement: &str) -> u64 {
        let statement = AssertSqlSafe(statement.to_owned());
        match &self.shape {
            Shape::Embedded(embedded) => {
                let file = embedded.data_dir().join(format!("{service}.sqlite"));
                let options = SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE);
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::query(statement).execute(&mut connection).await.unwrap().rows_affected()
            }
            Shape::Clustered(cluster) => {
                let mut connection = PgConnection::connect(cluster.database(service).unwrap()).await.unwrap();
                sqlx::query(statement).execute(&mut connection).await.unwrap().rows_affected()
            }
        }
    }
    /// The first column of a query that both databases understand, as text: `SELECT CAST(total AS TEXT) FROM …`.
    pub async fn column(&self, service: &str, query: &str) -> Vec<String> {
        let query = AssertSqlSafe(query.to_owned());
        match &self.shape {
            Shape::Embedded(embedded) => {
                let file = embedded.data_dir().join(format!("{service}.sqlite"));
                let options = SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE);
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Shape::Clustered(cluster) => {
                let mut connection = PgConnection::connect(cluster.database(service).unwrap()).await.unwrap();
                let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }
}
