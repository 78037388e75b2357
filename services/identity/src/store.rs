//! Identity's tables, in the domain's words. Every function takes the connection or transaction it runs on, so that a
//! caller decides what commits together; every query about a client or an account names the account, except where the
//! installation itself asks (`of_any_account`). One implementation serves both back ends.
//!
//! What is atomic: each function is one statement or runs in its caller's transaction. A client and an account carry
//! `changing`, the saga that is changing them: [`clients::begin_change`] takes it, ending the saga gives it back, and a
//! second change waits, so that the halves of two changes in identity and authz never mix.

mod entities;
mod migrations;

pub mod accounts;
pub mod clients;
pub mod installation;
pub mod uses;

pub use migrations::MIGRATIONS;

use beem_fault::Fault;

/// What is stored does not parse: a bug, or hands in the database.
fn garbled(what: &str) -> Fault {
    Fault::internal(format!("a stored {what} is garbled"))
}
