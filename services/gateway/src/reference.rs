//! The reference, made from the contract and from nothing else: what stands in `proto/` is what is documented.
//!
//! [`openapi`] is for tools, [`docs_page`] for people (one page, no script, nothing loaded from elsewhere), and the three
//! snapshots are texts under review: a change of the contract shows in them as lines.

mod describe;
mod docs;
mod openapi;
mod snapshot;

pub use docs::docs_page;
pub use openapi::openapi;
pub use snapshot::{snapshot_messages, snapshot_roles, snapshot_routes};
