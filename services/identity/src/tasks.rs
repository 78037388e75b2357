//! Identity's background loops: bounded, cancellable, supervised.

use crate::operations::Operations;
use crate::settings::IdentitySettings;
use crate::store::{attempts, challenges, links, places, sessions};
use beem_database::{Database, claims};
use beem_events::{Feed, audit};
use beem_mail::{self as mail, Mailer};
use beem_runtime::{PURGE_BATCH, Task, purge, task};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How long mails that were sent, and audit rows that authz has, stay for whoever looks into something.
const KEPT_MS: i64 = 7 * DAY_MS;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Numbering events, going on with sagas whose runner is gone, sending mails, handing the audit trail on,
/// forgetting what is past its time.
#[must_use]
pub fn all(
    db: &Database,
    operations: &Operations,
    feed: &Feed,
    mailer: Mailer,
    settings: &IdentitySettings,
) -> Vec<Task> {
    let (sagas, sequencer, resets) = (operations.sagas(), feed.clone(), operations.clone());
    let (rows, authz) = (feed.clone(), operations.authz());
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
        task("identity-mailer", move |cancel| {
            let mailer = mailer.clone();
            async move { mailer.run(cancel).await }
        }),
        task("identity-audit", move |cancel| {
            let (feed, authz) = (rows.clone(), authz.clone());
            async move { audit::push(&feed, &authz, cancel).await }
        }),
        task("identity-password-resets", move |cancel| resets.clone().mail_password_resets(cancel)),
        task("identity-purge", move |cancel| {
            forget(db.clone(), feed.clone(), interval, retention_ms, cancel)
        }),
    ]
}

async fn forget(db: Database, feed: Feed, interval: Duration, retention_ms: i64, cancel: CancellationToken) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
        }
        purge("request keys", &cancel, || claims::purge(&db, PURGE_BATCH)).await;
        purge("audit rows", &cancel, || audit::purge(&db, KEPT_MS, PURGE_BATCH)).await;
        purge("mails", &cancel, || mail::purge(&db, KEPT_MS, PURGE_BATCH)).await;
        purge("links", &cancel, || links::purge(&db, PURGE_BATCH)).await;
        purge("challenges", &cancel, || challenges::purge(&db, PURGE_BATCH)).await;
        purge("sessions", &cancel, || sessions::purge(&db, PURGE_BATCH)).await;
        purge("attempts", &cancel, || attempts::purge(&db, PURGE_BATCH)).await;
        purge("places", &cancel, || places::purge(&db, PURGE_BATCH)).await;
        purge("events", &cancel, || feed.purge(retention_ms, PURGE_BATCH)).await;
    }
}
