//! UpdateClient: authz judges the whole change and takes away at once what shrinks; then identity writes name and network
//! list; then authz adds what grows. A PATCH of the name alone asks authz nothing but how the client stands.

use super::change::{self, Target, Trail};
use super::{Means, request, view};
use crate::domain::{ClientPatch, NetworkChange, judge_update};
use crate::grpc::convert;
use crate::peers::{self, Standing};
use crate::store;
use beem_caller::Actor;
use beem_database::sagas::{Saga, SagaRun};
use beem_fault::Result;
use beem_ids::PrincipalId;
use beem_proto::authz::v1::PrepareChangeRequest;
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;
use prost::Message as _;

/// The RPC.
pub const UPDATE_CLIENT: &str = "beem.identity.v1.Clients/UpdateClient";

/// Whose what is to become.
///
/// # Errors
/// `validation-failed` naming the fields; `not-found` for what is no id.
pub fn parse(payload: &[u8]) -> Result<(PrincipalId, ClientPatch)> {
    let asked: wire::UpdateClientRequest = request(payload)?;
    Ok((convert::client_id(&asked.id)?, convert::client_patch(&asked)?))
}

/// The saga.
pub struct UpdateClient(pub Means);

impl Saga for UpdateClient {
    fn rpc(&self) -> &'static str {
        UPDATE_CLIENT
    }

    fn waits(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let actor = change::actor(run)?;
            let (id, patch) = &parse(run.payload())?;
            let id = *id;
            let account = actor.account;
            let trail = Trail {
                actor: Some(actor.clone()),
                action: "UpdateClient",
                target: Target::Client(id),
                account,
            };
            change::carry_out(run, &trail, self.update(run, &trail, &actor, id, patch)).await
        })
    }
}

impl UpdateClient {
    async fn update(
        &self,
        run: &SagaRun,
        trail: &Trail,
        actor: &Actor,
        id: PrincipalId,
        patch: &ClientPatch,
    ) -> Result<Vec<u8>> {
        let judge = |client: &_| judge_update(client, actor.principal, patch);
        let network = change::begin_on_client(run, actor.account, id, self.0.change_patience, judge).await?;
        let before = self.0.record_before(run, actor.account, id).await?;
        let prepared = self.prepare(run, actor, id, patch, network).await?;
        if patch.name.is_some() || network != NetworkChange::Unchanged {
            self.write(run, actor, id, patch, prepared.filter(|_| network != NetworkChange::Unchanged))
                .await?;
        }
        let standing = match prepared {
            None => self.0.authz.standing(actor.account, id).await?,
            Some(prepared) if grows(patch, &prepared) => {
                let commit = || self.0.authz.commit_change(run.effect_key("prepare"));
                peers::decode(&run.step("commit", commit).await?)?
            }
            Some(prepared) => prepared,
        };
        run.finish(|tx| {
            let before = before.clone();
            Box::pin(async move {
                let client = store::clients::get(tx, actor.account, id).await?;
                let after = client.record(standing.roles, standing.enabled);
                change::end_done(tx, run, trail, Some(before), Some(after)).await?;
                Ok(view::answer(tx, &client, &standing, tx.now()).await?.encode_to_vec())
            })
        })
        .await
    }

    /// None when authz has nothing to judge.
    async fn prepare(
        &self,
        run: &SagaRun,
        actor: &Actor,
        id: PrincipalId,
        patch: &ClientPatch,
        network: NetworkChange,
    ) -> Result<Option<Standing>> {
        if patch.roles.is_none() && patch.enabled.is_none() && network == NetworkChange::Unchanged {
            return Ok(None);
        }
        let change = PrepareChangeRequest {
            effect_key: run.effect_key("prepare"),
            account_id: actor.account.to_string(),
            principal_id: id.to_string(),
            actor_principal_id: actor.principal.to_string(),
            roles: patch.roles.map(beem_roles::RoleSet::bits),
            enabled: patch.enabled,
            take_over: network == NetworkChange::Wider,
            credential_change: network == NetworkChange::Narrower,
            ..PrepareChangeRequest::default()
        };
        let prepared = run.step("prepare", || self.0.authz.prepare_change(change)).await?;
        peers::decode(&prepared).map(Some)
    }

    /// Identity's own part; `prepared` when the network list changes, at its new version.
    async fn write(
        &self,
        run: &SagaRun,
        actor: &Actor,
        id: PrincipalId,
        patch: &ClientPatch,
        prepared: Option<Standing>,
    ) -> Result<()> {
        let written = run.write("write", |tx| {
            Box::pin(async move {
                let mut client = store::clients::get(tx, actor.account, id).await?;
                if let Some(name) = &patch.name {
                    client.name = name.clone();
                }
                if let (Some(network), Some(prepared)) = (&patch.network, prepared) {
                    client.network = network.clone();
                    client.credential_version = prepared.credential_version;
                }
                store::clients::change(tx, &client, run.id()).await?;
                Ok(Some(Vec::new()))
            })
        });
        written.await.map(drop)
    }
}

/// Whether something that was asked for was kept back until the commit.
fn grows(patch: &ClientPatch, prepared: &Standing) -> bool {
    patch.roles.is_some_and(|roles| roles != prepared.roles)
        || patch.enabled.is_some_and(|enabled| enabled != prepared.enabled)
}

impl Means {
    /// What the audit trail shows as before the change, read once: the saga has the client to itself.
    pub(super) async fn record_before(
        &self,
        run: &SagaRun,
        account: beem_ids::AccountId,
        id: PrincipalId,
    ) -> Result<serde_json::Value> {
        let read = || async {
            let client = store::clients::get(run.db().read(), account, id).await?;
            let standing = self.authz.standing(account, id).await?;
            change::keep(&client.record(standing.roles, standing.enabled))
        };
        change::kept(&run.step("before", read).await?)
    }
}
