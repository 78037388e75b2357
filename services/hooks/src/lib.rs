//! Hooks: the destinations of an account's events, and their delivery. It takes the feeds of the services that make events
//! in, keeps every event under the bytes it is sent as, and sends each to the hooks that ask for it until it is acknowledged
//! or given up. See the README for its tables and invariants.
//!
//! | module | holds |
//! | --- | --- |
//! | [`domain`] | hooks, areas, types of events, what becomes of a delivery: pure |
//! | [`store`] | the tables; what is read and written together |
//! | `keys` | a hook's keys: drawn, sealed, and what they sign |
//! | [`outbound`] | which destinations may be called, and the one request that is sent to one |
//! | `intake` | events taken in from the feeds, with a delivery for each hook that asks for them |
//! | `engine` | lanes, one a hook: who works on which, and what came of it |
//! | `operations` | one RPC a file |
//! | `reference` | schemas and samples of the types of events |
//! | `notices` | mails to operators when a hook was disabled |
//! | `grpc`, `peers` | decode, call, encode; the little it needs of others |
//! | `tasks` | intake, engine, replays, notices, audit, purge |

pub mod domain;
mod engine;
mod grpc;
mod intake;
pub mod keys;
mod notices;
mod operations;
pub mod outbound;
mod peers;
mod reference;
mod replays;
mod settings;
pub mod store;
mod tasks;

pub use settings::HooksSettings;

use crate::engine::Engine;
use crate::grpc::Grpc;
use crate::operations::{Means, Operations};
use crate::outbound::Resolver;
use crate::tasks::TaskDeps;
use beem_clock::{Clock, Entropy};
use beem_database::{Database, Migration};
use beem_fault::Result;
use beem_link::Link;
use beem_mail::MailSettings;
use beem_runtime::Service;
use beem_sealing::Sealing;
use beem_telemetry::Telemetry;
use futures::FutureExt as _;
use std::sync::Arc;

/// What hooks are built on.
pub struct HooksDeps {
    /// Its own, nobody else's.
    pub database: Database,
    /// Where audit rows go. Every link is with the service's own identity.
    pub authz: Link,
    /// Where the operators of an account are asked for.
    pub identity: Link,
    /// The services whose events are taken in, each by its name.
    pub feeds: Vec<(&'static str, Link)>,
    /// Seals the keys of hooks, waiting mails, and remembered answers that show a secret.
    pub sealing: Sealing,
    /// Where mails go.
    pub mail: MailSettings,
    /// What names of receivers are resolved with; None is the system's.
    pub resolver: Option<Arc<dyn Resolver>>,
    pub clock: Clock,
    pub entropy: Entropy,
    pub telemetry: Telemetry,
}

/// Every table of the database, in order: those of claims, of events and audit rows, of mails, its own.
#[must_use]
pub fn migrations() -> Vec<Migration> {
    [beem_database::MIGRATIONS, beem_events::MIGRATIONS, beem_mail::MIGRATIONS, store::MIGRATIONS].concat()
}

/// Migrates the database and builds the service.
///
/// # Errors
/// `validation-failed` for settings that cannot work; `internal` when the database belongs to a newer release, or its
/// secrets are sealed under a key that is not held; `unavailable` when the database is away.
pub async fn build(settings: HooksSettings, deps: HooksDeps) -> Result<Service> {
    settings.validate()?;
    let db = deps.database.clone().sealed_by(deps.sealing.clone());
    db.migrate(&migrations()).await?;
    store::installation::open(&db, &deps.sealing).await?;
    let means = Means::open(db.clone(), settings, &deps).await?;
    let engine = Engine::new(
        db.clone(),
        means.sealing.clone(),
        means.outbound.clone(),
        means.bell.clone(),
        &means.settings,
        means.telemetry.clone(),
    );
    let operations = Operations(Arc::new(means));
    let HooksDeps { authz, identity, feeds, mail, .. } = deps;
    let tasks = tasks::all(&operations, TaskDeps { authz, identity, feeds, mail, engine })?;
    Ok(Service {
        name: "hooks",
        routes: grpc::routes(&Grpc(operations)),
        grpc_names: grpc::names(),
        tasks,
        ready: Arc::new(move || {
            let db = db.clone();
            async move { db.ping().await.map_err(|_| "the database is away".to_owned()) }.boxed()
        }),
    })
}
