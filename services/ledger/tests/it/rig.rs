//! One or several processes of the ledger on one database, with the real authz for their audit rows, and callers that call
//! as the gateway (with a sealed actor), payments, channels and the operator do. Typed calls are in [`crate::calls`], what the
//! tables say in [`crate::books`].

pub use beem_servicetest::{Answer, Base, Locked, Refusal, Reply};

use beem_caller::Actor;
use beem_clock::{Clock, Entropy, Moment};
use beem_database::Backend;
use beem_fault::Fault;
use beem_ledger::{LedgerDeps, LedgerSettings};
use beem_link::Link;
use beem_servicetest::{Process, actor, authz, base, link};
use beem_settings::Environment;
use beem_telemetry::Telemetry;
use ed25519_dalek::SigningKey;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

/// Signs heads.
pub const LEDGER_KEY: [u8; 32] = [11; 32];

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
    process: Process,
    pub(crate) payments: Link,
    pub(crate) channels: Link,
    pub(crate) admin: Link,
}

impl Rig {
    /// A sandbox with the settings of one.
    pub async fn start(base: Base) -> Self {
        Self::start_with(base, LedgerSettings::default(), None).await
    }

    pub async fn start_with(base: Base, settings: LedgerSettings, environment: Option<Environment>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = base.fresh(folder.path(), "ledger");
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
        let authz = authz(&Base::Sqlite.fresh(folder.path(), "authz"), &clock, &entropy).await;
        let authz = link("authz", authz, "ledger", &clock);
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

/// Calls of it as a process of a service.
impl Deref for Ledger {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Ledger {
    async fn start(shared: &Shared) -> Result<Self, Fault> {
        let Shared { url, settings, environment, authz, clock, entropy } = shared;
        let db = base::connect(url, clock, entropy).await;
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
        let process = Process::new(service, db, telemetry, clock);
        process.run_task("ledger-writer");
        let [payments, channels, admin] = ["payments", "channels", "admin"].map(|name| process.link(name));
        Ok(Self { process, payments, channels, admin })
    }

    /// Locks what every order needs, from this process: one that is not under test.
    pub async fn lock(&self) -> Locked {
        match self.db.backend() {
            Backend::Postgres => self.holding("LOCK TABLE effects IN ACCESS EXCLUSIVE MODE").await,
            // Every transaction that writes has the whole file.
            Backend::Sqlite => self.holding("DELETE FROM effects WHERE effect_key = ''").await,
        }
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
