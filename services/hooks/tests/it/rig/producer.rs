//! A service that makes events: its own database, the sequencer on it, and its feed behind a guard and a gate.

use beem_clock::{Clock, Entropy};
use beem_database::{Database, Sql as _};
use beem_events::{Feed, FeedServer, NewEvent, append};
use beem_fault::{Code, Fault};
use beem_hooks::domain::EventType;
use beem_ids::{AccountId, EventId};
use beem_link::{Link, LocalService};
use beem_runtime::guarded;
use beem_servicetest::{Base, Gate, base, guard_settings, link};
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

/// One producing service.
pub struct Producer {
    pub db: Database,
    /// Before its feed.
    pub gate: Gate,
    name: &'static str,
    clock: Clock,
    opened: Arc<Mutex<Opened>>,
}

/// The feed as it was last opened.
struct Opened {
    feed: Feed,
    service: LocalService,
    _sequencer: DropGuard,
}

impl Producer {
    pub async fn start(
        name: &'static str,
        base: Base,
        folder: &Path,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Self {
        let db = base::connect(&base.fresh(folder, name), clock, entropy).await;
        db.migrate(beem_events::MIGRATIONS).await.unwrap();
        let opened = Arc::new(Mutex::new(Opened::new(name, &db, clock).await));
        Self { db, gate: Gate::default(), name, clock: clock.clone(), opened }
    }

    /// The way of hooks to its feed.
    pub fn link(&self) -> Link {
        let opened = self.opened.clone();
        let current = BoxCloneSyncService::new(tower::service_fn(move |request| {
            let service = opened.lock().unwrap().service.clone();
            async move { Ok::<_, Infallible>(service.oneshot(request).await.unwrap()) }
        }));
        link(self.name, self.gate.before(current), "hooks", &self.clock)
    }

    /// Its feed as it is now, for a look.
    pub fn feed(&self) -> Feed {
        self.opened.lock().unwrap().feed.clone()
    }

    /// An event as this service makes it.
    pub fn event(&self, account: AccountId, event: &str, entity: &str, data: serde_json::Value) -> NewEvent {
        let source = EventType::find(event).map_or(self.name, |known| known.source);
        NewEvent {
            account_id: account,
            event: event.to_owned(),
            source: source.to_owned(),
            entity_id: entity.to_owned(),
            data,
        }
    }

    /// An event of its own transaction, committed.
    pub async fn append(&self, event: NewEvent) -> EventId {
        self.append_all(vec![event]).await.pop().unwrap()
    }

    /// Events of one transaction, committed.
    pub async fn append_all(&self, events: Vec<NewEvent>) -> Vec<EventId> {
        let events = &events;
        self.db.write(|tx| Box::pin(appended(tx, events))).await.unwrap()
    }

    /// Events of a transaction that stays open until it is told how to end. On SQLite nobody else writes until then.
    pub async fn begin(&self, events: Vec<NewEvent>) -> Open {
        let (db, (say, told)) = (self.db.clone(), watch::channel(None));
        let (begun, mut has_begun) = watch::channel(false);
        let ended = beem_runtime::spawn(async move {
            let (events, told, begun) = (&events, &told, &begun);
            let written = db.write(|tx| {
                Box::pin(async move {
                    let ids = appended(tx, events).await?;
                    begun.send_replace(true);
                    let mut told = told.clone();
                    let commit = *told.wait_for(Option::is_some).await.map_err(Fault::internal)?;
                    if commit == Some(true) { Ok(ids) } else { Err(Fault::new(Code::NotFound, "undone")) }
                })
            });
            written.await
        });
        has_begun.wait_for(|begun| *begun).await.unwrap();
        Open { say, ended }
    }

    /// The last position of its feed.
    pub async fn head(&self) -> u64 {
        let row = self.db.read().row("SELECT head FROM feed", vec![]).await.unwrap().unwrap();
        u64::try_from(row.try_get::<i64>("", "head").unwrap()).unwrap()
    }

    /// Its database was restored: the feed is another one, with the same events.
    pub async fn restored(&self) {
        let sql = "UPDATE feed SET epoch = 'restored-' || epoch";
        self.db.write(|tx| Box::pin(async move { tx.run(sql, vec![]).await })).await.unwrap();
        let opened = Opened::new(self.name, &self.db, &self.clock).await;
        *self.opened.lock().unwrap() = opened;
    }

    /// Forgets every event that has a position.
    pub async fn forget(&self) {
        self.feed().purge(0, u32::MAX).await.unwrap();
    }
}

impl Opened {
    async fn new(name: &str, db: &Database, clock: &Clock) -> Self {
        let feed = Feed::open(db.clone()).await.unwrap();
        let routes = Routes::new(FeedServer::new(feed.clone()).into_service());
        let service = guarded(routes, guard_settings(name, clock));
        let (end, sequencer) = (CancellationToken::new(), feed.clone());
        let until = end.clone();
        drop(beem_runtime::spawn(async move { sequencer.sequence(until).await }));
        Self { feed, service, _sequencer: end.drop_guard() }
    }
}

async fn appended(tx: &beem_database::Tx<'_>, events: &[NewEvent]) -> Result<Vec<EventId>, Fault> {
    let mut ids = Vec::new();
    for event in events {
        ids.push(append(tx, event.clone()).await?);
    }
    Ok(ids)
}

/// A producer's transaction under way.
pub struct Open {
    say: watch::Sender<Option<bool>>,
    ended: JoinHandle<Result<Vec<EventId>, Fault>>,
}

impl Open {
    pub async fn commit(self) -> Vec<EventId> {
        self.say.send_replace(Some(true));
        self.ended.await.unwrap().unwrap()
    }

    pub async fn roll_back(self) {
        self.say.send_replace(Some(false));
        assert_eq!(self.ended.await.unwrap().unwrap_err().code, Code::NotFound);
    }
}
