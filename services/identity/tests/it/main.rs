//! Identity behind its guard against the real authz behind its own, on both databases: every operation, every write twice
//! under one key, every saga cut off at every call and gone on with.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what these tests cannot do without stops them"
)]

mod rig;

mod accounts;
mod activation;
mod audit;
mod clients;
mod contended;
mod crash;
mod guessing;
mod installation;
mod keys;
mod mailbox;
mod mailing;
mod operators;
mod passwords;
mod people;
mod person;
mod proving;
mod raising;
mod refused;
mod resealing;
mod resets;
mod sessions;
mod sign_in;
mod user_crash;
mod users;
mod uses;

pub(crate) use beem_servicetest::on_both;
