//! A database of one's own for a test, mailers on it, and a transport whose answers a story writes.

use beem_clock::{Clock, Entropy, Moment};
use beem_database::{Database, DatabaseSettings, OrFault as _, Sql as _};
use beem_fault::{Fault, Result};
use beem_mail::{
    Letter, MIGRATIONS, MailQueue, MailSettings, Mailer, NewMail, Outgoing, Rendered, Stage, Transport,
    Undelivered,
};
use beem_sealing::{Sealing, SealingKey};
use beem_telemetry::Telemetry;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value as Json, json};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const TOKEN: &str = "tok-0190163d-very-secret";

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

pub struct Rig {
    pub url: String,
    pub clock: Clock,
    pub key: SealingKey,
    pub queue: MailQueue,
    pub telemetry: Telemetry,
    folder: tempfile::TempDir,
}

impl Rig {
    pub fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match kind {
            Kind::Sqlite => format!("sqlite:{}", folder.path().join("test.db").display()),
            Kind::Postgres => beem_testkit::postgres::fresh_database(),
        };
        let key = SealingKey::draw(&Entropy::System);
        let queue = MailQueue::new(Sealing::new(vec![key.clone()]).unwrap());
        Self {
            url,
            clock: Clock::manual(Moment::from_unix_s(1_700_000_000)),
            key,
            queue,
            telemetry: Telemetry::off(),
            folder,
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One more process on this database; with its tables.
    pub async fn process(&self) -> Database {
        let settings = DatabaseSettings { max_connections: 5, ..DatabaseSettings::at(&self.url) };
        let db = Database::connect(&settings, self.clock.clone(), Entropy::System).await.unwrap();
        db.migrate(MIGRATIONS).await.unwrap();
        db
    }

    /// Queues an invitation, as a service does.
    pub async fn invite(&self, db: &Database, to: &str) -> Uuid {
        let mail = &invitation(to);
        db.write(|tx| Box::pin(self.queue.add(tx, mail))).await.unwrap()
    }

    /// A mailer of a process of its own, under way.
    pub async fn mailer(&self, transport: Arc<dyn Transport>) -> Running {
        let db = self.process().await;
        let telemetry = self.telemetry.clone();
        let settings = MailSettings::default();
        let mailer = Mailer::through(db, self.queue.clone(), &settings, transport, render, telemetry);
        Running::start(mailer.unwrap())
    }

    /// The same, as the settings say.
    pub async fn mailer_as(&self, settings: &MailSettings) -> Running {
        let db = self.process().await;
        let mailer = Mailer::new(db, self.queue.clone(), settings, render, self.telemetry.clone());
        Running::start(mailer.unwrap())
    }
}

/// A mailer under way.
pub struct Running {
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(mailer: Mailer) -> Self {
        let cancel = CancellationToken::new();
        let told = cancel.clone();
        Self { cancel, task: tokio::spawn(async move { mailer.run(told).await }) }
    }

    /// As when a process drains.
    pub async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }

    /// As when a process is killed: nothing more of it is done.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

pub fn invitation(to: &str) -> NewMail {
    named_invitation(to, "Ada")
}

pub fn named_invitation(to: &str, name: &str) -> NewMail {
    NewMail { to: to.into(), kind: "invitation", content: json!({ "name": name, "token": TOKEN }) }
}

/// The templates of the stories.
pub fn render(kind: &str, content: &Json) -> Result<Rendered> {
    assert_ne!(kind, "panics", "a template that panics");
    let (Some(name), Some(token)) = (content["name"].as_str(), content["token"].as_str()) else {
        return Err(Fault::internal(format!("{kind}: no name or no token in {content}")));
    };
    Ok(Letter::new(&format!("Welcome to BEEM, {name}"))
        .to_name(name)
        .paragraph(&format!("Hello {name}, you are invited."))
        .button("Activate", &format!("https://pay.example/activate?token={token}"))
        .note("The link is valid for 72 hours.")
        .finish())
}

/// Keeps what it was given; answers as told, and then `Ok`.
#[derive(Default)]
pub struct Script {
    pub taken: Mutex<Vec<Outgoing>>,
    answers: Mutex<VecDeque<Answer>>,
    under_way: AtomicUsize,
    pub most_under_way: AtomicUsize,
}

pub enum Answer {
    Refuse(Undelivered),
    /// Takes it, but the answer never comes.
    Silence,
    /// Takes it and answers once told.
    Wait(Arc<tokio::sync::Notify>),
}

pub const LATER: Undelivered = Undelivered { stage: Stage::Connect, code: None, permanent: false };
pub const NEVER: Undelivered = Undelivered { stage: Stage::Recipient, code: Some(550), permanent: true };

impl Script {
    pub fn new(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        let answers = Mutex::new(answers.into_iter().collect());
        Arc::new(Self { answers, ..Self::default() })
    }

    pub fn count(&self) -> usize {
        self.taken.lock().unwrap().len()
    }

    pub fn ids(&self) -> Vec<Uuid> {
        self.taken.lock().unwrap().iter().map(|mail| mail.id).collect()
    }
}

impl Transport for Script {
    fn send<'a>(&'a self, mail: &'a Outgoing) -> BoxFuture<'a, Result<(), Undelivered>> {
        async move {
            let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_under_way.fetch_max(now, Ordering::SeqCst);
            let answer = self.answers.lock().unwrap().pop_front();
            if !matches!(answer, Some(Answer::Refuse(_))) {
                self.taken.lock().unwrap().push(mail.clone());
            }
            let outcome = match answer {
                Some(Answer::Refuse(why)) => Err(why),
                Some(Answer::Silence) => std::future::pending().await,
                Some(Answer::Wait(told)) => {
                    told.notified().await;
                    Ok(())
                }
                None => {
                    tokio::task::yield_now().await;
                    Ok(())
                }
            };
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            outcome
        }
        .boxed()
    }
}

/// A row as it lies there.
#[derive(Debug, PartialEq)]
pub struct Row {
    pub payload: Option<Vec<u8>>,
    pub attempts: i64,
    pub wait_ms: i64,
    pub leased: bool,
    pub sent: bool,
    pub failed: bool,
    pub last_error: Option<String>,
}

pub async fn row(db: &Database, id: Uuid) -> Option<Row> {
    let sql = "SELECT payload, attempts, next_ms, lease_until_ms, sent_ms, failed_ms, last_error
        FROM mails WHERE id = $1";
    let row = db.read().row(sql, vec![id.into()]).await.unwrap()?;
    let number = |name: &str| row.try_get::<Option<i64>>("", name).or_fault().unwrap();
    let now_ms = db.clock().now().unix_ms();
    Some(Row {
        payload: row.try_get("", "payload").or_fault().unwrap(),
        attempts: number("attempts").unwrap(),
        wait_ms: number("next_ms").unwrap() - now_ms,
        leased: number("lease_until_ms").unwrap() > now_ms,
        sent: number("sent_ms").is_some(),
        failed: number("failed_ms").is_some(),
        last_error: row.try_get("", "last_error").or_fault().unwrap(),
    })
}

/// Looks every 10 ms until the row is as wanted.
pub async fn row_when(db: &Database, id: Uuid, what: &str, wanted: impl Fn(&Row) -> bool) -> Row {
    eventually(what, || async { row(db, id).await.filter(&wanted) }).await
}

/// Looks every 10 ms until there is something; panics with `what` after 20 seconds.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, waiting).await.unwrap_or_else(|_| panic!("{what}: not within 20 s"))
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
