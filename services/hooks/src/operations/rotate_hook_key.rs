//! RotateHookKey: new keys and a new secret, which sign at once; those before sign beside them as long as was asked.

use super::Operations;
use super::draw_keys::{For, drawn};
use crate::grpc::convert;
use crate::keys::{NewKeys, signing_secret};
use crate::store;
use beem_caller::Actor;
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_events::audit;
use beem_fault::Result;
use beem_ids::HookId;
use beem_proto::hooks::v1 as wire;
use beem_writes::{Remember, Trail, refused};
use prost::Message as _;
use serde_json::json;

const ROTATE_HOOK_KEY: &str = "beem.hooks.v1.Hooks/RotateHookKey";

impl Operations {
    /// Refusals: `validation-failed` naming `retireOldAfter`; `not-found`.
    pub async fn rotate_hook_key(&self, actor: &Actor, asked: &wire::RotateHookKeyRequest) -> Outcome {
        let trail = Trail { actor, action: "RotateHookKey", target_type: "hook" };
        let request = asked.encode_to_vec();
        let parsed = convert::hook_id(&asked.id).and_then(|id| Ok((id, convert::retire_old_after_s(asked)?)));
        let parsed = &parsed;
        let keys = match parsed {
            Ok((id, _)) => self.draw_keys(trail, ROTATE_HOOK_KEY, &request, For::Hook(*id)).await,
            Err(_) => Ok(None),
        };
        let keys = match &keys {
            Ok(keys) => keys.as_ref(),
            Err(fault) => return refused(fault.clone()),
        };
        self.write(trail, (ROTATE_HOOK_KEY, Remember::Sealed), &request, &asked.id, |tx| {
            Box::pin(async move {
                let (id, retire_old_after_s) = parsed.as_ref().map_err(Clone::clone)?;
                self.change_keys(tx, trail, *id, *retire_old_after_s, keys).await
            })
        })
        .await
    }

    async fn change_keys(
        &self,
        tx: &Tx<'_>,
        trail: Trail<'_>,
        id: HookId,
        retire_old_after_s: u32,
        keys: Option<&NewKeys>,
    ) -> Result<Vec<u8>> {
        let hook = store::hooks::lock(tx, trail.actor.account, id).await?;
        let keys = drawn(keys)?;
        let number = store::keys::add(tx, &self.0.sealing, id, keys, retire_old_after_s).await?;
        let mut answer = self.answer(tx, &hook, tx.now()).await?;
        answer.signing_secret = Some(signing_secret(&keys.secret).to_string());
        let before = json!({ "keyNumber": number.saturating_sub(1) });
        let after = json!({ "keyNumber": number, "retireOldAfter": retire_old_after_s });
        audit::record(tx, trail.row(&answer.id, "done", Some(before), Some(after))).await?;
        Ok(answer.encode_to_vec())
    }
}
