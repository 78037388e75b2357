//! Replays, worked off a part at a time: every event of the stretch that the hook asks for and has no delivery of gets one,
//! and what has failed is tried anew. What was delivered, and what is still under way, is left as it is. Killed at any point
//! it goes on where it was, and a part that is done twice does nothing the second time.

use crate::domain::Status;
use crate::operations::Means;
use crate::store::intake::{self, Outgoing};
use crate::store::replays::{self, Kept, Replay};
use crate::store::{hooks, lanes};
use beem_database::Tx;
use beem_fault::Result;
use beem_ids::{DeliveryId, EventId};
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Events in one part.
const PART: u32 = 500;

/// What a part came to.
struct Done {
    replay: Uuid,
    /// Something became due.
    due: bool,
}

/// Works on replays until none is left that is not in another process's hands: a part of each in turn, so that a long one
/// holds up no other.
///
/// # Errors
/// As the database says: the next round goes on.
pub async fn work_off(means: &Means, cancel: &CancellationToken) -> Result<()> {
    // Looked at with a reader: an idle round costs the writer nothing.
    while replays::is_any(means.db.read()).await? {
        let mut after = Uuid::nil();
        while let Some(done) = part(means, after).await? {
            if done.due {
                means.bell.ring();
            }
            if cancel.is_cancelled() {
                return Ok(());
            }
            after = done.replay;
        }
        if after.is_nil() {
            break;
        }
    }
    Ok(())
}

async fn part(means: &Means, after: Uuid) -> Result<Option<Done>> {
    means
        .db
        .write(|tx| {
            Box::pin(async move {
                let Some(replay) = replays::take(tx, after).await? else { return Ok(None) };
                Ok(Some(Done { replay: replay.id, due: do_part(tx, &replay).await? }))
            })
        })
        .await
}

/// Whether something became due.
async fn do_part(tx: &Tx<'_>, replay: &Replay) -> Result<bool> {
    let hook = hooks::lock_of_any_account(tx, replay.hook).await?.filter(|hook| hook.disabled.is_none());
    let Some(hook) = hook else {
        // Nothing is sent to it any more; once it is enabled again it takes another replay.
        replays::end(tx, replay).await?;
        return Ok(false);
    };
    let events = replays::events(tx, replay, PART).await?;
    match events.last() {
        Some(last) if u32::try_from(events.len()) == Ok(PART) => {
            replays::go_on(tx, replay, last.position).await?
        }
        _ => replays::end(tx, replay).await?,
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
