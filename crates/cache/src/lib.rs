//! The standing of principals between authz, which decides, and gateways, which ask for every request.
//!
//! - [`SignedEntry`]: a standing with the bounds of its use and authz's signature. Trust is in the signature alone: a
//!   gateway believes no store, and holds only public keys.
//! - [`StandingCache`]: where authz puts entries and gateways find them, in process or in Redis. It takes an entry only
//!   when it is newer than what is there, so that a slow fill cannot bring back what was taken away.
//! - [`VerifiedStandings`]: how a gateway reads: its own copy for half a second, then the cache, then authz itself.
//!   Anything wrong with an entry makes it a miss; when nobody can answer the request fails, and is never allowed.
//!
//! Revocation therefore takes half a second while authz reaches the cache, [`LIFE_MAX_MS`] otherwise, and no time for
//! those who ask with [`VerifiedStandings::fresh`].

mod entry;
mod known;
mod put_if_newer;
mod reader;

pub use entry::{Flaw, LIFE_MAX_MS, SignedEntry, Verified, Verifier};
pub use known::COPY_LIFE;
pub use put_if_newer::{Put, StandingCache};
pub use reader::{Counts, Fetch, StandingSource, VerifiedStandings};
