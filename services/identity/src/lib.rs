//! Identity: accounts, their API clients, their keys and networks. Whether a principal may act is authz's to say; identity
//! changes it there first when access shrinks and last when it grows.
//!
//! | module | holds |
//! | --- | --- |
//! | [`domain`] | what a client and an account are, who may change what: pure |
//! | `store` | the tables, in the domain's words |
//! | `operations` | one RPC a file; writes are sagas with authz |
//! | `peers` | what it needs of authz |
//! | `grpc` | decode, call, encode |
//! | `tasks` | sequencer, saga resumer, purge |

pub mod domain;
mod grpc;
mod operations;
mod peers;
mod settings;
mod store;
mod tasks;

pub use domain::Environment;
pub use settings::IdentitySettings;

use crate::grpc::Grpc;
use crate::grpc::json::ClientJson;
use crate::operations::Operations;
use crate::peers::Authz;
use beem_clock::{Clock, Entropy};
use beem_database::{Database, Migration};
use beem_events::{Feed, FeedServer};
use beem_fault::{Fault, Result};
use beem_link::Link;
use beem_proto::Contract;
use beem_proto::events::v1::feed_server;
use beem_proto::identity::v1::{accounts_server, clients_server, directory_server, profiles_server};
use beem_runtime::Service;
use beem_telemetry::Telemetry;
use futures::FutureExt as _;
use std::sync::Arc;
use tonic::service::Routes;

/// What identity is built on.
pub struct IdentityDeps {
    /// Its own, nobody else's.
    pub database: Database,
    /// With identity's own service identity.
    pub authz: Link,
    pub clock: Clock,
    pub entropy: Entropy,
    pub telemetry: Telemetry,
    /// What an operator says the installation is; None takes it as it is, a sandbox at the first start.
    pub environment: Option<Environment>,
}

/// Migrates the database, opens the installation and builds the service.
///
/// # Errors
/// `validation-failed` for settings that cannot work; `internal` when the database belongs to a newer release or the
/// installation to another environment; `unavailable` when the database is away.
pub async fn build(settings: IdentitySettings, deps: IdentityDeps) -> Result<Service> {
    settings.validate()?;
    let db = deps.database;
    let migrations: Vec<Migration> =
        [beem_database::MIGRATIONS, beem_events::MIGRATIONS, store::MIGRATIONS].concat();
    db.migrate(&migrations).await?;
    let installation = store::installation::open(&db, deps.environment).await?;
    let feed = Feed::open(db.clone()).await?;
    let json = ClientJson::new(&Contract::load().map_err(Fault::internal)?)?;
    let operations = Operations::new(db.clone(), Authz::new(deps.authz), json, &settings, installation);
    let tasks = tasks::all(&db, &operations.sagas(), &feed, &settings);
    let grpc = Grpc(operations);
    let routes = Routes::new(clients_server::ClientsServer::new(grpc.clone()))
        .add_service(accounts_server::AccountsServer::new(grpc.clone()))
        .add_service(profiles_server::ProfilesServer::new(grpc.clone()))
        .add_service(directory_server::DirectoryServer::new(grpc))
        .add_service(FeedServer::new(feed).into_service());
    Ok(Service {
        name: "identity",
        routes,
        grpc_names: vec![
            clients_server::SERVICE_NAME,
            accounts_server::SERVICE_NAME,
            profiles_server::SERVICE_NAME,
            directory_server::SERVICE_NAME,
            feed_server::SERVICE_NAME,
        ],
        tasks,
        ready: Arc::new(move || {
            let db = db.clone();
            async move { db.ping().await.map_err(|_| "the database is away".to_owned()) }.boxed()
        }),
    })
}
