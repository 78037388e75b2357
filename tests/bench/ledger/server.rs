//! One `beem` process that serves the ledger as in a cluster, mutual TLS and service tokens included, on a database of its
//! own: the cluster's own settings with another place to listen and another database.

use super::books::Books;
use beem_caller::{ServiceIdentity, metadata};
use beem_clock::{Clock, Entropy};
use beem_ids::RequestId;
use beem_proto::ledger::v1::PostBatchesResponse;
use beem_testkit::cluster::{Cluster, Options, beem_bin, free_addresses, http_status};
use beem_testkit::process::{Launch, Process};
use beem_testkit::{postgres, redis};
use beem_tests::cluster_keys::ClusterKeys;
use beem_tests::environment::internal_services;
use beem_tests::grpc::GrpcCall;
use prost::Message as _;
use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::{Table, Value};
use tonic::transport::Channel;

const POST_BATCHES: &str = "/beem.ledger.v1.Postings/PostBatches";

const READY_LIMIT: Duration = Duration::from_secs(60);

/// The cluster whose keys, certificates and settings are used. Of its processes only authz is left, which the ledger calls.
pub struct Settings {
    cluster: Cluster,
}

/// Where a ledger keeps its books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Postgres,
    Sqlite,
}

/// See the module. All calls go over one HTTP/2 connection, as those of one calling process do.
pub struct Ledger {
    // Declared first: it has to stop before its folder, which is the cluster's, goes.
    process: Process,
    channel: Channel,
    caller: ServiceIdentity,
    /// Transfers posted through here, funding included.
    posted: Cell<u64>,
    pub books: Books,
}

impl Settings {
    pub fn make() -> Result<Self, String> {
        let mut options = Options::new(beem_bin(), postgres::shared(), redis::fresh_database());
        options.gateways = 1;
        options.envs.push(internal_services());
        // The bench runs on its main thread.
        options.ends_with_thread = true;
        let mut cluster = Cluster::start(&options)?;
        for name in ["gateway-1", "hooks", "identity", "ledger"] {
            cluster.stop(name)?;
        }
        Ok(Self { cluster })
    }
}

impl Ledger {
    /// Starts one on an empty database.
    pub async fn start(settings: &Settings, name: &str, kept: Kept) -> Result<Self, String> {
        let folder = settings.cluster.folder();
        let addresses = free_addresses(2)?;
        let [listen, admin] = *addresses.as_slice() else { return Err("no free ports".into()) };
        let data = folder.join(format!("{name}-data"));
        let url = match kept {
            Kept::Postgres => postgres::shared().fresh_database()?,
            Kept::Sqlite => format!("sqlite:{}", data.join("ledger.sqlite").display()),
        };
        let config = folder.join(format!("{name}.toml"));
        let text = std::fs::read_to_string(folder.join("ledger.toml")).map_err(|e| e.to_string())?;
        let mut table: Table = text.parse().map_err(|e: toml::de::Error| e.to_string())?;
        table.insert("data_dir".into(), data.display().to_string().into());
        table.insert("admin_listen".into(), admin.to_string().into());
        let grpc = table.get_mut("grpc").and_then(Value::as_table_mut).ok_or("ledger.toml has no [grpc]")?;
        grpc.insert("listen".into(), listen.to_string().into());
        let database = Value::Table(Table::from_iter([("url".to_owned(), url.clone().into())]));
        table.insert("database".into(), Value::Table(Table::from_iter([("ledger".to_owned(), database)])));
        std::fs::create_dir_all(&data).map_err(|e| e.to_string())?;
        std::fs::write(&config, table.to_string()).map_err(|e| e.to_string())?;
        let process = start(settings, name, config, admin)?;
        let keys = ClusterKeys::read(folder);
        Ok(Self {
            process,
            channel: keys.channel_to("ledger", &format!("https://{listen}")),
            caller: keys.internal("payments"),
            posted: Cell::new(0),
            books: Books::open(&url).await?,
        })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// PostBatches as the service `payments`. Fails unless every batch was posted, now and not before.
    pub async fn post(&self, message: Vec<u8>) -> Result<(), String> {
        let request = RequestId::draw(Clock::System.now(), &Entropy::System);
        let texts = vec![
            (metadata::SERVICE_TOKEN, self.caller.token_for("ledger")),
            (metadata::AUDIENCE, "ledger".to_owned()),
            (metadata::REQUEST_ID, request.to_string()),
        ];
        let call = GrpcCall { path: POST_BATCHES.to_owned(), message, texts, binaries: Vec::new() };
        let answer = call.send(&self.channel).await.map_err(|e| format!("PostBatches: {e}"))?;
        let answer = PostBatchesResponse::decode(answer).map_err(|e| e.to_string())?;
        if let Some(other) = answer.outcomes.iter().find(|o| o.replayed || !o.refused.is_empty()) {
            return Err(format!("a batch was not posted: {other:?}"));
        }
        let transfers: usize = answer.outcomes.iter().map(|outcome| outcome.transfer_ids.len()).sum();
        self.posted.set(self.posted.get() + u64::try_from(transfers).unwrap_or(0));
        Ok(())
    }

    /// That the books hold what callers were told and nothing else; `seeded`: transfers that were put there otherwise.
    pub async fn check(&mut self, seeded: u64) -> Result<(), String> {
        let (there, told) = (self.books.transfers().await?, self.posted.get() + seeded);
        if there == told {
            return Ok(());
        }
        Err(format!("{there} transfers in the books, and callers were told of {told}"))
    }
}

fn start(settings: &Settings, name: &str, config: PathBuf, admin: SocketAddr) -> Result<Process, String> {
    let (key, value) = internal_services();
    let launch = Launch::new(name, beem_bin(), settings.cluster.folder())
        .args(["serve", "--config"])
        .arg(config)
        .env(key, value)
        .on_death(Some("KILL"));
    let mut process = launch.start()?;
    let ready = beem_testkit::eventually("the ledger is ready", READY_LIMIT, || {
        if !process.is_running() {
            return Err("the ledger ended".into());
        }
        Ok((http_status(admin, "/readyz") == Some(200)).then_some(()))
    });
    ready.map_err(|e| format!("{e}; its log ends with:\n{}", process.log_tail()))?;
    Ok(process)
}
