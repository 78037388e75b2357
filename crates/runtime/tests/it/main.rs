//! A guard behind a link, local and remote: every rule holds in both shapes and is reported alike.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what these tests cannot do without stops them"
)]

mod parity;
mod rig;
mod streams;
