//! What hooks are and how deliveries go: types and decisions, without I/O, clock or randomness.

mod area;
mod body;
mod catalogue;
mod cursor;
mod delivery;
mod hook;
mod lane;

pub use area::{Area, Areas};
pub use body::{Posted, body, read_body};
pub use catalogue::{CATALOGUE, EventType, TEST_EVENT};
pub use cursor::{Place, PullTokens, mark};
pub use delivery::{Attempt, Delivery, Ending, Finding, LARGEST_RETRY_AFTER_S, Status, Verdict, judge};
pub use hook::{
    DisabledReason, EventCodes, Hook, HookPatch, LONGEST_URL, MOST_EVENT_CODES, NewHook, without_query,
};
pub use lane::{Health, OPEN_AFTER};
