//! Rate limits and the replay store, in process or in Redis; both forms behave alike and pass one conformance suite.
//!
//! - [`Limiter`]: how often somebody may do something (generic cell rate algorithm). Never in the way of traffic: with
//!   Redis away each process limits by itself.
//! - [`ReplayStore`]: that something is used once. Never guesses: with Redis away it says so ([`Seen::StoreAway`]).

mod gcra;
mod lease;
mod limiter;
mod replay;

pub use gcra::{Rate, Verdict};
pub use limiter::Limiter;
pub use replay::{ReplayStore, Seen};
