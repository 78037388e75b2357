//! What a group of orders reads and writes, in bulk. Two implementations: on PostgreSQL few round trips, of statements
//! with arrays, whose text never changes; on SQLite, inserts of many rows. One conformance suite runs over both.

mod holds;
mod postgres;
mod sqlite;

pub use holds::{HOLD_COLUMNS, read_hold};

use crate::domain::{Balance, Changes, Hold};
use beem_database::claims::effects::{Known, Settled};
use beem_database::{Backend, Tx};
use beem_fault::Result;
use beem_ids::{HoldId, LedgerAccountId};
use sea_orm::prelude::async_trait::async_trait;
use std::collections::HashMap;

/// What is known under the effect keys of a group, and the balances of its accounts.
pub type Opened = (HashMap<String, Known>, Vec<Balance>);

#[async_trait]
pub trait Bulk: Send + Sync {
    /// The balances of those accounts that exist, locked until the transaction ends, in the order of their ids, so that two
    /// transactions never wait for each other in a circle. `ids` are sorted and without repeats.
    async fn lock_balances(&self, tx: &Tx<'_>, ids: &[LedgerAccountId]) -> Result<Vec<Balance>>;

    /// The holds that exist, locked likewise. To be called before [`Bulk::lock_balances`].
    async fn lock_holds(&self, tx: &Tx<'_>, ids: &[HoldId]) -> Result<Vec<Hold>>;

    /// What is remembered under these effect keys, without repeats, and the balances as [`Bulk::lock_balances`].
    async fn open(&self, tx: &Tx<'_>, keys: &[&str], ids: &[LedgerAccountId]) -> Result<Opened>;

    /// Writes everything that has changed, and what is to be remembered: see [`beem_database::claims::effects::remember`].
    ///
    /// # Errors
    /// One that makes the transaction run again when a balance is no longer at the number it was read at, or an effect key
    /// was taken meanwhile; `unavailable` when another transaction holds a key and does not let go of it; `internal` when the
    /// database refuses what the domain has allowed.
    async fn save(&self, tx: &Tx<'_>, changes: &Changes, settled: &[Settled<'_>]) -> Result<()>;
}

/// The one for this transaction's database.
#[must_use]
pub fn of(tx: &Tx<'_>) -> &'static dyn Bulk {
    match tx.backend() {
        Backend::Postgres => &postgres::Postgres,
        Backend::Sqlite => &sqlite::Sqlite,
    }
}
