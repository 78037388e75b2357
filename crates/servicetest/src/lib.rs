//! What the tests of every service share: a service behind its guard, on either database, and callers that call it as the
//! gateway, another service or an operator does.
//!
//! | module | holds |
//! | --- | --- |
//! | [`base`] | which database a test runs on, and each test once on both |
//! | [`guard`] | who is known to whom: keys of services, guards, links |
//! | [`call`] | one call, sealed as the gateway seals it, and what came back |
//! | [`process`] | one process of a service, whose loops run when they are told to |
//! | [`locked`] | a transaction that stands in everybody's way until it is let go |
//! | [`gate`] | the way from one service to another, which a test can close, cut or have answer otherwise |
//! | [`mail`] | mails that were sent, read back |
//! | [`authz`] | the real authz, for the audit rows of others |
//!
//! Only for tests: nothing here has an error, what is missing ends the test.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what tests cannot do without stops them, where it is missing"
)]

pub mod authz;
pub mod base;
pub mod call;
pub mod gate;
pub mod guard;
pub mod locked;
pub mod mail;
pub mod process;

pub use authz::authz;
pub use base::Base;
pub use call::{Answer, Refusal, Reply, actor, sealed, unary};
pub use gate::{Gate, Reached};
pub use guard::{SEAL, behind_guard, guard_settings, link, service_identity};
pub use locked::{Locked, holding};
pub use mail::{Mail, mailbox};
pub use process::Process;

use std::time::Duration;

/// Looks every 20 ms until it is so; twenty seconds at most.
///
/// # Panics
/// When it is not so within that time.
pub async fn until(what: &str, look: impl AsyncFn() -> bool) {
    for _ in 0..1_000 {
        if look().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within twenty seconds: {what}");
}
