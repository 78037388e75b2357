//! ReplayHook: asks for every event since a time that the hook wants and has not acknowledged. A task sends them, a part at
//! a time.

use super::{Operations, sendable};
use crate::grpc::convert;
use crate::store;
use beem_caller::Actor;
use beem_clock::Moment;
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_events::audit;
use beem_fault::{Fault, Result};
use beem_proto::from_timestamp;
use beem_proto::hooks::v1 as wire;
use beem_writes::{Remember, Trail};
use prost::Message as _;
use serde_json::json;

const REPLAY_HOOK: &str = "beem.hooks.v1.Hooks/ReplayHook";

impl Operations {
    /// Refusals: `validation-failed` naming `since`; `not-found`; `hook-disabled`.
    pub async fn replay_hook(&self, actor: &Actor, asked: &wire::ReplayHookRequest) -> Outcome {
        let trail = Trail { actor, action: "ReplayHook", target_type: "hook" };
        let request = asked.encode_to_vec();
        self.write(trail, (REPLAY_HOOK, Remember::Plain), &request, &asked.id, |tx| {
            Box::pin(ask_for_replay(tx, trail, asked))
        })
        .await
    }
}

async fn ask_for_replay(tx: &Tx<'_>, trail: Trail<'_>, asked: &wire::ReplayHookRequest) -> Result<Vec<u8>> {
    let id = convert::hook_id(&asked.id)?;
    let since = asked.since.as_ref().ok_or_else(|| Fault::field("since", "is missing"))?;
    let since = Moment::from_unix_ms(from_timestamp(since));
    if since > tx.now() {
        return Err(Fault::field("since", "lies in the future"));
    }
    sendable(store::hooks::get(tx, trail.actor.account, id).await?)?;
    // Some twenty questions, while nothing is locked yet: whatever comes meanwhile lies behind the answer.
    let first = store::intake::first_since(tx, since).await?;
    // First of all locks: whatever is being taken in without this hook is in the replay.
    let until = store::intake::lock(tx).await?;
    let hook = sendable(store::hooks::lock(tx, trail.actor.account, id).await?)?;
    store::replays::add(tx, hook.id, first, until).await?;
    let after = json!({ "since": since.rfc3339() });
    audit::record(tx, trail.row(&asked.id, "done", None, Some(after))).await?;
    let until = tx.clock().now().max(since);
    let answer = wire::ReplayHookResponse {
        since: Some(convert::timestamp(since)),
        until: Some(convert::timestamp(until)),
    };
    Ok(answer.encode_to_vec())
}
