//! CreateHook: a hook, its lane and its first keys, the audit row and the answer in one transaction.

use super::Operations;
use super::answers::told;
use super::draw_keys::{For, drawn};
use crate::domain::{DisabledReason, Hook, NewHook};
use crate::grpc::convert;
use crate::keys::{NewKeys, signing_secret};
use crate::store;
use beem_caller::Actor;
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_events::audit;
use beem_fault::{Code, Fault, Result};
use beem_ids::HookId;
use beem_proto::hooks::v1 as wire;
use beem_writes::{Remember, Trail, refused};
use prost::Message as _;

const CREATE_HOOK: &str = "beem.hooks.v1.Hooks/CreateHook";

impl Operations {
    /// Refusals: `validation-failed` naming every field that is wrong; `role-missing` for an event that the actor may not
    /// read; `too-many-hooks`.
    pub async fn create_hook(&self, actor: &Actor, asked: &wire::CreateHookRequest) -> Outcome {
        let trail = Trail { actor, action: "CreateHook", target_type: "hook" };
        let request = asked.encode_to_vec();
        let wanted = &convert::new_hook(asked, actor.roles, self.0.policy);
        let keys = match wanted {
            Ok(_) => self.draw_keys(trail, CREATE_HOOK, &request, For::NewHook).await,
            Err(_) => Ok(None),
        };
        let keys = match &keys {
            Ok(keys) => keys.as_ref(),
            Err(fault) => return refused(fault.clone()),
        };
        self.write(trail, (CREATE_HOOK, Remember::Sealed), &request, "", |tx| {
            Box::pin(async move {
                let new = wanted.as_ref().map_err(Clone::clone)?;
                self.insert_hook(tx, trail, new, keys).await
            })
        })
        .await
    }

    async fn insert_hook(
        &self,
        tx: &Tx<'_>,
        trail: Trail<'_>,
        new: &NewHook,
        keys: Option<&NewKeys>,
    ) -> Result<Vec<u8>> {
        let (means, actor) = (&self.0, trail.actor);
        let most = means.settings.hooks_per_account;
        if store::hooks::count_locked(tx, actor.account).await? >= u64::from(most) {
            return Err(Fault::new(Code::TooManyHooks, format!("an account has at most {most} hooks")));
        }
        let keys = drawn(keys)?;
        let hook = Hook {
            id: HookId::draw(tx.now(), tx.entropy()),
            account: actor.account,
            url: new.url.clone(),
            codes: new.codes.clone(),
            disabled: (!new.enabled).then_some(DisabledReason::Operator),
            created_by: actor.principal,
            created: tx.now(),
            updated: tx.now(),
        };
        store::hooks::insert(tx, &hook).await?;
        store::keys::add(tx, &means.sealing, hook.id, keys, 0).await?;
        store::lanes::open(tx, hook.id).await?;
        let mut answer = self.answer(tx, &hook, tx.now()).await?;
        answer.signing_secret = Some(signing_secret(&keys.secret).to_string());
        audit::record(tx, trail.row(&answer.id, "done", None, Some(told(&hook)))).await?;
        Ok(answer.encode_to_vec())
    }
}
