//! One or several processes of the ledger on one database, with the real authz for their audit rows, and callers that call
//! as the gateway (with a sealed actor), payments, channels and the operator do. Typed calls are in [`crate::calls`], what the
//! tables say in [`crate::books`].

use beem_authz::{AuthzDeps, AuthzSettings};
use beem_cache::StandingCache;
use beem_caller::{
    Actor, ActorKey, AuthenticatedBy, Issuers, Opener, PrincipalKind, Sealer, ServiceIdentity, Subject,
    metadata,
};
use beem_clock::{Clock, Entropy, Moment};
use beem_database::{Backend, Database, DatabaseSettings, Sql as _};
use beem_fault::Fault;
use beem_ids::{AccountId, PrincipalId, RequestId};
use beem_ledger::{LedgerDeps, LedgerSettings};
use beem_link::{Link, LocalService};
use beem_proto::Contract;
use beem_roles::RoleSet;
use beem_runtime::{GuardSettings, Service, Task, Tasks, guarded};
use beem_settings::Environment;
use beem_telemetry::Telemetry;
use ed25519_dalek::SigningKey;
use http::uri::PathAndQuery;
use prost::Message;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tonic::metadata::MetadataValue;
use tonic::{Request, Streaming};

const SEAL: [u8; 32] = [7; 32];
/// Signs heads.
pub const LEDGER_KEY: [u8; 32] = [11; 32];

/// Which database it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Sqlite,
    Postgres,
}

/// A database, authz, and the first process of the ledger, which it stands for in calls.
pub struct Rig {
    pub base: Base,
    pub clock: Clock,
    pub entropy: Entropy,
    /// Whose wallets [`Rig::wallet`] opens.
    pub owner: Actor,
    pub ledger: Ledger,
    shared: Shared,
    keys: AtomicU64,
    _folder: tempfile::TempDir,
}

/// What every process has in common.
struct Shared {
    url: String,
    settings: LedgerSettings,
    environment: Option<Environment>,
    authz: Link,
    clock: Clock,
    entropy: Entropy,
}

/// One process of the ledger.
pub struct Ledger {
    pub db: Database,
    /// Its counters can be read.
    pub telemetry: Telemetry,
    pub(crate) gateway: Link,
    pub(crate) payments: Link,
    pub(crate) channels: Link,
    pub(crate) admin: Link,
    tasks: Vec<Task>,
    running: Tasks,
    clock: Clock,
}

/// An answer, and whether it was an earlier one.
#[derive(Clone, Debug)]
pub struct Answer<A> {
    pub body: A,
    pub replayed: bool,
}

/// A refusal, and whether it was an earlier one.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub fault: Fault,
    pub replayed: bool,
}

pub type Reply<A> = Result<Answer<A>, Refusal>;

impl Refusal {
    pub fn code(&self) -> &'static str {
        self.fault.code.as_str()
    }

    pub fn fields(&self) -> Vec<&str> {
        self.fault.fields.iter().map(|f| f.field.as_str()).collect()
    }
}

fn service_identity(name: &str, clock: &Clock) -> ServiceIdentity {
    let mut seed = [0; 32];
    for (to, from) in seed.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    ServiceIdentity::new(name, SigningKey::from_bytes(&seed), clock.clone())
}

fn behind_guard(service: Service, clock: &Clock) -> (LocalService, Vec<Task>) {
    let known = ["gateway", "ledger", "payments", "channels", "admin"];
    let keys = known.map(|name| (name.to_owned(), vec![service_identity(name, clock).public_key()]));
    let settings = GuardSettings {
        service: service.name.to_owned(),
        contract: Contract::load().unwrap(),
        issuers: Issuers::new(service.name, BTreeMap::from(keys)),
        opener: Opener::new(service.name, vec![ActorKey(SEAL)]),
        extra_methods: BTreeMap::new(),
        clock: clock.clone(),
        telemetry: Telemetry::off(),
    };
    (guarded(service.routes, settings), service.tasks)
}

impl Rig {
    /// A sandbox with the settings of one.
    pub async fn start(base: Base) -> Self {
        Self::start_with(base, LedgerSettings::default(), None).await
    }

    pub async fn start_with(base: Base, settings: LedgerSettings, environment: Option<Environment>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match base {
            Base::Sqlite => format!("sqlite:{}", folder.path().join("ledger.db").display()),
            Base::Postgres => beem_testkit::postgres::fresh_database(),
        };
        Self::start_at(base, url, folder, settings, environment).await
    }

    /// On a database of one's own; authz has its own in the folder.
    pub async fn start_at(
        base: Base,
        url: String,
        folder: tempfile::TempDir,
        settings: LedgerSettings,
        environment: Option<Environment>,
    ) -> Self {
        let clock = Clock::manual(Moment::from_unix_s(1_800_000_000));
        let entropy = Entropy::System;
        let authz_url = format!("sqlite:{}", folder.path().join("authz.db").display());
        let authz = authz(authz_url, &clock, &entropy).await;
        let shared =
            Shared { url, settings, environment, authz, clock: clock.clone(), entropy: entropy.clone() };
        let ledger = Ledger::start(&shared).await.unwrap();
        let owner = actor(&clock, &entropy);
        Self { base, clock, entropy, owner, ledger, shared, keys: AtomicU64::new(0), _folder: folder }
    }

    /// As after `kill -9`: whatever ran is gone, and another process opens the database.
    pub async fn restart(&mut self) {
        self.ledger = self.another().await;
    }

    /// Another process on the ledger's database.
    pub async fn another(&self) -> Ledger {
        Ledger::start(&self.shared).await.unwrap()
    }

    /// A start with other settings, on the same database: it may be refused.
    pub async fn another_with(
        &self,
        settings: LedgerSettings,
        environment: Option<Environment>,
    ) -> Result<Ledger, Fault> {
        let Shared { url, authz, clock, entropy, .. } = &self.shared;
        let (url, authz, clock, entropy) = (url.clone(), authz.clone(), clock.clone(), entropy.clone());
        Ledger::start(&Shared { url, settings, environment, authz, clock, entropy }).await
    }

    /// An operator of a new account.
    pub fn stranger(&self) -> Actor {
        actor(&self.clock, &self.entropy)
    }

    /// A key nobody has used.
    pub fn key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    /// The owner's account.
    pub fn account(&self) -> String {
        self.owner.account.to_string()
    }
}

/// Calls without another process named go to the first.
impl Deref for Rig {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.ledger
    }
}

async fn authz(url: String, clock: &Clock, entropy: &Entropy) -> Link {
    let settings = DatabaseSettings::at(url);
    let database = Database::connect(&settings, clock.clone(), entropy.clone()).await.unwrap();
    let deps = AuthzDeps {
        database,
        cache: StandingCache::in_process(1_000),
        signing_key: SigningKey::from_bytes(&[9; 32]),
        clock: clock.clone(),
        entropy: entropy.clone(),
        telemetry: Telemetry::off(),
    };
    let authz = beem_authz::build(AuthzSettings::default(), deps).await.unwrap();
    let (authz, _) = behind_guard(authz, clock);
    Link::local("authz", authz, service_identity("ledger", clock), Telemetry::off())
}

fn actor(clock: &Clock, entropy: &Entropy) -> Actor {
    let now = clock.now();
    Actor {
        account: AccountId::draw(now, entropy),
        principal: PrincipalId::draw(now, entropy),
        kind: PrincipalKind::Client,
        authenticated_by: AuthenticatedBy::Signature,
        name: "a client".into(),
        roles: RoleSet::ALL,
        standing_version: 1,
        address: "203.0.113.9".parse().unwrap(),
        request: RequestId::draw(now, entropy),
        key_fingerprint: "ab".repeat(32),
        request_key: String::new(),
        session: None,
    }
}

impl Ledger {
    async fn start(shared: &Shared) -> Result<Self, Fault> {
        let Shared { url, settings, environment, authz, clock, entropy } = shared;
        let db = Database::connect(&DatabaseSettings::at(url), clock.clone(), entropy.clone()).await?;
        let telemetry = Telemetry::off();
        let deps = LedgerDeps {
            database: db.clone(),
            authz: authz.clone(),
            signing_key: SigningKey::from_bytes(&LEDGER_KEY),
            clock: clock.clone(),
            entropy: entropy.clone(),
            telemetry: telemetry.clone(),
            environment: *environment,
        };
        let service = beem_ledger::build(settings.clone(), deps).await?;
        let (service, tasks) = behind_guard(service, clock);
        let link =
            |name| Link::local("ledger", service.clone(), service_identity(name, clock), Telemetry::off());
        let ledger = Self {
            db,
            telemetry,
            gateway: link("gateway"),
            payments: link("payments"),
            channels: link("channels"),
            admin: link("admin"),
            tasks,
            running: Tasks::new(Telemetry::off()),
            clock: clock.clone(),
        };
        ledger.run_task("ledger-writer");
        Ok(ledger)
    }

    /// Starts one background loop. That of the writer runs from the beginning.
    pub fn run_task(&self, name: &str) {
        let task = self.tasks.iter().find(|task| task.name == name);
        self.running.supervise(task.unwrap_or_else(|| panic!("there is no task {name}")).clone());
    }

    /// Tells every loop to stop, and waits for them.
    pub async fn drain(&self) -> bool {
        self.running.drain(Duration::from_secs(10)).await
    }

    /// A method of services, as one of them.
    pub async fn internal<Q, A>(&self, link: &Link, method: &'static str, asked: Q) -> Reply<A>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        unary(link.clone(), method, Request::new(asked)).await
    }

    /// The same by a caller who waits no longer than this.
    pub async fn impatient<Q, A>(
        &self,
        link: &Link,
        method: &'static str,
        asked: Q,
        wait: Duration,
    ) -> Reply<A>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut request = Request::new(asked);
        request.set_timeout(wait);
        unary(link.clone(), method, request).await
    }

    /// A method of an actor, under a request key (reads: none), sealed as the gateway seals it.
    pub async fn call<Q, A>(&self, actor: &Actor, key: &str, method: &'static str, asked: Q) -> Reply<A>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        unary(self.gateway.clone(), method, self.sealed(actor, key, method, asked)).await
    }

    /// The same for a stream of answers.
    pub async fn stream<Q, A>(
        &self,
        actor: &Actor,
        method: &'static str,
        asked: Q,
    ) -> Result<Streaming<A>, Refusal>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = tonic::client::Grpc::new(self.gateway.clone());
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<Q, A>::default();
        let request = self.sealed(actor, "", method, asked);
        let answer = grpc.server_streaming(request, PathAndQuery::from_static(method), codec).await;
        answer.map(tonic::Response::into_inner).map_err(refusal)
    }

    fn sealed<Q: Message>(&self, actor: &Actor, key: &str, method: &str, asked: Q) -> Request<Q> {
        let sealer = Sealer::new(BTreeMap::from([("ledger".to_owned(), ActorKey(SEAL))]));
        let subject = Subject::Actor(Actor { request_key: key.to_owned(), ..actor.clone() });
        let sealed =
            sealer.seal(&subject, "ledger", method, &asked.encode_to_vec(), self.clock.now()).unwrap();
        let mut request = Request::new(asked);
        let bin = request.metadata_mut();
        bin.insert_bin(metadata::ACTOR, MetadataValue::from_bytes(&sealed.actor));
        bin.insert_bin(metadata::ACTOR_SEAL, MetadataValue::from_bytes(&sealed.seal));
        request
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.running.cancelled().cancel();
    }
}

async fn unary<Q, A>(link: Link, method: &'static str, request: Request<Q>) -> Reply<A>
where
    Q: Message + Clone + 'static,
    A: Message + Default + 'static,
{
    let mut grpc = tonic::client::Grpc::new(link);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Q, A>::default();
    match grpc.unary(request, PathAndQuery::from_static(method), codec).await {
        Ok(answer) => {
            let replayed = answer.metadata().get(metadata::REPLAYED).is_some();
            Ok(Answer { body: answer.into_inner(), replayed })
        }
        Err(status) => Err(refusal(status)),
    }
}

fn refusal(status: tonic::Status) -> Refusal {
    let replayed = status.metadata().get(metadata::REPLAYED).is_some();
    Refusal { fault: status.into(), replayed }
}

/// A transaction that holds up every writer on the database, until it is let go.
pub struct Locked {
    release: Arc<Notify>,
    held: JoinHandle<()>,
}

impl Locked {
    pub async fn let_go(self) {
        self.release.notify_one();
        self.held.await.unwrap();
    }
}

impl Ledger {
    /// Locks what every order needs, from this process: one that is not under test.
    pub async fn lock(&self) -> Locked {
        match self.db.backend() {
            Backend::Postgres => self.holding("LOCK TABLE effects IN ACCESS EXCLUSIVE MODE").await,
            // Every transaction that writes has the whole file.
            Backend::Sqlite => self.holding("DELETE FROM effects WHERE effect_key = ''").await,
        }
    }

    /// A transaction of this process that has run the statement and stays open until it is let go; then it is undone.
    pub async fn holding(&self, sql: impl Into<String>) -> Locked {
        let (taken, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (db, told, until, sql) = (self.db.clone(), taken.clone(), release.clone(), sql.into());
        let held = beem_runtime::spawn(async move {
            let (told, until, sql) = (&told, &until, &sql);
            let held = db.write(|tx| {
                Box::pin(async move {
                    tx.run(sql, vec![]).await?;
                    told.notify_one();
                    until.notified().await;
                    Err::<(), _>(Fault::internal("let go"))
                })
            });
            assert_eq!(held.await.unwrap_err().detail, Fault::internal("let go").detail);
        });
        taken.notified().await;
        Locked { release, held }
    }

    /// From now on, or no longer, the database refuses to change that wallet's balance, for no reason of ours.
    pub async fn refuse_changes(&self, wallet: &str, refuse: bool) {
        let sql = match (self.db.backend(), refuse) {
            (Backend::Postgres, true) => format!(
                "ALTER TABLE balances ADD CONSTRAINT refused CHECK (ledger_account_id <> '{wallet}') NOT VALID"
            ),
            (Backend::Postgres, false) => "ALTER TABLE balances DROP CONSTRAINT refused".to_owned(),
            (Backend::Sqlite, true) => format!(
                "CREATE TRIGGER refused BEFORE UPDATE ON balances WHEN hex(old.ledger_account_id) = '{}'
                 BEGIN SELECT RAISE(ABORT, 'refused'); END",
                wallet.replace('-', "").to_uppercase()
            ),
            (Backend::Sqlite, false) => "DROP TRIGGER refused".to_owned(),
        };
        self.tamper(&sql).await;
    }
}
