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

use beem_fault::Fault;

/// A stored value that nothing of ours has written so.
fn garbled(what: &str) -> Fault {
    Fault::internal(format!("the database holds a garbled {what}"))
}
