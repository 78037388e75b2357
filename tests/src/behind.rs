//! What is done to an installation behind its back: statements on the database of one of its services.

use crate::rig::{Rig, Shape};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
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
}
