//! UpdateAccount: each setting needs its own roles. Who may grant roles is authz's to know: it is told first, and the
//! settings are written with the answer, since in identity that one is only shown and opens nothing.

use super::change::{self, Target, Trail};
use super::{Means, request};
use crate::domain::{Account, AccountPatch, GrantPolicy, require_roles};
use crate::grpc::convert;
use crate::store;
use beem_caller::Actor;
use beem_database::sagas::{Saga, SagaRun};
use beem_fault::Result;
use beem_proto::authz::v1::SetRoleGrantPolicyRequest;
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;
use prost::Message as _;
use serde::{Deserialize, Serialize};

/// The RPC.
pub const UPDATE_ACCOUNT: &str = "beem.identity.v1.Accounts/UpdateAccount";

/// The saga.
pub struct UpdateAccount(pub Means);

#[derive(Serialize, Deserialize)]
struct Plan {
    before: serde_json::Value,
    asks_authz: bool,
}

/// What the settings are to become, and whether the actor's roles suffice for that.
///
/// # Errors
/// `role-missing`; `validation-failed` naming the fields.
pub fn parse(actor: &Actor, payload: &[u8]) -> Result<AccountPatch> {
    let asked: wire::UpdateAccountRequest = request(payload)?;
    require_roles(actor.roles, convert::present(asked.present.as_ref()))?;
    convert::account_patch(&asked)
}

/// Also of a request that is refused before it is a saga.
#[must_use]
pub fn trail(actor: &Actor) -> Trail {
    Trail::of(actor.clone(), "UpdateAccount", Target::Account(actor.account))
}

impl Saga for UpdateAccount {
    fn rpc(&self) -> &'static str {
        UPDATE_ACCOUNT
    }

    fn waits(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let actor = change::actor(run)?;
            let patch = &parse(&actor, run.payload())?;
            let trail = trail(&actor);
            change::carry_out(run, &trail, self.update(run, &trail, &actor, patch)).await
        })
    }
}

impl UpdateAccount {
    async fn update(
        &self,
        run: &SagaRun,
        trail: &Trail,
        actor: &Actor,
        patch: &AccountPatch,
    ) -> Result<Vec<u8>> {
        let judge = |account: &Account| {
            let asks_authz = patch.grant_policy.is_some_and(|wanted| wanted != account.grant_policy);
            Ok(Plan { before: account.record(), asks_authz })
        };
        let plan = change::begin_on_account(run, actor.account, self.0.change_patience, judge).await?;
        if let Some(policy) = patch.grant_policy.filter(|_| plan.asks_authz) {
            run.step("policy", || self.set_policy(run.effect_key("policy"), actor, policy)).await?;
        }
        run.finish(|tx| {
            let before = plan.before.clone();
            Box::pin(async move {
                let account = patch.applied_to(&store::accounts::get(tx, actor.account).await?);
                store::accounts::change(tx, &account, run.id()).await?;
                change::end_done(tx, run, trail, Some(before), Some(account.record())).await?;
                Ok(convert::account(&account).encode_to_vec())
            })
        })
        .await
    }

    async fn set_policy(&self, effect_key: String, actor: &Actor, policy: GrantPolicy) -> Result<Vec<u8>> {
        let request = SetRoleGrantPolicyRequest {
            account_id: actor.account.to_string(),
            role_grant_policy: policy.as_str().to_ascii_uppercase(),
            actor_principal_id: actor.principal.to_string(),
            effect_key,
        };
        self.0.authz.set_role_grant_policy(request).await.map(|()| Vec::new())
    }
}
