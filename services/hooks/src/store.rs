//! The tables of hooks: what is read and written together, in the service's own words. Only this module sees sea-orm.

pub mod deliveries;
pub mod due;
pub mod events;
pub mod feeds;
pub mod hooks;
mod ids;
pub mod installation;
pub mod intake;
pub mod keys;
pub mod lanes;
pub mod leases;
mod locked;
pub mod lost;
pub mod migrations;
pub mod notices;
pub mod outcomes;
pub mod purge;
pub mod replays;
pub mod sealed;

pub use migrations::MIGRATIONS;

use beem_clock::Moment;
use beem_database::{OrFault as _, Tx};
use beem_fault::{Fault, Result};
use sea_orm::QueryResult;
use uuid::Uuid;

/// What a SELECT ends with whose rows are locked until the transaction ends.
fn for_update(tx: &Tx<'_>) -> &'static str {
    locked::locked(tx, "FOR UPDATE")
}

/// A stored value that nothing of ours has written so.
fn garbled(what: &str) -> Fault {
    Fault::internal(format!("the database holds a garbled {what}"))
}

fn id(row: &QueryResult, column: &str) -> Result<Uuid> {
    row.try_get("", column).or_fault()
}

fn text(row: &QueryResult, column: &str) -> Result<String> {
    row.try_get("", column).or_fault()
}

fn bytes(row: &QueryResult, column: &str) -> Result<Vec<u8>> {
    row.try_get("", column).or_fault()
}

fn flag(row: &QueryResult, column: &str) -> Result<bool> {
    row.try_get("", column).or_fault()
}

fn moment(row: &QueryResult, column: &str) -> Result<Moment> {
    row.try_get("", column).or_fault().map(Moment::from_unix_ms)
}
