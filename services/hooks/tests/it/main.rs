//! Hooks behind its guard, with real feeds of real databases, the real authz for its audit rows, and receivers on real sockets
//! that misbehave in every way there is; on both databases.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    reason = "what these tests cannot do without stops them; seeds are printed"
)]

mod rig;

mod deliveries;
mod drawing;
mod engine;
mod events;
mod hooks;
mod intake;
mod left_out;
mod migrations;
mod notices;
mod outbound;
mod purge;
mod remembered;
mod replays;
mod rotation;
mod trail;
mod upkeep;

pub(crate) use beem_receiver as receiver;
pub(crate) use beem_servicetest::on_both;
