//! The ledger: currencies, wallets, double entry, holds, quotes and rates. Nobody else moves money or computes a rate. It
//! calls nobody, but for the audit trail. See the README for its tables and invariants.
//!
//! | module | holds |
//! | --- | --- |
//! | [`domain`] | ledger accounts, transfers, holds, entries, the book that decides: pure |
//! | [`store`] | the tables; what a group of orders reads and writes in bulk |
//! | `writer` | group commit: orders that arrive together are one transaction |
//! | `rates` | where prices come from, and when they are too old to be used |
//! | `operations` | one RPC a file |
//! | `heads`, `verify` | how far the books go, under a signature; whether they are right |
//! | `grpc` | decode, call, encode |
//! | `tasks` | sequencer, expiry of holds, deposits in suspense, heads, audit, purge |

// Money: no sum that may overflow, no state that is matched by accident, no float.
#![cfg_attr(
    not(test),
    deny(clippy::arithmetic_side_effects, clippy::wildcard_enum_match_arm, clippy::float_arithmetic)
)]

pub mod domain;
mod grpc;
mod heads;
mod operations;
mod rates;
mod settings;
pub mod store;
mod tasks;
mod verify;
mod writer;

pub use settings::LedgerSettings;
pub use verify::{LedgerVerifier, verify_ledger};

use crate::grpc::Grpc;
use crate::operations::Means;
use beem_clock::{Clock, Entropy};
use beem_database::{Database, Migration};
use beem_fault::Result;
use beem_link::Link;
use beem_runtime::Service;
use beem_settings::Environment;
use beem_telemetry::Telemetry;
use ed25519_dalek::SigningKey;
use futures::FutureExt as _;
use std::sync::Arc;

/// What the ledger is built on.
pub struct LedgerDeps {
    /// Its own, nobody else's.
    pub database: Database,
    /// Where audit rows go, with the ledger's own service identity.
    pub authz: Link,
    /// Signs the heads of the books.
    pub signing_key: SigningKey,
    pub clock: Clock,
    pub entropy: Entropy,
    pub telemetry: Telemetry,
    /// What an operator says the installation is; None takes it as it is, a sandbox at the first start.
    pub environment: Option<Environment>,
}

/// Every table of the ledger's database, in order: those of claims, of events and audit rows, its own.
#[must_use]
pub fn migrations() -> Vec<Migration> {
    [beem_database::MIGRATIONS, beem_events::MIGRATIONS, store::MIGRATIONS].concat()
}

/// Migrates the database, opens the system accounts of every currency and builds the service.
///
/// # Errors
/// `validation-failed` for settings that cannot work; `internal` when the database belongs to a newer release or to an
/// installation of another environment; `unavailable` when the database is away.
pub async fn build(settings: LedgerSettings, deps: LedgerDeps) -> Result<Service> {
    settings.validate()?;
    deps.database.migrate(&migrations()).await?;
    let keys = settings.keys(&deps.signing_key)?;
    let verifier = LedgerVerifier::new(deps.database.clone(), keys);
    let (operations, tasks) = Means::open(settings, deps).await?;
    let (db, feed) = (operations.0.db.clone(), operations.0.feed.clone());
    Ok(Service {
        name: "ledger",
        routes: grpc::routes(&Grpc(operations), feed, verifier),
        grpc_names: grpc::names(),
        tasks,
        ready: Arc::new(move || {
            let db = db.clone();
            async move { db.ping().await.map_err(|_| "the database is away".to_owned()) }.boxed()
        }),
    })
}
