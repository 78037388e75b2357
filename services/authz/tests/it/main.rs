//! authz over its own gRPC face, behind the guard, in both shapes: SQLite with the cache in process, and PostgreSQL with
//! Redis. `cargo xtask test` starts the servers.

mod changes;
mod concurrency;
mod decisions;
mod once;
mod publishing;
mod rig;
mod roles;
