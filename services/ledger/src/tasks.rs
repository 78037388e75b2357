//! The ledger's background loops: bounded, cancellable, supervised.

use crate::LedgerDeps;
use crate::heads::Keeper;
use crate::operations::{Means, Operations, Rounds};
use crate::store;
use beem_database::{Database, claims};
use beem_events::Feed;
use beem_events::audit;
use beem_runtime::{PURGE_BATCH, Task, every, purge, task};
use beem_writes::audit_task;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How long audit rows that authz has stay for whoever looks into something.
const AUDIT_KEPT_MS: i64 = 7 * DAY_MS;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Between two looks for holds that have expired and deposits that wait for a rate.
const LOOK: Duration = Duration::from_secs(1);

/// The writer, prices, numbering events, handing the audit trail on, expiring holds, deposits in suspense, signing heads,
/// forgetting what is past its time.
#[must_use]
pub fn all(operations: &Operations, committer: Task, deps: LedgerDeps) -> Vec<Task> {
    let means: &Means = &operations.0;
    let (sequencer, authz) = (means.feed.clone(), deps.authz);
    let keeper = Keeper::new(means.db.clone(), deps.signing_key, &means.settings);
    let (expiring, suspended) = (operations.clone(), operations.clone());
    let purging = Purge::new(means);
    let mut tasks = vec![
        committer,
        task("ledger-sequencer", move |cancel| {
            let feed = sequencer.clone();
            async move { feed.sequence(cancel).await }
        }),
        audit_task("ledger-audit", &means.feed, authz),
        task("ledger-holds", move |cancel| {
            let operations = expiring.clone();
            every(LOOK, cancel, move || {
                let operations = operations.clone();
                async move { operations.expire_holds().await }
            })
        }),
        task("ledger-suspense", move |cancel| {
            let (operations, rounds) = (suspended.clone(), Arc::new(Rounds::default()));
            every(LOOK, cancel, move || {
                let (operations, rounds) = (operations.clone(), Arc::clone(&rounds));
                async move { operations.go_on_with_suspended(&rounds).await }
            })
        }),
        task("ledger-heads", move |cancel| {
            let keeper = keeper.clone();
            async move { keeper.run(cancel).await }
        }),
        task("ledger-purge", move |cancel| purging.clone().run(cancel)),
    ];
    tasks.extend(means.rates.task());
    tasks
}

#[derive(Clone)]
struct Purge {
    db: Database,
    feed: Feed,
    interval: Duration,
    events_kept_ms: i64,
    quotes_kept_ms: i64,
}

impl Purge {
    fn new(means: &Means) -> Self {
        let settings = &means.settings;
        let days = |days: u32| i64::from(days).saturating_mul(DAY_MS);
        Self {
            db: means.db.clone(),
            feed: means.feed.clone(),
            interval: Duration::from_secs(u64::from(settings.purge_interval_s)),
            events_kept_ms: days(settings.feed_retention_days),
            quotes_kept_ms: days(settings.quotes_kept_days),
        }
    }

    async fn run(self, cancel: CancellationToken) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let db = &self.db;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {}
            }
            purge("request keys", &cancel, || claims::purge(db, PURGE_BATCH)).await;
            purge("audit rows", &cancel, || audit::purge(db, AUDIT_KEPT_MS, PURGE_BATCH)).await;
            purge("quotes", &cancel, || store::quotes::purge(db, self.quotes_kept_ms, PURGE_BATCH)).await;
            purge("rate locks", &cancel, || store::locks::purge(db, PURGE_BATCH)).await;
            purge("events", &cancel, || self.feed.purge(self.events_kept_ms, PURGE_BATCH)).await;
        }
    }
}
