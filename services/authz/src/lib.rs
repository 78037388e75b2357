//! authz: whether a principal may act, and with which roles; and what everybody did. It owns the catalogue of roles, the
//! standing of every principal, the decisions about them and the audit trail, and calls nobody. See the README for its
//! tables and invariants.
//!
//! - `domain`: standings, changes in two halves, the role-held rule, the catalogue, the chain of audit rows; pure.
//! - `operations`: one RPC a file. - `store`: the tables. - `publisher`: the way from the table to the cache.
//! - `heads`: signs how far the audit chains go. - `verify`: recomputes them, here and in `beem admin verify-audit`.
//! - `grpc`: the wire.

mod domain;
mod grpc;
mod heads;
mod operations;
mod publisher;
mod settings;
mod store;
mod verify;
mod wire;

pub use settings::AuthzSettings;
pub use verify::{AuditVerifier, LARGEST_STRETCH, verify_audit};

use beem_cache::StandingCache;
use beem_clock::{Clock, Entropy};
use beem_database::{Database, Migration};
use beem_fault::Result;
use beem_runtime::{Ready, Service, task};
use beem_telemetry::Telemetry;
use ed25519_dalek::SigningKey;
use heads::Keeper;
use operations::Authz;
use publisher::Publisher;
use std::sync::Arc;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What authz is built from.
pub struct AuthzDeps {
    pub database: Database,
    /// The one gateways read.
    pub cache: StandingCache,
    /// Signs standings and heads of the audit trail; gateways hold its public half.
    pub signing_key: SigningKey,
    pub clock: Clock,
    /// For ids and tokens; authz draws its few inside transactions of `database`, which has its own.
    pub entropy: Entropy,
    pub telemetry: Telemetry,
}

/// Migrates the database and builds the service. Standings that had not reached the cache when authz last ended are
/// published by its task, which also tries on while the cache is away.
///
/// # Errors
/// `validation-failed` for settings that cannot work; what [`Database::migrate`] answers.
pub async fn build(settings: AuthzSettings, deps: AuthzDeps) -> Result<Service> {
    settings.validate()?;
    let AuthzDeps { database, cache, signing_key, clock, telemetry, entropy: _ } = deps;
    database.migrate(&migrations()).await?;
    let life_ms = i64::from(settings.entry_life_s).saturating_mul(1000);
    let mut keys = settings.former_keys()?;
    keys.push(signing_key.verifying_key());
    let verifier = AuditVerifier::new(database.clone(), keys);
    let keeper = Arc::new(Keeper::new(
        database.clone(),
        signing_key.clone(),
        clock.clone(),
        i64::from(settings.audit_head_interval_s).saturating_mul(1000),
        i64::from(settings.refusals_kept_days).saturating_mul(DAY_MS),
    ));
    let publisher = Publisher::new(database.clone(), cache, signing_key, clock, life_ms, telemetry);
    let publisher = Arc::new(publisher);
    let authz = Arc::new(Authz {
        database: database.clone(),
        publisher: Arc::clone(&publisher),
        keeper: Arc::clone(&keeper),
    });
    let publish = task("authz-publish", move |cancel| {
        let publisher = Arc::clone(&publisher);
        async move { publisher.run(cancel).await }
    });
    let keep = task("authz-audit", move |cancel| {
        let keeper = Arc::clone(&keeper);
        async move { keeper.run(cancel).await }
    });
    Ok(Service {
        name: "authz",
        routes: grpc::routes(authz, verifier),
        grpc_names: grpc::names(),
        tasks: vec![publish, keep],
        ready: ready(database),
    })
}

/// Every table of authz's database, in order: those of claims, of events and audit rows, its own.
#[must_use]
pub fn migrations() -> Vec<Migration> {
    [beem_database::MIGRATIONS, beem_events::MIGRATIONS, store::MIGRATIONS].concat()
}

/// Without its database authz can tell nothing; without the cache it still serves.
fn ready(database: Database) -> Ready {
    Arc::new(move || {
        let database = database.clone();
        Box::pin(async move { database.ping().await.map_err(|_| "the database does not answer".to_owned()) })
    })
}
