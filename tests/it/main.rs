//! The end-to-end tests: what 2-public-api of the contract promises, asked of whole installations over the wire, embedded and
//! clustered. Run them with `cargo xtask test`, which starts what they need.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what these tests cannot do without stops them"
)]

mod chaos;
mod cli;
mod failures;
mod flows;
mod foreign;
mod hooks;
mod ledger;
mod matrix;
mod operators;
mod people;
mod revocation;
mod signed_requests;
