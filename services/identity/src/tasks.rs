//! Identity's background loops: bounded, cancellable, supervised.

use crate::settings::IdentitySettings;
use beem_database::sagas::Sagas;
use beem_database::{Database, claims};
use beem_events::Feed;
use beem_fault::Result;
use beem_runtime::{Task, task};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Rows forgotten in one transaction at most.
const PURGE_BATCH: u32 = 500;

/// The next round goes on with what one cannot do in this time.
const LONGEST_PURGE: Duration = Duration::from_secs(30);

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
        purge_all("request keys", &cancel, || claims::purge(&db, PURGE_BATCH)).await;
        purge_all("events", &cancel, || feed.purge(retention_ms, PURGE_BATCH)).await;
    }
}

/// Batch after batch until one is not full, so that whatever comes in a round goes in a round.
async fn purge_all<F>(what: &str, cancel: &CancellationToken, mut batch: impl FnMut() -> F)
where
    F: Future<Output = Result<u64>>,
{
    let (enough, mut rows) = (Instant::now() + LONGEST_PURGE, 0_u64);
    let full = u64::from(PURGE_BATCH);
    loop {
        let gone = match batch().await {
            Ok(gone) => gone,
            Err(fault) => {
                tracing::warn!(what, ?fault, "could not forget what is past its time");
                break;
            }
        };
        rows = rows.saturating_add(gone);
        if gone < full || cancel.is_cancelled() || Instant::now() >= enough {
            break;
        }
    }
    if rows > 0 {
        tracing::debug!(what, rows, "forgot what is past its time");
    }
}
