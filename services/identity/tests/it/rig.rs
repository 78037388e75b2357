//! One identity and one authz in process, on a database of their own, with a gate between them that a test can close,
//! and a caller that seals actors as the gateway does.

pub use beem_servicetest::{Answer, Base, Gate, Reached, Refusal, Reply};

use beem_caller::{Actor, AuthenticatedBy, PrincipalKind, Subject, Visitor};
use beem_clock::{Clock, Entropy, Moment};
use beem_fault::Fault;
use beem_identity::{Environment, IdentityDeps, IdentitySettings};
use beem_ids::{RequestId, SessionId};
use beem_link::Link;
use beem_mail::MailSettings;
use beem_proto::identity::v1 as wire;
use beem_roles::RoleSet;
use beem_sealing::{Sealing, SealingKey};
use beem_servicetest::{Process, actor, authz, base, link, unary};
use beem_signing::{KeyKind, PrivateKey};
use beem_telemetry::Telemetry;
use prost::Message;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tonic::Request;

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
    process: Process,
    admin: Link,
    mailing: AtomicBool,
}

impl Rig {
    pub async fn start(base: Base) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let clock = Clock::manual(Moment::from_unix_s(1_800_000_000));
        let entropy = Entropy::System;
        let gate = Gate::default();
        let authz = authz(&base.fresh(at, "authz"), &clock, &entropy).await;
        let authz = link("authz", gate.before(authz), "identity", &clock);
        let sealing_key = SealingKey::draw(&entropy);
        let sealing = Sealing::new(vec![sealing_key.clone()]).unwrap();
        let shared = Shared {
            url: base.fresh(at, "identity"),
            mails: at.join("mail"),
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
        self.identity.count(of).await
    }

    /// Starts the one that hands the audit trail on.
    pub fn run_audit(&self) {
        self.identity.run_task("identity-audit");
    }

    /// Starts identity's background loops, but for the one that hands the audit trail on: its calls of authz come when they
    /// like, and what it handed on is not found among what was not.
    pub fn run_tasks(&self) {
        self.identity.run_tasks_but(&["identity-audit", "identity-mailer"]);
        self.run_mailer();
    }

    fn run_mailer(&self) {
        if !self.identity.mailing.swap(true, Ordering::SeqCst) {
            self.identity.run_task("identity-mailer");
        }
    }

    /// Where mails are sent to, once everything that is queued was.
    pub async fn mails_sent(&self) -> &Path {
        self.run_mailer();
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
        let (account, principal) = (account.parse().unwrap(), principal.parse().unwrap());
        Actor { account, principal, roles, ..actor(&self.clock, &self.entropy) }
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
    ) -> Reply<wire::CreateAccountResponse> {
        self.internal("/beem.identity.v1.Directory/CreateAccount", asked.clone()).await
    }

    /// A method for services: as the operator where it is theirs, else as the gateway.
    pub async fn internal<Q, A>(&self, method: &'static str, asked: Q) -> Reply<A>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let admin = ["CreateAccount", "ListAccounts", "InviteOwner", "ResealSecrets"]
            .iter()
            .any(|name| method.ends_with(name));
        let link = if admin { &self.identity.admin } else { &self.identity.gateway };
        self.identity.internal(link, method, asked).await
    }

    /// A method of an actor, under a request key, sealed as the gateway seals it.
    pub async fn call<Q, A>(&self, actor: &Actor, key: &str, method: &'static str, asked: Q) -> Reply<A>
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
    ) -> Reply<A>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        identity.call(actor, key, method, asked).await
    }

    /// A public method, from an address.
    pub async fn visit<Q, A>(&self, address: &str, method: &'static str, asked: Q) -> Reply<A>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let visitor = Visitor {
            address: address.parse().unwrap(),
            request: RequestId::draw(self.clock.now(), &self.entropy),
            user_agent: "a browser".into(),
        };
        self.identity.call_by(&Subject::Visitor(visitor), method, asked).await
    }
}

impl Identity {
    async fn start(shared: &Shared, environment: Option<Environment>) -> Result<Self, Fault> {
        let Shared { url, mails, authz, clock, entropy, sealing } = shared;
        let db = base::connect(url, clock, entropy).await;
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
        let process = Process::new(service, db, telemetry, clock);
        let admin = process.link("admin");
        Ok(Self { process, admin, mailing: AtomicBool::new(false) })
    }
}

/// Calls of it as a process of a service.
impl Deref for Identity {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}
