//! A database of one's own for a test, opened by as many "processes" as the story has.

use beem_clock::{Clock, Entropy, Moment};
use beem_database::claims::{RequestKey, fingerprint};
use beem_database::{Database, DatabaseSettings, MIGRATIONS, Migration, OrFault as _, Sql as _, Tx};
use beem_fault::Result;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// What the stories write: notes, one per write that happened.
const NOTES: Migration = Migration {
    name: "notes",
    postgres: "CREATE TABLE notes (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text TEXT NOT NULL);
        CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);",
    sqlite: "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL) STRICT;
        CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;",
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

pub struct Rig {
    pub url: String,
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
        Self { url, clock: Clock::manual(Moment::from_unix_s(1_700_000_000)), _folder: folder }
    }

    /// The same database by another way.
    pub fn through(&self, url: String) -> Self {
        Self { url, clock: self.clock.clone(), _folder: tempfile::tempdir().unwrap() }
    }

    /// One more process on this database; with its tables.
    pub async fn process(&self) -> Database {
        let db = self.bare_process().await;
        db.migrate(&[MIGRATIONS, &[NOTES]].concat()).await.unwrap();
        db
    }

    pub async fn bare_process(&self) -> Database {
        let settings = DatabaseSettings { max_connections: 5, ..DatabaseSettings::at(&self.url) };
        Database::connect(&settings, self.clock.clone(), Entropy::System).await.unwrap()
    }
}

pub async fn note(tx: &Tx<'_>, text: &str) -> Result<Vec<u8>> {
    tx.run("INSERT INTO notes (text) VALUES ($1)", vec![text.into()]).await?;
    Ok(format!("noted {text}").into_bytes())
}

/// How often this was noted.
pub async fn noted(db: &Database, text: &str) -> i64 {
    let sql = "SELECT count(*) AS n FROM notes WHERE text = $1";
    let row = db.read().row(sql, vec![text.into()]).await.unwrap().unwrap();
    row.try_get("", "n").or_fault().unwrap()
}

pub fn key(key: &str) -> RequestKey {
    RequestKey {
        principal: "p1".into(),
        rpc: "Notes/Write".into(),
        key: key.into(),
        fingerprint: fingerprint("Notes/Write", b"{}"),
    }
}

pub fn in_seconds(s: u64) -> Instant {
    Instant::now() + Duration::from_secs(s)
}

/// Polls `future` at most `polls` times and then drops it, as a caller who goes away does.
pub async fn polled<F: Future>(future: F, polls: u32) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(move |context: &mut Context<'_>| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        Pin::as_mut(&mut future).poll(context).map(Some)
    })
    .await
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
