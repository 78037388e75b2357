//! Events on real databases: every test is one story, told on SQLite and on PostgreSQL.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests may, and no task of theirs outlives them"
)]

mod audit;
mod backlog;
mod consumer;
mod feed;
mod history;
mod late;
mod noting;
mod peer;
mod rig;
mod sequencer;
mod wire;
