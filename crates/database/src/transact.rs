//! Transactions. One helper begins them all: IMMEDIATE on SQLite (a transaction that reads first and writes later fails
//! at once there), READ COMMITTED on PostgreSQL with locks taken by hand.

use crate::connect::ACQUIRE_PATIENCE;
use crate::failure::{may_run_again, of_commit};
use crate::{Backend, Database, OrFault as _, kind_of};
use beem_clock::{Clock, Entropy, Moment};
use beem_fault::{Fault, Result};
use beem_sealing::Sealing;
use futures::future::BoxFuture;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, ExecResult, QueryResult,
    QuerySelect as _, Select, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _,
};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Runs of one transaction at most.
const MAX_RUNS: u32 = 5;
/// The wait before the second run, doubled before each further one and jittered down to its half.
const FIRST_BACKOFF_MS: u64 = 10;

/// A transaction under way: takes statements like a connection.
///
/// `'e` is what the closure may borrow from outside: that `&'t Tx<'e>` exists tells the compiler that `'e` outlives `'t`,
/// so a future that lives for `'t` may hold borrows of `'e`. Contravariant, so that a closure may wrap another.
pub struct Tx<'e> {
    inner: DatabaseTransaction,
    now: Moment,
    clock: Clock,
    entropy: Entropy,
    pub(crate) sealing: Option<Sealing>,
    announces: AtomicBool,
    /// Given back when the transaction has ended.
    _permit: OwnedSemaphorePermit,
    outside: PhantomData<fn(&'e ())>,
}

impl Tx<'_> {
    /// The moment this run of the transaction began: the one time of everything it writes.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// For what must be timed after a lock it waited for. Everything else takes [`Tx::now`].
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// For the ids drawn inside.
    #[must_use]
    pub fn entropy(&self) -> &Entropy {
        &self.entropy
    }

    #[must_use]
    pub fn backend(&self) -> Backend {
        Backend::of(self.inner.get_database_backend())
    }

    /// Wakes whoever waits in [`Database::announced`], once this has committed.
    pub fn announce(&self) {
        self.announces.store(true, Ordering::Relaxed);
    }
}

#[sea_orm::prelude::async_trait::async_trait]
impl ConnectionTrait for Tx<'_> {
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

/// Locks the rows a query reads until the transaction ends. PostgreSQL: `FOR UPDATE`. SQLite has no row locks and needs
/// none: its transaction began IMMEDIATE and is the only writer there is.
#[must_use]
pub fn lock_row<E: EntityTrait>(tx: &Tx<'_>, query: Select<E>) -> Select<E> {
    match tx.backend() {
        Backend::Postgres => query.lock_exclusive(),
        Backend::Sqlite => query,
    }
}

impl Database {
    /// Runs `work` in a transaction and commits when it answers `Ok`. It may run several times: it has no effect but
    /// through `tx`, takes what it needs by reference, and never begins another `write`.
    ///
    /// ```
    /// # use beem_database::{Database, Sql as _};
    /// # async fn rename(db: &Database, id: uuid::Uuid, name: String) -> beem_fault::Result<u64> {
    /// let name = &name;
    /// let sql = "UPDATE clients SET name = $2 WHERE id = $1";
    /// db.write(|tx| Box::pin(async move { tx.run(sql, vec![id.into(), name.into()]).await })).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `work` refused. `unavailable` when the database is away, when conflicts did not end within five runs, and
    /// when the connection broke during COMMIT: then it is not known whether it happened, and it is not run again.
    pub async fn write<'e, T, F>(&self, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<T>> + Send + Sync,
        T: Send,
    {
        let mut run = 1;
        loop {
            let fault = match self.write_once(&work).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            if run >= MAX_RUNS || !may_run_again(&fault) {
                return Err(fault);
            }
            tracing::debug!(run, kind = ?kind_of(&fault), "a transaction is run again");
            tokio::time::sleep(self.backoff(run)).await;
            run += 1;
        }
    }

    /// Until a transaction of this process that called [`Tx::announce`] has committed. For one waiter; a hint only.
    pub async fn announced(&self) {
        self.inner.announced.notified().await;
    }

    async fn write_once<'e, T, F>(&self, work: &F) -> Result<T>
    where
        F: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<T>> + Send + Sync,
        T: Send,
    {
        let tx = self.begin().await?;
        match work(&tx).await {
            Ok(answer) => {
                let Tx { inner, _permit, announces, .. } = tx;
                inner.commit().await.map_err(of_commit)?;
                if announces.into_inner() {
                    self.inner.announced.notify_one();
                }
                Ok(answer)
            }
            Err(fault) => {
                // A rollback that fails breaks the connection, which rolls back too.
                drop(tx.inner.rollback().await);
                Err(fault)
            }
        }
    }

    async fn begin<'e>(&self) -> Result<Tx<'e>> {
        let permits = self.inner.writers.clone();
        let permit = tokio::time::timeout(ACQUIRE_PATIENCE, permits.acquire_owned())
            .await
            .map_err(|_| Fault::unavailable("the queue of writers did not move"))?
            .map_err(Fault::internal)?;
        let writer = self.inner.writer.clone();
        // sqlx forgets a BEGIN whose caller goes away before PostgreSQL has answered it, and the connection returns to
        // the pool inside a transaction. A task of its own always hears the answer; dropped, it rolls back.
        #[expect(clippy::disallowed_methods, reason = "ends by itself within the patience of the pool")]
        let begun = tokio::spawn(async move {
            let sqlite_transaction_mode = Some(SqliteTransactionMode::Immediate);
            let options = TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
            (writer.begin_with_options(options).await, permit)
        });
        let (begun, permit) = begun.await.map_err(Fault::internal)?;
        Ok(Tx {
            inner: begun.or_fault()?,
            now: self.inner.clock.now(),
            clock: self.inner.clock.clone(),
            entropy: self.inner.entropy.clone(),
            sealing: self.sealing.clone(),
            announces: AtomicBool::new(false),
            _permit: permit,
            outside: PhantomData,
        })
    }

    fn backoff(&self, run: u32) -> Duration {
        let full = FIRST_BACKOFF_MS << run.min(8);
        let random = u64::from_le_bytes(self.inner.entropy.bytes());
        Duration::from_millis(full / 2 + random % (full / 2 + 1))
    }
}
