//! The edge over real sockets, spoken to in raw bytes: what it lets through, what it refuses and how, and how it ends.

mod drain;
mod framing;
mod http2;
mod limits;
mod refusals;
pub mod rig;
