//! Events of a service, from the transaction that made them to those who follow, and audit rows on the same footing.
//!
//! - [`append`] writes an event into the outbox inside the write's own transaction, with its place among its entity's
//!   events but without a position: transactions do not commit in the order in which they began.
//! - [`Feed::sequence`] gives committed rows their positions, one sequencer per database at a time; so a position that
//!   has been read is never followed by a lower one, however late a transaction commits.
//! - [`Feed::read`] answers by position: at least once, and an error instead of a gap. [`FeedServer`] serves it.
//! - [`follow`] takes another service's feed in, from a [`PeerFeed`]: effect and cursor in one transaction.
//! - [`audit`]: rows written in the write's transaction and pushed to authz by a task, [`audit::push()`].

pub mod audit;
mod consumer;
mod cursor;
mod feed;
mod outbox;
mod peer;
mod sequencer;
mod server;
mod tables;

pub use consumer::{Batch, Handler, Source, follow};
pub use cursor::Cursor;
pub use feed::{Feed, Slice};
pub use outbox::{Event, NewEvent, append};
pub use peer::PeerFeed;
pub use server::FeedServer;
pub use tables::MIGRATIONS;
