//! UpdateHook: the fields that the body names. Where a hook's events go, and which ones, is judged by the roles of whoever
//! says so now: nobody has events sent that it may not read.

use super::Operations;
use super::answers::told;
use crate::domain::{Hook, HookPatch};
use crate::grpc::convert;
use crate::store;
use beem_caller::Actor;
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_events::audit;
use beem_fault::Result;
use beem_ids::HookId;
use beem_proto::hooks::v1 as wire;
use beem_writes::{Remember, Trail};
use prost::Message as _;
use std::collections::BTreeMap;

const UPDATE_HOOK: &str = "beem.hooks.v1.Hooks/UpdateHook";

impl Operations {
    /// Refusals: `validation-failed` naming every field that is wrong; `not-found`; `role-missing` for an event that the
    /// actor may not read, among those it names or, when it moves the hook elsewhere, those the hook asks for.
    pub async fn update_hook(&self, actor: &Actor, asked: &wire::UpdateHookRequest) -> Outcome {
        let trail = Trail { actor, action: "UpdateHook", target_type: "hook" };
        let request = asked.encode_to_vec();
        let parsed = convert::hook_id(&asked.id)
            .and_then(|id| Ok((id, convert::hook_patch(asked, actor.roles, self.0.policy)?)));
        let parsed = &parsed;
        let outcome = self
            .write(trail, (UPDATE_HOOK, Remember::Sealed), &request, &asked.id, |tx| {
                Box::pin(async move {
                    let (id, patch) = parsed.as_ref().map_err(Clone::clone)?;
                    self.change_hook(tx, trail, *id, patch).await
                })
            })
            .await;
        // What waits for a hook that was enabled is due, and what waits for one that was disabled ends.
        self.0.bell.ring();
        outcome
    }

    async fn change_hook(
        &self,
        tx: &Tx<'_>,
        trail: Trail<'_>,
        id: HookId,
        patch: &HookPatch,
    ) -> Result<Vec<u8>> {
        let before = store::hooks::lock(tx, trail.actor.account, id).await?;
        let after = before.patched(patch.clone(), tx.now());
        if after.url != before.url {
            // Whoever moves it gets what it asks for: what waits, and what is replayed.
            before.codes.readable_by(trail.actor.roles)?;
        }
        store::hooks::change(tx, &after).await?;
        move_lane(tx, &before, &after).await?;
        let answer = self.answer(tx, &after, tx.now()).await?;
        audit::record(tx, trail.row(&answer.id, "done", Some(told(&before)), Some(told(&after)))).await?;
        Ok(answer.encode_to_vec())
    }
}

/// What becomes of the lane of a locked hook that has changed.
async fn move_lane(tx: &Tx<'_>, before: &Hook, after: &Hook) -> Result<()> {
    let enabled = after.disabled.is_none();
    let anew = before.disabled.is_some() || before.url != after.url;
    if enabled && anew {
        store::lanes::reopen(tx, after.id).await?;
        // Somebody is to look at what still waits, which may have been passed over.
        store::lanes::due(tx, &BTreeMap::from([(after.id, tx.now())])).await
    } else if !enabled && before.disabled.is_none() {
        store::lanes::close(tx, after.id).await
    } else {
        Ok(())
    }
}
