//! CreateClient: a standing in authz first (which judges the roles), then the client with its key, in one transaction with
//! the answer. Until then there is no key that could use the standing, so access grows last.

use super::change::{self, Target, Trail};
use super::{Means, request, view};
use crate::domain::{Client, Principal as _};
use crate::grpc::convert;
use crate::peers::{self, NewStanding};
use crate::store;
use beem_caller::PrincipalKind;
use beem_clock::{Entropy, Moment};
use beem_database::sagas::{Saga, SagaRun};
use beem_fault::Result;
use beem_ids::{AccountId, ClientId, PrincipalId};
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;
use prost::Message as _;
use serde::{Deserialize, Serialize};

/// The RPC.
pub const CREATE_CLIENT: &str = "beem.identity.v1.Clients/CreateClient";

/// The saga.
pub struct CreateClient(pub Means);

/// What is drawn once with the claim. A saga uses what it needs of them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Ids {
    pub account: AccountId,
    pub principal: PrincipalId,
    pub client: ClientId,
    pub owner: PrincipalId,
}

impl Ids {
    #[must_use]
    pub fn draw(now: Moment, entropy: &Entropy) -> Self {
        Self {
            account: AccountId::draw(now, entropy),
            principal: PrincipalId::draw(now, entropy),
            client: ClientId::draw(now, entropy),
            owner: PrincipalId::draw(now, entropy),
        }
    }

    /// As the claim stores them.
    #[must_use]
    pub fn to_json(self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Of this saga.
    ///
    /// # Errors
    /// `internal` when they are not ours.
    pub fn of(run: &SagaRun) -> Result<Self> {
        serde_json::from_value(run.ids().clone()).map_err(|_| super::garbled("ids"))
    }
}

impl Saga for CreateClient {
    fn rpc(&self) -> &'static str {
        CREATE_CLIENT
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let actor = change::actor(run)?;
            let ids = Ids::of(run)?;
            let target = Target::Client(ids.principal);
            let trail = Trail::of(actor, "CreateClient", target);
            change::carry_out(run, &trail, self.create(run, &trail, ids)).await
        })
    }
}

impl CreateClient {
    async fn create(&self, run: &SagaRun, trail: &Trail, ids: Ids) -> Result<Vec<u8>> {
        let new = convert::new_client(&request::<wire::CreateClientRequest>(run.payload())?)?;
        let created_by = trail.principal();
        let step = |effect_key: String| async move {
            let standing = NewStanding {
                effect_key: &effect_key,
                account: trail.account,
                principal: ids.principal,
                kind: PrincipalKind::Client,
                enabled: new.enabled,
                roles: new.roles,
                actor: created_by,
            };
            self.0.authz.create_standing(&standing).await
        };
        let standing = &peers::decode(&run.step("standing", || step(run.effect_key("standing"))).await?)?;
        let new = &new;
        run.finish(|tx| {
            Box::pin(async move {
                let client = Client {
                    id: ids.principal,
                    client_id: ids.client,
                    account: trail.account,
                    name: new.name.clone(),
                    network: new.network.clone(),
                    key: new.key.clone(),
                    retiring: None,
                    credential_version: standing.credential_version,
                    created_by,
                    created: tx.now(),
                    deleted: None,
                };
                store::clients::insert(tx, &client).await?;
                let after = client.record(standing.roles, standing.enabled);
                change::end_done(tx, run, trail, None, Some(after)).await?;
                Ok(view::answer(tx, &client, standing, tx.now()).await?.encode_to_vec())
            })
        })
        .await
    }
}
