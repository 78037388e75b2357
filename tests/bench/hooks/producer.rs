//! A service that makes events: `crates/events` on a database of its own, served as the ledger's feed behind the ledger's own
//! guard and certificate.

use super::receivers::{COMMITTED, now_us};
use beem_caller::{Issuers, Opener};
use beem_clock::{Clock, Entropy};
use beem_database::{Database, DatabaseSettings};
use beem_events::{Feed, FeedServer, NewEvent, append};
use beem_ids::AccountId;
use beem_proto::Contract;
use beem_runtime::{GuardSettings, TlsListener, guarded, serve_grpc};
use beem_telemetry::Telemetry;
use beem_testkit::postgres;
use beem_tests::cluster_keys::ClusterKeys;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// Objects the events are about.
const ENTITIES: usize = 1_000;

/// See the module.
pub struct Producer {
    db: Database,
    account: AccountId,
    made: AtomicUsize,
    pub address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Producer {
    pub async fn start(folder: &Path, account: AccountId) -> Result<Self, String> {
        let url = postgres::shared().fresh_database()?;
        let settings = DatabaseSettings::at(url);
        let db = Database::connect(&settings, Clock::System, Entropy::System).await;
        let db = db.map_err(|e| e.to_string())?;
        db.migrate(&[beem_database::MIGRATIONS, beem_events::MIGRATIONS].concat())
            .await
            .map_err(|e| e.to_string())?;
        let feed = Feed::open(db.clone()).await.map_err(|e| e.to_string())?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|e| e.to_string())?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let stop = CancellationToken::new();
        let contract = Contract::load().map_err(|e| e.to_string())?;
        serve(folder, contract, listener, feed.clone(), stop.clone());
        let ended = stop.clone();
        drop(beem_runtime::spawn(async move { feed.sequence(ended).await }));
        Ok(Self { db, account, made: AtomicUsize::new(0), address, stop })
    }

    /// Since [`Producer::begin`].
    pub fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// Counts from here.
    pub fn begin(&self, made: usize) {
        self.made.store(made, Ordering::Relaxed);
    }

    /// So many in one transaction.
    pub async fn make(&self, count: u32) -> Result<(), String> {
        let first = self.made();
        let written = self.db.write(|tx| {
            Box::pin(async move {
                for n in 0..usize::try_from(count).unwrap_or(0) {
                    append(tx, self.event(first + n)).await?;
                }
                Ok(())
            })
        });
        written.await.map_err(|e| e.to_string())?;
        self.made.fetch_add(usize::try_from(count).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }

    /// As large as the event of a wallet.
    fn event(&self, n: usize) -> NewEvent {
        let key = COMMITTED.trim_matches(|c| c == '"' || c == ':');
        let entity = format!("bench-{}", n % ENTITIES);
        NewEvent {
            account_id: self.account,
            event: "layer1:ledger:wallet:created".to_owned(),
            source: "ledger".to_owned(),
            data: json!({
                "id": entity, "name": "a wallet of the bench", "currency": "USD", "accountId": self.account.to_string(),
                "balance": { "total": "0.00", "available": "0.00", "reserved": "0.00" },
                key: now_us().to_string(),
            }),
            entity_id: entity,
        }
    }
}

fn serve(folder: &Path, contract: Contract, listener: TcpListener, feed: Feed, stop: CancellationToken) {
    let hooks = ClusterKeys::read(folder).identity("hooks").public_key();
    let settings = GuardSettings {
        service: "ledger".to_owned(),
        contract,
        issuers: Issuers::new("ledger", BTreeMap::from([("hooks".to_owned(), vec![hooks])])),
        opener: Opener::new("ledger", Vec::new()),
        extra_methods: BTreeMap::new(),
        clock: Clock::System,
        telemetry: Telemetry::off(),
    };
    let tls = TlsListener {
        certificate: folder.join("ledger.cert.pem"),
        key: folder.join("ledger.key.pem"),
        authority: folder.join("authority.pem"),
    };
    let service = guarded(Routes::new(FeedServer::new(feed).into_service()), settings);
    drop(beem_runtime::spawn(async move {
        if let Err(error) = serve_grpc(listener, Some(&tls), &[], service, stop).await {
            eprintln!("the producer's feed: {error}");
        }
    }));
}
