//! One process of hooks. Its loops run in a runtime of its own, so that it can be killed in the middle of whatever it does.

use super::resolver::Scripted;
use beem_clock::{Clock, Entropy};
use beem_fault::Fault;
use beem_hooks::outbound::Resolver;
use beem_hooks::{HooksDeps, HooksSettings};
use beem_link::Link;
use beem_mail::MailSettings;
use beem_sealing::Sealing;
use beem_servicetest::{Process, base};
use beem_telemetry::Telemetry;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// What every process has in common.
#[derive(Clone)]
pub struct Shared {
    pub url: String,
    pub settings: HooksSettings,
    pub authz: Link,
    pub identity: Link,
    pub feeds: Vec<(&'static str, Link)>,
    pub sealing: Sealing,
    pub mails: PathBuf,
    pub resolver: Arc<Scripted>,
    pub clock: Clock,
    pub entropy: Entropy,
}

/// See the module.
pub struct Hooks {
    process: Process,
    runtime: Own,
}

impl Hooks {
    pub async fn start(shared: Shared) -> Result<Self, Fault> {
        let runtime = Own::new();
        let process = runtime.get().spawn(opened(shared)).await.unwrap()?;
        Ok(Self { process, runtime })
    }

    /// Starts one background loop.
    pub fn run_task(&self, name: &str) {
        let _inside = self.runtime.get().enter();
        self.process.run_task(name);
    }

    /// Starts all of them but the one that hands the audit trail on: its calls of authz come when they like.
    pub fn run_tasks(&self) {
        self.run_tasks_but(&["hooks-audit"]);
    }

    pub fn run_tasks_but(&self, except: &[&str]) {
        let _inside = self.runtime.get().enter();
        self.process.run_tasks_but(except);
    }

    /// As `kill -9`: nothing runs on, nothing is given back. What its loops opened is gone, so it is not called again.
    pub fn kill(&mut self) {
        self.runtime.end();
    }
}

async fn opened(shared: Shared) -> Result<Process, Fault> {
    let Shared { url, settings, authz, identity, feeds, sealing, mails, resolver, clock, entropy } = shared;
    let db = base::connect(&url, &clock, &entropy).await;
    let telemetry = Telemetry::off();
    let resolver: Arc<dyn Resolver> = resolver;
    let deps = HooksDeps {
        database: db.clone(),
        authz,
        identity,
        feeds,
        sealing,
        mail: MailSettings { folder: Some(mails), ..MailSettings::default() },
        resolver: Some(resolver),
        clock: clock.clone(),
        entropy,
        telemetry: telemetry.clone(),
    };
    let service = beem_hooks::build(settings, deps).await?;
    Ok(Process::new(service, db, telemetry, &clock))
}

/// Calls of it as a process of a service.
impl Deref for Hooks {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

/// A runtime that ends without waiting: its tasks are dropped where they stand.
struct Own(Option<Runtime>);

impl Own {
    fn new() -> Self {
        Self(Some(Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()))
    }

    fn get(&self) -> &Runtime {
        self.0.as_ref().expect("this process was not killed")
    }

    fn end(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.end();
    }
}
