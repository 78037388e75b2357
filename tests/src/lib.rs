//! The rig of the end-to-end tests: whole installations of `beem`, embedded and clustered, behind one interface, and a
//! client of the public API that can also forge what a well-behaved one never sends. Tests, chaos and benchmarks all
//! start from here; none of it knows how the system under test is built, only what its contract says.
//!
//! - [`rig::Rig`]: an installation; [`rig::Rig::embedded`] and [`rig::Rig::clustered`] are shared by a whole test binary.
//! - [`client::Client`]: signs and sends as one client; [`forge::Forge`]: the same with every part of it open to change.
//! - [`people::Person`]: somebody who was invited and signs in; [`caller::Caller`]: a client, a session or a visitor;
//!   [`mailbox`]: the mails an installation sent; [`totp`]: codes of second factors.
//! - [`wire`]: the bytes of a request as they go out, and the answer.
//! - [`cluster_keys`]: what a process of a cluster holds, to call the services behind the gateway directly.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "all of this is for tests: what they cannot do without stops them"
)]

pub mod behind;
pub mod caller;
pub mod client;
pub mod cluster_keys;
pub mod collector;
pub mod creds;
pub mod embedded;
pub mod environment;
pub mod forge;
pub mod grpc;
pub mod household;
pub mod mailbox;
pub mod people;
pub mod raw_grpc;
pub mod rig;
pub mod shapes;
pub mod totp;
pub mod wire;

pub use caller::{Caller, Session, Visitor, ask};
pub use client::Client;
pub use creds::Creds;
pub use forge::Forge;
pub use household::{Household, trail};
pub use mailbox::Mailbox;
pub use people::Person;
pub use rig::Rig;
pub use wire::{Answer, Wire};

/// Looks every 20 ms until there is something; panics with `what` after 20 seconds.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let limit = std::time::Duration::from_secs(20);
    tokio::time::timeout(limit, waiting).await.unwrap_or_else(|_| panic!("{what}: not within 20 s"))
}
