//! DeleteHook: from now on nobody sees it and nothing is sent to it; what waits for it ends.

use super::Operations;
use super::answers::told;
use crate::domain::HookPatch;
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

const DELETE_HOOK: &str = "beem.hooks.v1.Hooks/DeleteHook";

impl Operations {
    /// The hook as it is when it ends: disabled. Refusals: `not-found`.
    pub async fn delete_hook(&self, actor: &Actor, asked: &wire::DeleteHookRequest) -> Outcome {
        let trail = Trail { actor, action: "DeleteHook", target_type: "hook" };
        let request = asked.encode_to_vec();
        let id = &convert::hook_id(&asked.id);
        let outcome = self
            .write(trail, (DELETE_HOOK, Remember::Sealed), &request, &asked.id, |tx| {
                Box::pin(async move {
                    let id = id.as_ref().map_err(Clone::clone)?;
                    self.end_hook(tx, trail, *id).await
                })
            })
            .await;
        self.0.bell.ring();
        outcome
    }

    async fn end_hook(&self, tx: &Tx<'_>, trail: Trail<'_>, id: HookId) -> Result<Vec<u8>> {
        let before = store::hooks::lock(tx, trail.actor.account, id).await?;
        let disable = HookPatch { enabled: Some(false), ..HookPatch::default() };
        let after = before.patched(disable, tx.now());
        store::hooks::change(tx, &after).await?;
        store::hooks::delete(tx, id).await?;
        store::lanes::close(tx, id).await?;
        let answer = self.answer(tx, &after, tx.now()).await?;
        // After the answer, which shows them. They are forgotten like any that retired.
        store::keys::retire_all(tx, id).await?;
        audit::record(tx, trail.row(&answer.id, "done", Some(told(&before)), None)).await?;
        Ok(answer.encode_to_vec())
    }
}
