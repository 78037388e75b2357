//! The way out: which destinations may be called, and the one request that is sent to one. What a hook's URL names is
//! chosen by its account, so nothing here believes it: the URL is judged when it is set and again before every
//! request, its host is resolved once with every answer judged, the judged addresses are the ones dialled, no
//! redirect is followed, and time and size of what comes back are bounded.
//!
//! | module | holds |
//! | --- | --- |
//! | [`judge`] (`addresses`) | which addresses may be called |
//! | [`Target`] | which URLs may be hooks |
//! | [`Resolver`] | names to addresses, judged |
//! | [`SystemResolver`] (`system`, `sockets`) | the system's names |
//! | [`Outbound`] | one request and what came of it |
//! | `authorities` | who may vouch for a receiver's certificate |
//! | `reason` | the text of a failure |

mod addresses;
mod answer;
mod authorities;
mod reason;
mod resolve;
mod send;
mod sockets;
mod system;
mod target;

pub use addresses::judge;
pub use resolve::{NoAddress, Resolver};
pub use send::{Outbound, Sent};
pub use system::SystemResolver;
pub use target::Target;

/// What an installation lets hooks call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Also this machine, by http or https: for development.
    pub allow_loopback: bool,
}
