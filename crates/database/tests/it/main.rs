//! The database layer on real databases: every test is one story, told on SQLite and on PostgreSQL.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests may, and no task of theirs outlives them"
)]

mod arrays;
mod claims;
mod connect;
mod cut;
mod effects;
mod migrate;
mod page;
mod rig;
mod runners;
mod sagas;
mod secrets;
mod snapshot;
mod transact;
