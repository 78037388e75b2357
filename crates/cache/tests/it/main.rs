//! Standings on a real Redis and in process, with an authz that a test scripts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod away;
mod flaws;
mod reading;
mod rig;
mod store;
