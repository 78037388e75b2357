//! Identity's background loops: bounded, cancellable, supervised.

use crate::settings::IdentitySettings;
use beem_database::sagas::Sagas;
use beem_database::{Database, claims};
use beem_events::Feed;
use beem_runtime::{Task, task};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Rows forgotten in one transaction at most.
const PURGE_BATCH: u32 = 500;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Numbering events, going on with sagas whose runner is gone, forgetting what is past its time.
#[must_use]
pub fn all(db: &Database, sagas: &Sagas, feed: &Feed, settings: &IdentitySettings) -> Vec<Task> {
    let (sagas, sequencer) = (sagas.clone(), feed.clone());
    let (db, feed) = (db.clone(), feed.clone());
    let interval = Duration::from_secs(u64::from(settings.purge_interval_s));
    let retention_ms = i64::from(settings.feed_retention_days).saturating_mul(DAY_MS);
    vec![
        task("identity-sequencer", move |cancel| {
            let feed = sequencer.clone();
            async move { feed.sequence(cancel).await }
        }),
        task("identity-sagas", move |cancel| {
            let sagas = sagas.clone();
            async move { sagas.resume(cancel).await }
        }),
        task("identity-purge", move |cancel| purge(db.clone(), feed.clone(), interval, retention_ms, cancel)),
    ]
}

async fn purge(db: Database, feed: Feed, interval: Duration, retention_ms: i64, cancel: CancellationToken) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for (what, purged) in [
            ("request keys", claims::purge(&db, PURGE_BATCH).await),
            ("events", feed.purge(retention_ms, PURGE_BATCH).await),
        ] {
            match purged {
                Ok(0) => {}
                Ok(rows) => tracing::debug!(what, rows, "forgot what is past its time"),
                Err(fault) => tracing::warn!(what, ?fault, "could not forget what is past its time"),
            }
        }
    }
}
