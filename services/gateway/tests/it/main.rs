//! The gateway's integration tests: one binary, since each further one costs a link.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what these tests cannot do without stops them"
)]

mod contracts;
mod edge;
mod front;
mod reference;
mod routes;
mod transcode;
mod transcode_calls;
mod transcode_round_trip;
