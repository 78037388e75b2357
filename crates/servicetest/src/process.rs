//! One process of a service: its connection to the database, its guard, its background loops.

use crate::call::{self, Refusal, Reply, sealed, unary};
use crate::{Locked, behind_guard, holding, link};
use beem_caller::{Actor, Subject};
use beem_clock::Clock;
use beem_database::{Database, Sql as _};
use beem_link::{Link, LocalService};
use beem_runtime::{Service, Task, Tasks};
use beem_telemetry::Telemetry;
use prost::Message;
use std::time::Duration;
use tonic::{Request, Streaming};

/// See the module. Dropping it tells its loops to stop.
pub struct Process {
    /// Of the service.
    pub name: &'static str,
    pub db: Database,
    /// Its counters can be read.
    pub telemetry: Telemetry,
    pub gateway: Link,
    service: LocalService,
    tasks: Vec<Task>,
    running: Tasks,
    clock: Clock,
}

impl Process {
    /// Its loops do not run yet.
    #[must_use]
    pub fn new(service: Service, db: Database, telemetry: Telemetry, clock: &Clock) -> Self {
        let name = service.name;
        let (service, tasks) = behind_guard(service, clock);
        let gateway = link(name, service.clone(), "gateway", clock);
        let running = Tasks::new(Telemetry::off());
        Self { name, db, telemetry, gateway, service, tasks, running, clock: clock.clone() }
    }

    /// The way of a service, or of the operator (`admin`), to it.
    #[must_use]
    pub fn link(&self, from: &str) -> Link {
        link(self.name, self.service.clone(), from, &self.clock)
    }

    /// Starts one background loop.
    pub fn run_task(&self, name: &str) {
        let task = self.tasks.iter().find(|task| task.name == name);
        self.running.supervise(task.unwrap_or_else(|| panic!("there is no task {name}")).clone());
    }

    /// Starts all background loops but these.
    pub fn run_tasks_but(&self, except: &[&str]) {
        for task in self.tasks.iter().filter(|task| !except.contains(&task.name)) {
            self.running.supervise(task.clone());
        }
    }

    /// Tells every loop to stop, and waits for them. False when one did not end within ten seconds.
    pub async fn drain(&self) -> bool {
        self.running.drain(Duration::from_secs(10)).await
    }

    /// How many rows there are: `claims WHERE state = 'RUNNING'`.
    pub async fn count(&self, of: &str) -> i64 {
        let sql = format!("SELECT count(*) AS n FROM {of}");
        self.db.read().row(&sql, vec![]).await.unwrap().unwrap().try_get("", "n").unwrap()
    }

    /// A transaction of this process that has run the statement and stays open until it is let go; then it is undone.
    pub async fn holding(&self, sql: impl Into<String>) -> Locked {
        holding(&self.db, sql).await
    }

    /// A method of services, as one of them.
    ///
    /// # Errors
    /// What was refused.
    pub async fn internal<Q, A>(&self, link: &Link, method: &'static str, asked: Q) -> Reply<A>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        unary(link.clone(), method, Request::new(asked)).await
    }

    /// The same by a caller who waits no longer than this.
    ///
    /// # Errors
    /// What was refused.
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
    ///
    /// # Errors
    /// What was refused.
    pub async fn call<Q, A>(&self, actor: &Actor, key: &str, method: &'static str, asked: Q) -> Reply<A>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        self.call_by(&under(actor, key), method, asked).await
    }

    /// A method of whoever the gateway let in: an actor, or a visitor.
    ///
    /// # Errors
    /// What was refused.
    pub async fn call_by<Q, A>(&self, subject: &Subject, method: &'static str, asked: Q) -> Reply<A>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let request = sealed(self.name, subject, method, asked, self.clock.now());
        unary(self.gateway.clone(), method, request).await
    }

    /// A method of an actor that answers with a stream.
    ///
    /// # Errors
    /// What was refused before the first answer.
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
        let request = sealed(self.name, &under(actor, ""), method, asked, self.clock.now());
        call::stream(self.gateway.clone(), method, request).await
    }
}

fn under(actor: &Actor, key: &str) -> Subject {
    Subject::Actor(Actor { request_key: key.to_owned(), ..actor.clone() })
}

impl Drop for Process {
    fn drop(&mut self) {
        self.running.cancelled().cancel();
    }
}
