//! A service's own database: PostgreSQL, or one SQLite file, behind one interface.
//!
//! - [`DatabaseSettings`], [`Database::connect`]: waits for the database instead of crashing.
//! - [`Database::migrate`]: hand-written SQL per back end under a lock, so that processes may race.
//! - [`Database::read`] and [`Database::write`]: a connection to read with; a transaction that is run again when it
//!   certainly did not commit, and never when that is not known.
//! - [`Database::read_consistently`]: several reads of one moment.
//! - [`array`]: whole columns as parameters, on PostgreSQL.
//! - [`page`]: keyset page tokens of every list.
//! - [`claims`]: a write under a request key or an effect key happens once and has one answer.
//! - [`sagas`]: a write across services, resumed until it has ended.
//! - [`Database::sealed_by`]: keys for the requests and answers that hold secrets; [`claims::reseal`] when they change.
//!
//! Conventions for everyone's tables, so that both back ends behave alike:
//!
//! | what | PostgreSQL | SQLite (every table `STRICT`) | entity field |
//! | --- | --- | --- | --- |
//! | id | `UUID` | `BLOB` | `Uuid` (the typed id wraps it) |
//! | time, Unix milliseconds | `BIGINT` | `INTEGER` | `i64` |
//! | flag | `BOOLEAN` | `INTEGER` | `bool` |
//! | count | `BIGINT` | `INTEGER` | `i64` |
//! | bytes | `BYTEA` | `BLOB` | `Vec<u8>` |
//! | text, JSON | `TEXT` | `TEXT` | `String` |
//!
//! A UUID v7 sorts by its time in both forms. Raw statements write parameters as `$1` on both. Put unique indexes on
//! plain columns (store the folded text): only then does a violation name the same columns on both.

mod connect;
mod failure;
mod migrate;
mod settings;
mod snapshot;
mod statement;
mod transact;

pub mod array;
pub mod claims;
pub mod page;
pub mod sagas;

pub use connect::{Backend, Database};
pub use failure::{DatabaseError, ErrorKind, OrFault, conflict, is_unique, kind_of};
pub use migrate::Migration;
pub use settings::DatabaseSettings;
pub use snapshot::Snapshot;
pub use statement::Sql;
pub use transact::{Tx, lock_row};

/// The tables of [`claims`] and [`sagas`]; a service puts them before its own.
pub const MIGRATIONS: &[Migration] = &[claims::MIGRATION, sagas::MIGRATION, claims::SEALED];
