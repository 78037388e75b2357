//! Identity: accounts, their users and API clients, how those prove themselves, and from where. Whether a principal may act is authz's to say; identity
//! changes it there first when access shrinks and last when it grows.
//!
//! | module | holds |
//! | --- | --- |
//! | [`domain`] | what a user, a client and an account are, who may change what: pure |
//! | `store` | the tables, in the domain's words |
//! | `operations` | one RPC a file; writes are sagas with authz |
//! | `peers` | what it needs of authz |
//! | `grpc` | decode, call, encode |
//! | `passwords` | argon2id, a few at once |
//! | `mails` | the mails it sends, and how they read |
//! | `tasks` | sequencer, saga resumer, mailer, purge |

pub mod domain;
mod grpc;
mod mails;
mod operations;
mod passwords;
mod peers;
mod settings;
mod store;
mod tasks;

pub use domain::Environment;
pub use settings::IdentitySettings;

use crate::grpc::Grpc;
use crate::mails::Letters;
use crate::operations::{Means, Operations};
use crate::passwords::Passwords;
use crate::peers::Authz;
use beem_clock::{Clock, Entropy};
use beem_database::{Database, Migration};
use beem_events::{Feed, FeedServer};
use beem_fault::{Fault, Result};
use beem_link::Link;
use beem_mail::{MailQueue, MailSettings, Mailer};
use beem_proto::events::v1::feed_server;
use beem_proto::identity::v1::{
    accounts_server, clients_server, directory_server, profiles_server, sessions_server, sign_ins_server,
    users_server,
};
use beem_proto::{AnswerJson, Contract};
use beem_runtime::Service;
use beem_sealing::Sealing;
use beem_telemetry::Telemetry;
use futures::FutureExt as _;
use std::sync::Arc;
use tonic::service::Routes;

/// The gateway's first public origin, `https://beem.example`, without a slash at the end: asked whenever a mail with a link
/// is sent, since an operator may change it.
pub type LinkOrigin = Arc<dyn Fn() -> String + Send + Sync>;

/// What identity is built on.
pub struct IdentityDeps {
    /// Its own, nobody else's.
    pub database: Database,
    /// With identity's own service identity.
    pub authz: Link,
    pub clock: Clock,
    pub entropy: Entropy,
    pub telemetry: Telemetry,
    /// Seals secrets that have to be read again: second factors, waiting mails, remembered answers that show one.
    pub sealing: Sealing,
    /// Where mails go.
    pub mail: MailSettings,
    /// Where links of mails lead to.
    pub origin: LinkOrigin,
    /// What an operator says the installation is; None takes it as it is, a sandbox at the first start.
    pub environment: Option<Environment>,
}

/// Migrates the database, opens the installation and builds the service.
///
/// # Errors
/// `validation-failed` for settings that cannot work; `internal` when the database belongs to a newer release or the
/// installation to another environment, or its secrets are sealed under a key that is not held; `unavailable` when the
/// database is away.
pub async fn build(settings: IdentitySettings, deps: IdentityDeps) -> Result<Service> {
    settings.validate()?;
    let db = deps.database.sealed_by(deps.sealing.clone());
    let migrations: Vec<Migration> =
        [beem_database::MIGRATIONS, beem_events::MIGRATIONS, beem_mail::MIGRATIONS, store::MIGRATIONS]
            .concat();
    db.migrate(&migrations).await?;
    let installation = store::installation::open(&db, deps.environment).await?;
    store::installation::hold_key(&db, &deps.sealing).await?;
    let feed = Feed::open(db.clone()).await?;
    let contract = Contract::load().map_err(Fault::internal)?;
    let json = AnswerJson::new(&contract, "beem.identity.v1.Client").map_err(Fault::internal)?;
    let mail = MailQueue::new(deps.sealing.clone());
    let letters = Letters { origin: deps.origin };
    let mailer = Mailer::new(db.clone(), mail.clone(), &deps.mail, letters, deps.telemetry.clone())?;
    let (at_once, waiting) = (settings.password_hashes_at_once, settings.password_hashes_waiting);
    let passwords = Passwords::new(at_once, waiting, deps.telemetry);
    let means = Means::new(Authz::new(deps.authz), json, deps.sealing, mail, passwords, &settings);
    let operations = Operations::new(db.clone(), means, installation);
    let tasks = tasks::all(&db, &operations, &feed, mailer, &settings);
    let grpc = Grpc(operations);
    let routes = Routes::new(clients_server::ClientsServer::new(grpc.clone()))
        .add_service(users_server::UsersServer::new(grpc.clone()))
        .add_service(sign_ins_server::SignInsServer::new(grpc.clone()))
        .add_service(sessions_server::SessionsServer::new(grpc.clone()))
        .add_service(accounts_server::AccountsServer::new(grpc.clone()))
        .add_service(profiles_server::ProfilesServer::new(grpc.clone()))
        .add_service(directory_server::DirectoryServer::new(grpc))
        .add_service(FeedServer::new(feed).into_service());
    Ok(Service {
        name: "identity",
        routes,
        grpc_names: vec![
            clients_server::SERVICE_NAME,
            users_server::SERVICE_NAME,
            sign_ins_server::SERVICE_NAME,
            sessions_server::SERVICE_NAME,
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
