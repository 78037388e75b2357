//! One or several processes of hooks on one database, with everything around them: two producers with feeds of their own, the
//! real authz for their audit rows, a directory that stands for identity, a resolver that says what it is told, mails in
//! a folder. Receivers are in [`crate::receiver`].

mod directory;
mod process;
mod producer;
mod resolver;

pub use beem_servicetest::{Answer, Base, Gate, Locked, Mail, Refusal, Reply, actor, holding, until};
pub use directory::Operators;
pub use process::Hooks;
pub use producer::Producer;
pub use resolver::{Said, Scripted};

use crate::receiver::Authority;
use beem_caller::Actor;
use beem_clock::{Clock, Entropy, Moment};
use beem_database::{Database, Sql as _};
use beem_fault::Fault;
use beem_hooks::HooksSettings;
use beem_hooks::domain::EventType;
use beem_ids::{AccountId, EventId, RequestId};
use beem_proto::hooks::v1 as wire;
use beem_roles::RoleSet;
use beem_sealing::{Sealing, SealingKey};
use beem_servicetest::{authz, base, link, mailbox};
use process::Shared;
use prost::Message;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module. Calls without another process named go to the first.
pub struct Rig {
    pub base: Base,
    pub clock: Clock,
    pub entropy: Entropy,
    /// Whose hooks [`Rig::hook`] makes; with every role.
    pub owner: Actor,
    /// The first process.
    pub hooks: Hooks,
    /// A connection to hooks' database that no process has: it outlives all of them.
    pub db: Database,
    pub ledger: Producer,
    pub identity: Producer,
    /// What identity answers of operators.
    pub operators: Operators,
    /// Before identity's answers of operators.
    pub directory: Gate,
    /// Before authz.
    pub trail: Gate,
    pub resolver: Arc<Scripted>,
    /// Whose certificates are believed beside the system's.
    pub authority: Authority,
    /// Of every process: a test that replaces the keys replaces them in all.
    pub sealing: Sealing,
    /// The one they begin with.
    pub sealing_key: SealingKey,
    shared: Shared,
    keys: AtomicU64,
    folder: tempfile::TempDir,
}

impl Rig {
    /// What the processes run with, but for the file of authorities, which is always [`Rig::authority`]'s.
    pub fn settings() -> HooksSettings {
        HooksSettings { allow_loopback: true, ..HooksSettings::default() }
    }

    pub async fn start(base: Base) -> Self {
        Self::start_with(base, Self::settings()).await
    }

    pub async fn start_with(base: Base, settings: HooksSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let clock = Clock::manual(Moment::from_unix_s(1_800_000_000));
        let entropy = Entropy::System;
        let [ledger, identity] =
            ["ledger", "identity"].map(|name| Producer::start(name, base, at, &clock, &entropy));
        let (ledger, identity) = (ledger.await, identity.await);
        let (trail, directory, operators) = (Gate::default(), Gate::default(), Operators::default());
        let authz = authz(&Base::Sqlite.fresh(at, "authz"), &clock, &entropy).await;
        let sealing_key = SealingKey::draw(&entropy);
        let sealing = Sealing::new(vec![sealing_key.clone()]).unwrap();
        let (authority, resolver) = (Authority::new(at), Arc::new(Scripted::default()));
        let shared = Shared {
            url: base.fresh(at, "hooks"),
            settings: HooksSettings { authorities_file: authority.file().to_owned(), ..settings },
            authz: link("authz", trail.before(authz), "hooks", &clock),
            identity: link("identity", directory.before(operators.served(&clock)), "hooks", &clock),
            feeds: vec![("identity", identity.link()), ("ledger", ledger.link())],
            sealing: sealing.clone(),
            mails: at.join("mail"),
            resolver: resolver.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let hooks = Hooks::start(shared.clone()).await.unwrap();
        let db = base::connect(&shared.url, &clock, &entropy).await;
        let owner = actor(&clock, &entropy);
        let keys = AtomicU64::new(0);
        Self {
            base,
            clock,
            entropy,
            owner,
            hooks,
            db,
            ledger,
            identity,
            operators,
            directory,
            trail,
            resolver,
            authority,
            sealing,
            sealing_key,
            shared,
            keys,
            folder,
        }
    }

    /// As after `kill -9`: whatever ran is gone, and another process, whose loops do not run yet, opens the database.
    pub async fn restart(&mut self) {
        self.hooks.kill();
        self.hooks = self.another().await;
    }

    /// Another process on the same database.
    pub async fn another(&self) -> Hooks {
        Hooks::start(self.shared.clone()).await.unwrap()
    }

    /// A start with other settings, on the same database: it may be refused.
    pub async fn another_with(&self, settings: HooksSettings) -> Result<Hooks, Fault> {
        let authorities_file = self.authority.file().to_owned();
        let settings = HooksSettings { authorities_file, ..settings };
        Hooks::start(Shared { settings, ..self.shared.clone() }).await
    }

    /// A start with other sealing keys, on the same database: it may be refused.
    pub async fn another_sealed_by(&self, sealing: Sealing) -> Result<Hooks, Fault> {
        Hooks::start(Shared { sealing, ..self.shared.clone() }).await
    }

    /// Somebody of the owner's account, with these roles.
    pub fn actor_with(&self, roles: RoleSet) -> Actor {
        Actor { account: self.owner.account, roles, ..self.stranger() }
    }

    /// Somebody of a new account, with every role.
    pub fn stranger(&self) -> Actor {
        actor(&self.clock, &self.entropy)
    }

    /// The owner's account.
    pub fn account(&self) -> AccountId {
        self.owner.account
    }

    /// A request key nobody has used.
    pub fn key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    /// An id nothing has.
    pub fn unknown(&self) -> String {
        RequestId::draw(self.clock.now(), &self.entropy).to_string()
    }

    /// A hook of the owner's. Its signing secret is in it.
    pub async fn hook(&self, url: &str, codes: &[&str]) -> wire::Hook {
        self.hook_of(&self.owner, url, codes).await
    }

    pub async fn hook_of(&self, maker: &Actor, url: &str, codes: &[&str]) -> wire::Hook {
        let asked = wire::CreateHookRequest {
            url: url.to_owned(),
            event_codes: codes.iter().map(|code| (*code).to_owned()).collect(),
            ..wire::CreateHookRequest::default()
        };
        let made = self.call(maker, &self.key(), "/beem.hooks.v1.Hooks/CreateHook", asked).await;
        made.unwrap().body
    }

    /// A method of the operator of the installation.
    pub async fn admin<Q, A>(&self, method: &'static str, asked: Q) -> Reply<A>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        self.internal(&self.link("admin"), method, asked).await
    }

    /// An event, committed by the service that makes such events: identity, and the ledger for all the others.
    pub async fn happen(
        &self,
        account: AccountId,
        event: &str,
        entity: &str,
        data: serde_json::Value,
    ) -> EventId {
        let identity = EventType::find(event).is_some_and(|known| known.source == "identity");
        let producer = if identity { &self.identity } else { &self.ledger };
        producer.append(producer.event(account, event, entity, data)).await
    }

    /// How many rows there are: `deliveries WHERE status = 'PENDING'`.
    pub async fn count(&self, of: &str) -> i64 {
        let sql = format!("SELECT count(*) AS n FROM {of}");
        self.db.read().row(&sql, vec![]).await.unwrap().unwrap().try_get("", "n").unwrap()
    }

    /// A transaction of no process that has run the statement and stays open until it is let go; then it is undone.
    pub async fn holding(&self, sql: impl Into<String>) -> Locked {
        holding(&self.db, sql).await
    }

    /// Mails that were sent, in the order in which they were queued.
    pub fn mails(&self) -> Vec<Mail> {
        mailbox(&self.shared.mails)
    }

    /// Every byte the databases hold, in SQLite's files; those of authz only on PostgreSQL.
    pub fn stored(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).unwrap()).collect()
    }
}

impl Deref for Rig {
    type Target = Hooks;

    fn deref(&self) -> &Hooks {
        &self.hooks
    }
}
