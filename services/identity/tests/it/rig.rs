//! One identity and one authz in process, on a database of their own, with a gate between them that a test can close,
//! and a caller that seals actors as the gateway does.

pub use crate::gate::{Gate, Reached};

use beem_authz::{AuthzDeps, AuthzSettings};
use beem_cache::StandingCache;
use beem_caller::{
    Actor, ActorKey, AuthenticatedBy, Issuers, Opener, PrincipalKind, Sealer, ServiceIdentity, Subject,
    Visitor, metadata,
};
use beem_clock::{Clock, Entropy, Moment};
use beem_database::{Database, DatabaseSettings};
use beem_fault::Fault;
use beem_identity::{Environment, IdentityDeps, IdentitySettings};
use beem_ids::{RequestId, SessionId};
use beem_link::{Link, LocalService};
use beem_mail::MailSettings;
use beem_proto::Contract;
use beem_proto::identity::v1 as wire;
use beem_roles::RoleSet;
use beem_runtime::{GuardSettings, Service, Task, Tasks, guarded};
use beem_sealing::{Sealing, SealingKey};
use beem_signing::{KeyKind, PrivateKey};
use beem_telemetry::Telemetry;
use ed25519_dalek::SigningKey;
use http::uri::PathAndQuery;
use prost::Message;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tonic::Request;
use tonic::metadata::MetadataValue;
use tower::util::BoxCloneSyncService;

const SEAL: [u8; 32] = [7; 32];

/// Which database it runs on.
#[derive(Clone, Copy, Debug)]
pub enum Base {
    Sqlite,
    Postgres,
}

/// Both services and everything they run on.
pub struct Rig {
    folder: tempfile::TempDir,
    shared: Shared,
    pub gate: Gate,
    pub clock: Clock,
    pub entropy: Entropy,
    /// Of every process of identity: a test that replaces the keys replaces them in all.
    pub sealing: Sealing,
    /// The one they begin with.
    pub sealing_key: SealingKey,
    pub identity: Identity,
}

/// What every process of identity has in common.
struct Shared {
    url: String,
    mails: PathBuf,
    authz: Link,
    clock: Clock,
    entropy: Entropy,
    sealing: Sealing,
}

/// One start of identity.
pub struct Identity {
    pub db: Database,
    /// Its counters can be read.
    pub telemetry: Telemetry,
    gateway: Link,
    admin: Link,
    tasks: Vec<Task>,
    running: Tasks,
    mailing: AtomicBool,
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
    let known = ["gateway", "identity", "admin"];
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
    pub async fn start(base: Base) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = |name: &str| match base {
            Base::Sqlite => format!("sqlite:{}", folder.path().join(format!("{name}.db")).display()),
            Base::Postgres => beem_testkit::postgres::fresh_database(),
        };
        let (identity_url, authz_url) = (url("identity"), url("authz"));
        let clock = Clock::manual(Moment::from_unix_s(1_800_000_000));
        let entropy = Entropy::System;
        let database = Database::connect(&DatabaseSettings::at(authz_url), clock.clone(), entropy.clone())
            .await
            .unwrap();
        let deps = AuthzDeps {
            database,
            cache: StandingCache::in_process(1_000),
            signing_key: SigningKey::from_bytes(&[9; 32]),
            clock: clock.clone(),
            entropy: entropy.clone(),
            telemetry: Telemetry::off(),
        };
        let authz = beem_authz::build(AuthzSettings::default(), deps).await.unwrap();
        let (authz, _) = behind_guard(authz, &clock);
        let gate = Gate::default();
        let gated = {
            let gate = gate.clone();
            BoxCloneSyncService::new(tower::service_fn(move |request| {
                let (gate, authz) = (gate.clone(), authz.clone());
                async move { Ok::<_, Infallible>(gate.pass(request, authz).await) }
            }))
        };
        let authz = Link::local("authz", gated, service_identity("identity", &clock), Telemetry::off());
        let sealing_key = SealingKey::draw(&entropy);
        let sealing = Sealing::new(vec![sealing_key.clone()]).unwrap();
        let shared = Shared {
            url: identity_url,
            mails: folder.path().join("mail"),
            authz,
            clock: clock.clone(),
            entropy: entropy.clone(),
            sealing: sealing.clone(),
        };
        let identity = Identity::start(&shared, None).await.unwrap();
        Self { folder, shared, gate, clock, entropy, sealing, sealing_key, identity }
    }

    /// As after `kill -9`: whatever ran is gone, another process opens the database, and leases have lapsed.
    pub async fn restart(&mut self) {
        self.clock.advance_ms(16_000);
        self.gate.open();
        self.identity = self.another(None).await.unwrap();
    }

    /// Its mailer has not begun yet.
    pub async fn without_mailer(mut self) -> Self {
        self.identity = self.another(None).await.unwrap();
        self
    }

    /// Another process on identity's database.
    pub async fn another(&self, environment: Option<Environment>) -> Result<Identity, Fault> {
        Identity::start(&self.shared, environment).await
    }

    /// Every byte the databases hold, in SQLite's files; nothing on PostgreSQL.
    pub fn stored(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).unwrap()).collect()
    }

    /// One number.
    pub async fn count(&self, of: &str) -> i64 {
        let sql = format!("SELECT count(*) AS n FROM {of}");
        let row = beem_database::Sql::row(self.identity.db.read(), &sql, vec![]).await.unwrap().unwrap();
        row.try_get("", "n").unwrap()
    }

    /// Starts the one that hands the audit trail on.
    pub fn run_audit(&self) {
        for task in self.identity.tasks.iter().filter(|task| task.name == "identity-audit") {
            self.identity.running.supervise(task.clone());
        }
    }

    /// Starts identity's background loops, but for the one that hands the audit trail on: its calls of authz come when they
    /// like, and what it handed on is not found among what was not.
    pub fn run_tasks(&self) {
        for task in self.identity.tasks.iter().filter(|task| task.name != "identity-audit") {
            if task.name != "identity-mailer" || !self.identity.mailing.swap(true, Ordering::SeqCst) {
                self.identity.running.supervise(task.clone());
            }
        }
    }

    /// Where mails are sent to, once everything that is queued was.
    pub async fn mails_sent(&self) -> &Path {
        for task in self.identity.tasks.iter().filter(|task| task.name == "identity-mailer") {
            if !self.identity.mailing.swap(true, Ordering::SeqCst) {
                self.identity.running.supervise(task.clone());
            }
        }
        for _ in 0..600 {
            if self.count("mails WHERE sent_ms IS NULL").await == 0 {
                return &self.shared.mails;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("a mail was not sent");
    }

    /// Waits until every saga has ended, moving time on so that those given back are taken up.
    pub async fn sagas_ended(&self) {
        for _ in 0..600 {
            if self.count("claims WHERE state = 'RUNNING'").await == 0 {
                return;
            }
            self.clock.advance_ms(1_000);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("a saga did not end");
    }

    /// Of a principal, as authz has it.
    pub async fn credential_version(&self, account: &str, principal: &str) -> u64 {
        let asked = beem_proto::authz::v1::BatchGetStandingsRequest {
            account_id: account.into(),
            principal_ids: vec![principal.into()],
        };
        let path = "/beem.authz.v1.Standings/BatchGetStandings";
        let answer: Answer<beem_proto::authz::v1::BatchGetStandingsResponse> =
            unary(self.shared.authz.clone(), path, Request::new(asked)).await.unwrap();
        answer.body.standings[0].credential_version
    }

    /// A public key nobody has used.
    pub fn new_pem(&self) -> String {
        PrivateKey::generate(KeyKind::Ed25519, &self.entropy).unwrap().public().pem()
    }

    /// An account with its first client, as an actor.
    pub async fn owner(&self, effect_key: &str) -> Actor {
        let asked = self.new_account(effect_key);
        let made = self.create_account(&asked).await.unwrap().body;
        self.actor(&made.account_id, &made.client_principal_id, RoleSet::ALL)
    }

    pub fn new_account(&self, effect_key: &str) -> wire::CreateAccountRequest {
        wire::CreateAccountRequest {
            effect_key: effect_key.into(),
            name: format!("Account {effect_key}"),
            owner_email: "owner@example.com".into(),
            client_name: "first".into(),
            client_public_key: self.new_pem(),
        }
    }

    pub fn actor(&self, account: &str, principal: &str, roles: RoleSet) -> Actor {
        Actor {
            account: account.parse().unwrap(),
            principal: principal.parse().unwrap(),
            kind: PrincipalKind::Client,
            authenticated_by: AuthenticatedBy::Signature,
            name: "a client".into(),
            roles,
            standing_version: 1,
            address: "203.0.113.9".parse().unwrap(),
            request: RequestId::draw(self.clock.now(), &self.entropy),
            key_fingerprint: "ab".repeat(32),
            request_key: String::new(),
            session: None,
        }
    }

    /// A user as an actor in a session, with the roles it was answered with.
    pub fn acting_user(&self, user: &wire::User) -> Actor {
        Actor {
            kind: PrincipalKind::User,
            authenticated_by: AuthenticatedBy::Session,
            name: user.email.clone(),
            key_fingerprint: String::new(),
            session: Some(SessionId::draw(self.clock.now(), &self.entropy)),
            ..self.actor(&user.account_id, &user.id, RoleSet::parse(&user.roles).unwrap())
        }
    }

    /// The client as an actor with the roles it was answered with.
    pub fn acting(&self, client: &wire::Client) -> Actor {
        self.actor(&client.account_id, &client.id, RoleSet::parse(&client.roles).unwrap())
    }

    pub async fn create_account(
        &self,
        asked: &wire::CreateAccountRequest,
    ) -> Result<Answer<wire::CreateAccountResponse>, Refusal> {
        self.internal("/beem.identity.v1.Directory/CreateAccount", asked.clone()).await
    }

    /// A method for services: as the operator where it is theirs, else as the gateway.
    pub async fn internal<Q, A>(&self, method: &'static str, asked: Q) -> Result<Answer<A>, Refusal>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let admin = ["CreateAccount", "ListAccounts", "InviteOwner", "ResealSecrets"]
            .iter()
            .any(|name| method.ends_with(name));
        let link = if admin { &self.identity.admin } else { &self.identity.gateway };
        unary(link.clone(), method, Request::new(asked)).await
    }

    /// A method of an actor, under a request key, sealed as the gateway seals it.
    pub async fn call<Q, A>(
        &self,
        actor: &Actor,
        key: &str,
        method: &'static str,
        asked: Q,
    ) -> Result<Answer<A>, Refusal>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        self.call_at(&self.identity, actor, key, method, asked).await
    }

    /// The same at one of several processes.
    pub async fn call_at<Q, A>(
        &self,
        identity: &Identity,
        actor: &Actor,
        key: &str,
        method: &'static str,
        asked: Q,
    ) -> Result<Answer<A>, Refusal>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let actor = Actor { request_key: key.to_owned(), ..actor.clone() };
        self.sealed(identity, &Subject::Actor(actor), method, asked).await
    }

    /// A public method, from an address.
    pub async fn visit<Q, A>(
        &self,
        address: &str,
        method: &'static str,
        asked: Q,
    ) -> Result<Answer<A>, Refusal>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let visitor = Visitor {
            address: address.parse().unwrap(),
            request: RequestId::draw(self.clock.now(), &self.entropy),
            user_agent: "a browser".into(),
        };
        self.sealed(&self.identity, &Subject::Visitor(visitor), method, asked).await
    }

    async fn sealed<Q, A>(
        &self,
        identity: &Identity,
        subject: &Subject,
        method: &'static str,
        asked: Q,
    ) -> Result<Answer<A>, Refusal>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let sealer = Sealer::new(BTreeMap::from([("identity".to_owned(), ActorKey(SEAL))]));
        let sealed =
            sealer.seal(subject, "identity", method, &asked.encode_to_vec(), self.clock.now()).unwrap();
        let mut request = Request::new(asked);
        let bin = request.metadata_mut();
        bin.insert_bin(metadata::ACTOR, MetadataValue::from_bytes(&sealed.actor));
        bin.insert_bin(metadata::ACTOR_SEAL, MetadataValue::from_bytes(&sealed.seal));
        unary(identity.gateway.clone(), method, request).await
    }
}

async fn unary<Q, A>(link: Link, method: &'static str, request: Request<Q>) -> Result<Answer<A>, Refusal>
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
        Err(status) => {
            let replayed = status.metadata().get(metadata::REPLAYED).is_some();
            Err(Refusal { fault: status.into(), replayed })
        }
    }
}

impl Identity {
    async fn start(shared: &Shared, environment: Option<Environment>) -> Result<Self, Fault> {
        let Shared { url, mails, authz, clock, entropy, sealing } = shared;
        let db = Database::connect(&DatabaseSettings::at(url), clock.clone(), entropy.clone()).await?;
        let telemetry = Telemetry::off();
        let deps = IdentityDeps {
            database: db.clone(),
            authz: authz.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            telemetry: telemetry.clone(),
            sealing: sealing.clone(),
            mail: MailSettings { folder: Some(mails.clone()), ..MailSettings::default() },
            origin: Arc::new(|| "https://beem.example".to_owned()),
            environment,
        };
        let service = beem_identity::build(IdentitySettings::default(), deps).await?;
        let (service, tasks) = behind_guard(service, clock);
        let link =
            |name| Link::local("identity", service.clone(), service_identity(name, clock), Telemetry::off());
        let running = Tasks::new(Telemetry::off());
        Ok(Self {
            db,
            telemetry,
            gateway: link("gateway"),
            admin: link("admin"),
            tasks,
            running,
            mailing: AtomicBool::new(false),
        })
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        self.running.cancelled().cancel();
    }
}
