//! The crate from outside: the RFC's vectors, BEEM's shape, what must be refused, and properties.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy sees tests in test functions only, not in what they share"
)]

mod beem_shape;
mod keys;
mod properties;
mod refusals;
mod request;
mod rfc9421;
