//! The mail of a service on real databases, into real folders and to a real SMTP server that shares no code with us.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests may, and no task of theirs outlives them"
)]

mod folder;
mod logs;
mod queue;
mod rig;
mod sending;
mod server;
mod smtp;
