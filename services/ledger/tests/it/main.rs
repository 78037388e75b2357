//! The ledger behind its guard, with the real authz behind its own, on both databases: every operation, every write twice
//! under one key, and every row of the ways in which money is lost or doubled.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what these tests cannot do without stops them; seeds are printed"
)]

mod books;
mod calls;
mod rig;

mod chaos;
mod conformance;
mod credits;
mod export;
mod heads;
mod holds;
mod model;
mod outbounds;
mod postings;
mod quotes;
mod rates;
mod settlements;
mod starving;
mod tampering;
mod transactions;
mod wallets;
mod writer;

pub(crate) use beem_servicetest::on_both;
