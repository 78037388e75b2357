//! The tables, in the domain's words. Only this module sees sea-orm.
//!
//! - `bulk`: what a group of orders reads under lock and writes, in a handful of statements: the one place where PostgreSQL
//!   and SQLite differ. [`engine`] runs orders over it.
//! - `accounts`: opening ledger accounts, reading them. `entries`: transactions, balances at a time.
//! - `holds`, `quotes`, `locks`, `settlements`, `outbounds`, `heads`, `installation`: a table each. `proof`: the tables as they
//!   are found, for verification.

pub mod accounts;
pub mod bulk;
pub mod engine;
pub mod entries;
pub mod heads;
pub mod holds;
pub mod installation;
pub mod locks;
mod migrations;
pub mod outbounds;
pub mod proof;
pub mod quotes;
pub mod settlements;

pub use migrations::MIGRATIONS;

use beem_database::{Backend, Tx};
use beem_fault::Fault;

/// A parameter that holds an amount. It is bound as text on both, and only PostgreSQL has to be told that it is a number.
fn numeric(tx: &Tx<'_>, place: u8) -> String {
    match tx.backend() {
        Backend::Postgres => format!("${place}::numeric"),
        Backend::Sqlite => format!("${place}"),
    }
}

/// What a SELECT ends with whose rows are locked until the transaction ends. SQLite has one writer, and needs no word.
fn for_update(tx: &Tx<'_>) -> &'static str {
    match tx.backend() {
        Backend::Postgres => "FOR UPDATE",
        Backend::Sqlite => "",
    }
}

/// A stored value that nothing of ours has written so.
fn garbled(what: &str) -> Fault {
    Fault::internal(format!("the database holds a garbled {what}"))
}
