//! Identity's tables, in the domain's words. Every function takes the connection or transaction it runs on, so that a
//! caller decides what commits together; every query about a client or an account names the account, except where the
//! installation itself asks (`of_any_account`). One implementation serves both back ends.
//!
//! What is atomic: each function is one statement or runs in its caller's transaction. A client and an account carry
//! `changing`, the saga that is changing them (see [`changing`]); so does a user.

mod entities;
mod migrations;

pub mod accounts;
pub mod attempts;
pub mod challenges;
pub mod changing;
pub mod clients;
pub mod credentials;
pub mod installation;
pub mod links;
pub mod places;
pub mod resets;
pub mod sealed;
pub mod sessions;
pub mod users;
pub mod uses;

pub use migrations::MIGRATIONS;

use beem_database::{Database, Sql as _};
use beem_fault::{Fault, Result};

/// What is stored does not parse: a bug, or hands in the database.
fn garbled(what: &str) -> Fault {
    Fault::internal(format!("a stored {what} is garbled"))
}

/// Deletes at most `max` rows that are older than `age_ms` by the clock: `$1` of the statement is that moment, `$2` is `max`.
async fn purge(db: &Database, sql: &str, age_ms: i64, max: u32) -> Result<u64> {
    db.write(|tx| {
        let before = tx.now().plus_ms(age_ms.saturating_neg()).unix_ms();
        Box::pin(async move { tx.run(sql, vec![before.into(), i64::from(max).into()]).await })
    })
    .await
}
