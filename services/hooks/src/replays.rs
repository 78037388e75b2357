//! Replays, worked off a part at a time: every event of the stretch that the hook asks for and has no delivery of gets one,
//! and what has failed is tried anew. What was delivered, and what is still under way, is left as it is. Killed at any point
//! it goes on where it was, and a part that is done twice does nothing the second time.

use crate::domain::Status;
use crate::operations::Means;
use crate::store::intake::{self, Outgoing};
use crate::store::replays::{self, Kept};
use crate::store::{hooks, lanes};
use beem_database::Tx;
use beem_fault::Result;
use beem_ids::{DeliveryId, EventId, HookId};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Events in one part.
const PART: u32 = 500;

/// After a part that failed, of the same replay.
const TRIED_AGAIN: Duration = Duration::from_secs(1);

/// Works on replays until none is left: a part of each in turn, so that a long one holds up no other. One that fails is told
/// of, and left alone for a second. Two processes that come upon the same one do a part each.
///
/// # Errors
/// As the database says when it cannot be asked what there is to do: the next round goes on.
pub async fn work_off(means: &Means, cancel: &CancellationToken) -> Result<()> {
    let mut failed: HashMap<HookId, Instant> = HashMap::new();
    loop {
        let (mut after, mut worked) = (Uuid::nil(), false);
        // Looked at with a reader: an idle round costs the writer nothing.
        while let Some(turn) = replays::next(means.db.read(), after).await? {
            if cancel.is_cancelled() {
                return Ok(());
            }
            after = turn.replay;
            if failed.get(&turn.hook).is_some_and(|at| at.elapsed() < TRIED_AGAIN) {
                continue;
            }
            match means.db.write(|tx| Box::pin(do_part(tx, turn.hook))).await {
                Ok(due) => {
                    worked = true;
                    if due {
                        means.bell.ring();
                    }
                }
                Err(fault) => {
                    tracing::warn!(hook = %turn.hook, ?fault, "a replay cannot go on, trying on");
                    failed.insert(turn.hook, Instant::now());
                }
            }
        }
        if !worked {
            return Ok(());
        }
    }
}

/// Whether something became due.
async fn do_part(tx: &Tx<'_>, hook: HookId) -> Result<bool> {
    let enabled = hooks::lock_of_any_account(tx, hook).await?.filter(|hook| hook.disabled.is_none());
    let Some(hook) = enabled else {
        // Nothing is sent to it any more; once it is enabled again it takes another replay.
        replays::end(tx, hook).await?;
        return Ok(false);
    };
    let Some(replay) = replays::of(tx, hook.id).await? else { return Ok(false) };
    let events = replays::events(tx, hook.account, replay, PART).await?;
    match events.last() {
        Some(last) if u32::try_from(events.len()) == Ok(PART) => {
            replays::go_on(tx, hook.id, last.position).await?
        }
        _ => replays::end(tx, hook.id).await?,
    }
    let asked: Vec<&Kept> = events.iter().filter(|kept| hook.codes.ask_for(&kept.event)).collect();
    if asked.is_empty() {
        return Ok(false);
    }
    let event_ids: Vec<EventId> = asked.iter().map(|kept| kept.event_id).collect();
    let there = replays::deliveries(tx, hook.id, &event_ids).await?;
    let failed: Vec<DeliveryId> =
        there.values().filter(|(_, status)| *status == Status::Failed).map(|(id, _)| *id).collect();
    let missing = asked.iter().filter(|kept| !there.contains_key(&kept.event_id));
    let missing: Vec<Outgoing<'_>> = missing
        .map(|kept| Outgoing { hook: hook.id, event_id: kept.event_id, event: &kept.event, due: tx.now() })
        .collect();
    if failed.is_empty() && missing.is_empty() {
        return Ok(false);
    }
    replays::wake(tx, &failed).await?;
    lanes::due(tx, &BTreeMap::from([(hook.id, tx.now())])).await?;
    intake::insert_deliveries(tx, &missing).await?;
    Ok(true)
}
