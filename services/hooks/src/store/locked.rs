//! How rows that were read are kept as they are until the transaction ends, where it takes a word.

use beem_database::{Backend, Tx};

/// The end of a SELECT: `clause` on PostgreSQL. SQLite has one writer, and needs none.
pub fn locked(tx: &Tx<'_>, clause: &'static str) -> &'static str {
    match tx.backend() {
        Backend::Postgres => clause,
        Backend::Sqlite => "",
    }
}
