//! The tables of authz in domain words. Whoever writes locks the account's row first and the standing's second: so the
//! policy, the granter's standing and the other operators stay as they were read until the transaction ends, and two
//! changes in one account follow each other. Every query names its account, except where the name says otherwise.

mod accounts;
mod entities;
mod heads;
mod migrations;
mod prepared;
mod refusals;
mod standings;
mod trail;

pub use accounts::{lock_account, put_account, set_policy};
pub use heads::{Head, due, heads_after, newest_heads, sign};
pub use migrations::MIGRATIONS;
pub use prepared::{
    PreparedChange, answer_of_any_account, insert_prepared, mark_committed, narrow_open, open_growths,
    prepared_of_any_account, purge_committed,
};
pub use refusals::{RefusalCount, count, purge_counts, purge_reports};
pub use standings::{
    another_user_operator, holders, insert, lock_standing, mark_published, save, standing,
    standing_of_any_account, standings, unpublished_of_any_account,
};
pub use trail::{
    Asked, append, chain, events, known_of_any_account, lock_chains, next_account, row_at, rows_after,
    rows_before,
};

use beem_fault::{Fault, Result};

/// A stored value that we never wrote: a bug, or someone else's hand.
fn garbled(column: &str) -> Fault {
    Fault::internal(format!("a stored {column} is garbled"))
}

fn to_i64(column: &str, value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| garbled(column))
}

fn to_u64(column: &str, value: i64) -> Result<u64> {
    u64::try_from(value).map_err(|_| garbled(column))
}

fn to_roles(column: &str, bits: i64) -> Result<beem_roles::RoleSet> {
    let set = u32::try_from(bits).ok().and_then(beem_roles::RoleSet::from_bits);
    set.ok_or_else(|| garbled(column))
}
