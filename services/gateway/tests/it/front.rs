//! The gateway from a judged request to its answer, between an identity and an authz that do what the test says: who is
//! let in and how, what goes inward, and what the audit trail is told.

mod audit;
mod exports;
mod inward;
mod refusals;
mod rig;
mod sandbox;
mod sessions;
mod signed;
mod world;
