//! DeleteClient: authz refuses the client from then on, for good; then its row is marked. Deleting what is deleted
//! answers it as it is.

use super::change::{self, Target, Trail};
use super::{Means, request, view};
use crate::domain::judge_delete;
use crate::grpc::convert;
use crate::peers;
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
pub const DELETE_CLIENT: &str = "beem.identity.v1.Clients/DeleteClient";

/// Whom.
///
/// # Errors
/// `not-found` for what is no id.
pub fn parse(payload: &[u8]) -> Result<PrincipalId> {
    convert::client_id(&request::<wire::DeleteClientRequest>(payload)?.id)
}

/// The saga.
pub struct DeleteClient(pub Means);

impl Saga for DeleteClient {
    fn rpc(&self) -> &'static str {
        DELETE_CLIENT
    }

    fn waits(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let actor = change::actor(run)?;
            let id = parse(run.payload())?;
            let account = actor.account;
            let trail = Trail {
                actor: Some(actor.clone()),
                action: "DeleteClient",
                target: Target::Client(id),
                account,
            };
            change::carry_out(run, &trail, self.delete(run, &trail, &actor, id)).await
        })
    }
}

impl DeleteClient {
    async fn delete(&self, run: &SagaRun, trail: &Trail, actor: &Actor, id: PrincipalId) -> Result<Vec<u8>> {
        let judge = |client: &_| judge_delete(client, actor.principal);
        let alive = change::begin_on_client(run, actor.account, id, self.0.change_patience, judge).await?;
        let before = self.0.record_before(run, actor.account, id).await?;
        let standing = if alive {
            let change = PrepareChangeRequest {
                effect_key: run.effect_key("prepare"),
                account_id: actor.account.to_string(),
                principal_id: id.to_string(),
                actor_principal_id: actor.principal.to_string(),
                delete: true,
                ..PrepareChangeRequest::default()
            };
            peers::decode(&run.step("prepare", || self.0.authz.prepare_change(change)).await?)?
        } else {
            self.0.authz.standing(actor.account, id).await?
        };
        run.finish(|tx| {
            let before = before.clone();
            Box::pin(async move {
                let mut client = store::clients::get(tx, actor.account, id).await?;
                if alive {
                    client.deleted = Some(tx.now());
                    store::clients::change(tx, &client, run.id()).await?;
                }
                let after = client.record(standing.roles, standing.enabled);
                change::end_done(tx, run, trail, Some(before), Some(after)).await?;
                Ok(view::answer(tx, &client, &standing, tx.now()).await?.encode_to_vec())
            })
        })
        .await
    }
}
