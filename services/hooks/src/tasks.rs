//! The background loops of hooks: bounded, cancellable, supervised.

use crate::engine::Engine;
use crate::intake::Intake;
use crate::notices::{Letters, Notices};
use crate::operations::{Means, Operations};
use crate::peers::Identity;
use crate::replays;
use crate::store;
use beem_database::{Database, claims};
use beem_events::{PeerFeed, audit};
use beem_fault::Result;
use beem_link::Link;
use beem_mail::{self as mail, MailSettings, Mailer};
use beem_runtime::{PURGE_BATCH, Task, every, purge, task};
use beem_writes::audit_task;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How long mails that were sent, and audit rows that authz has, stay for whoever looks into something.
const KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Between two looks for replays.
const LOOK: Duration = Duration::from_secs(1);

/// What the loops need besides what operations work with.
pub struct TaskDeps {
    pub authz: Link,
    pub identity: Link,
    /// Whose feeds are taken in, by the name of the service.
    pub feeds: Vec<(&'static str, Link)>,
    pub mail: MailSettings,
    pub engine: Engine,
}

/// Taking feeds in, sending, replays, notices and their mails, waking whoever hands the audit trail on, handing it on,
/// forgetting what is past its time.
///
/// # Errors
/// `validation-failed` for settings of mail that cannot work.
pub fn all(operations: &Operations, deps: TaskDeps) -> Result<Vec<Task>> {
    let means: &Arc<Means> = &operations.0;
    let mailer =
        Mailer::new(means.db.clone(), means.mail.clone(), &deps.mail, Letters, means.telemetry.clone())?;
    let notices =
        Notices { db: means.db.clone(), identity: Identity::new(deps.identity), mail: means.mail.clone() };
    let (sequencer, replaying, purging) = (means.feed.clone(), Arc::clone(means), Purge::new(means));
    let mut tasks: Vec<Task> =
        deps.feeds.into_iter().map(|(source, link)| intake(means, source, link)).collect();
    tasks.extend(deps.engine.tasks());
    tasks.extend([
        // There are no events of our own: it hears of audit rows first and tells the next one.
        task("hooks-sequencer", move |cancel| {
            let feed = sequencer.clone();
            async move { feed.sequence(cancel).await }
        }),
        audit_task("hooks-audit", &means.feed, deps.authz),
        task("hooks-replays", move |cancel| {
            let (means, asked) = (Arc::clone(&replaying), cancel.clone());
            every(LOOK, cancel, move || {
                let (means, asked) = (Arc::clone(&means), asked.clone());
                async move { replays::work_off(&means, &asked).await }
            })
        }),
        task("hooks-notices", move |cancel| {
            let notices = notices.clone();
            async move { notices.run(cancel).await }
        }),
        task("hooks-mailer", move |cancel| {
            let mailer = mailer.clone();
            async move { mailer.run(cancel).await }
        }),
        task("hooks-purge", move |cancel| purging.clone().run(cancel)),
    ]);
    Ok(tasks)
}

fn intake(means: &Means, source: &'static str, link: Link) -> Task {
    let (db, bell, telemetry) = (means.db.clone(), means.bell.clone(), means.telemetry.clone());
    let (feed, kept_ms) = (PeerFeed::new(link), means.settings.kept_ms());
    task(intake_name(source), move |cancel| {
        let feed = Box::new(feed.clone());
        let intake = Intake::new(db.clone(), source, feed, kept_ms, bell.clone(), telemetry.clone());
        async move { intake.run(cancel).await }
    })
}

/// Names of tasks are known when this is built, as metrics and logs want them.
fn intake_name(source: &str) -> &'static str {
    match source {
        "ledger" => "hooks-intake-ledger",
        "identity" => "hooks-intake-identity",
        "payments" => "hooks-intake-payments",
        "channels" => "hooks-intake-channels",
        _ => "hooks-intake",
    }
}

#[derive(Clone)]
struct Purge {
    db: Database,
    interval: Duration,
    kept_ms: i64,
}

impl Purge {
    fn new(means: &Means) -> Self {
        let settings = &means.settings;
        Self {
            db: means.db.clone(),
            interval: Duration::from_secs(u64::from(settings.purge_interval_s)),
            kept_ms: settings.kept_ms(),
        }
    }

    async fn run(self, cancel: CancellationToken) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (db, kept_ms) = (&self.db, self.kept_ms);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {}
            }
            purge("request keys", &cancel, || claims::purge(db, PURGE_BATCH)).await;
            purge("audit rows", &cancel, || audit::purge(db, KEPT_MS, PURGE_BATCH)).await;
            purge("mails", &cancel, || mail::purge(db, KEPT_MS, PURGE_BATCH)).await;
            purge("deliveries", &cancel, || store::purge::deliveries(db, kept_ms, PURGE_BATCH)).await;
            purge("attempts", &cancel, || store::purge::attempts(db, kept_ms, PURGE_BATCH)).await;
            purge("events", &cancel, || store::purge::events(db, kept_ms, PURGE_BATCH)).await;
            purge("keys", &cancel, || store::purge::keys(db, kept_ms, PURGE_BATCH)).await;
        }
    }
}
