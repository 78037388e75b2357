//! A database of one's own for a test, and events to put into it.

use beem_clock::{Clock, Entropy, Moment};
use beem_database::{Backend, Database, DatabaseSettings, Migration, OrFault as _, Sql as _, Tx};
use beem_events::{Event, Feed, NewEvent, append};
use beem_fault::Result;
use beem_ids::{AccountId, EventId};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

const SEEN: Migration = Migration {
    name: "seen",
    postgres: "CREATE TABLE seen (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event TEXT NOT NULL)",
    sqlite: "CREATE TABLE seen (id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL) STRICT",
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

pub struct Rig {
    pub url: String,
    pub kind: Kind,
    pub clock: Clock,
    _folder: tempfile::TempDir,
}

impl Rig {
    pub fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match kind {
            Kind::Sqlite => format!("sqlite:{}", folder.path().join("test.db").display()),
            Kind::Postgres => beem_testkit::postgres::fresh_database(),
        };
        Self { url, kind, clock: Clock::manual(Moment::from_unix_s(1_700_000_000)), _folder: folder }
    }

    /// Another database of the same kind.
    pub fn like(other: &Self) -> Self {
        Self::new(other.kind)
    }

    /// One more process on this database; with its tables.
    pub async fn process(&self) -> Database {
        let settings = DatabaseSettings { max_connections: 5, ..DatabaseSettings::at(&self.url) };
        let db = Database::connect(&settings, self.clock.clone(), Entropy::System).await.unwrap();
        db.migrate(&[beem_events::MIGRATIONS, &[SEEN]].concat()).await.unwrap();
        db
    }

    pub async fn feed(&self) -> Feed {
        Feed::open(self.process().await).await.unwrap()
    }
}

pub async fn emit(tx: &Tx<'_>, entity: &str, n: i64) -> Result<EventId> {
    let event = NewEvent {
        account_id: AccountId(Uuid::nil()),
        event: "layer1:test:happened".into(),
        source: "ledger".into(),
        entity_id: entity.into(),
        data: json!({ "n": n }),
    };
    append(tx, event).await
}

pub async fn happen(db: &Database, entity: &str, n: i64) -> EventId {
    db.write(|tx| Box::pin(emit(tx, entity, n))).await.unwrap()
}

/// Everything after a position that is there by now.
pub async fn read(feed: &Feed, after: u64) -> Vec<Event> {
    feed.read(feed.epoch(), after, 500, Duration::ZERO).await.unwrap().events
}

pub fn names(events: &[Event]) -> Vec<(u64, String, u64)> {
    events.iter().map(|e| (e.position, e.entity_id.clone(), e.sequence)).collect()
}

/// What handlers noted, in order.
pub async fn seen(db: &Database) -> Vec<String> {
    let rows = db.read().rows("SELECT event FROM seen ORDER BY id", vec![]).await.unwrap();
    rows.iter().map(|row| row.try_get("", "event").or_fault().unwrap()).collect()
}

pub async fn seen_so_far(db: &Database) -> usize {
    let row = db.read().row("SELECT count(*) AS n FROM seen", vec![]).await.unwrap().unwrap();
    usize::try_from(row.try_get::<i64>("", "n").unwrap()).unwrap()
}

pub fn on_postgres(db: &Database) -> bool {
    db.backend() == Backend::Postgres
}

/// One story, on both databases.
macro_rules! on_both {
    ($($story:ident),+ $(,)?) => {$(
        mod $story {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$story($crate::rig::Rig::new($crate::rig::Kind::Sqlite)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$story($crate::rig::Rig::new($crate::rig::Kind::Postgres)).await;
            }
        }
    )+};
}
pub(crate) use on_both;
