//! Reading several times from one moment: what commits in between is not seen.

use crate::{Database, OrFault as _};
use beem_fault::{Fault, Result};
use futures::future::BoxFuture;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    TransactionTrait as _,
};
use std::marker::PhantomData;

/// In one round trip, and before the first query: that one takes the snapshot.
const ONE_SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// One moment of the database, to read from like from a connection ([`crate::Sql`]); it refuses to write.
///
/// `'e` is as in [`crate::Tx`].
pub struct Snapshot<'e> {
    inner: DatabaseTransaction,
    outside: PhantomData<fn(&'e ())>,
}

#[sea_orm::prelude::async_trait::async_trait]
impl ConnectionTrait for Snapshot<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.inner.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.inner.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.inner.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.inner.query_all_raw(statement).await
    }
}

impl Database {
    /// Runs `work` once with a handle whose every read sees the database as it was at the first one. Nobody waits for it
    /// and it waits for nobody, but it holds a connection of those for reading: neither inside [`Database::write`] nor for
    /// long. PostgreSQL ends it when 30 s pass between two statements; SQLite's journal grows until it ends.
    ///
    /// ```
    /// # use beem_database::{Database, Sql as _};
    /// # async fn both(db: &Database, id: uuid::Uuid) -> beem_fault::Result<()> {
    /// db.read_consistently(|at| Box::pin(async move {
    ///     let account = at.row("SELECT name FROM accounts WHERE id = $1", vec![id.into()]).await?;
    ///     let entries = at.rows("SELECT id FROM entries WHERE account_id = $1", vec![id.into()]).await?;
    ///     # let _ = (account, entries);
    ///     Ok(())
    /// })).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `work` answered; `unavailable` when the database is away. It is not run again.
    pub async fn read_consistently<'e, T, F>(&self, work: F) -> Result<T>
    where
        F: for<'t> FnOnce(&'t Snapshot<'e>) -> BoxFuture<'t, Result<T>> + Send,
        T: Send,
    {
        let readers = self.inner.readers.clone();
        // A task of its own, for the reason given where writing transactions begin.
        #[expect(clippy::disallowed_methods, reason = "ends by itself within the patience of the pool")]
        let begun = tokio::spawn(async move {
            let inner = readers.begin().await?;
            if inner.get_database_backend() == DbBackend::Postgres {
                inner.execute_unprepared(ONE_SNAPSHOT).await?;
            }
            Ok(inner)
        });
        let inner: Result<_, DbErr> = begun.await.map_err(Fault::internal)?;
        let snapshot = Snapshot { inner: inner.or_fault()?, outside: PhantomData };
        let answer = work(&snapshot).await;
        // Nothing was written; a rollback that fails breaks the connection, which ends it too.
        drop(snapshot.inner.rollback().await);
        answer
    }
}
