//! authz over its own gRPC face, behind the guard, in both shapes: SQLite with the cache in process, and PostgreSQL with
//! Redis. `cargo xtask test` starts the servers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what these tests cannot do without stops them"
)]

mod changes;
mod concurrency;
mod decisions;
mod heads;
mod once;
mod publishing;
mod raising;
mod rig;
mod roles;
mod tampering;
mod trail;
