//! UpdateClient: as every change of a principal (see [`super::principal`]).

use super::change::{self, Target, Trail};
use super::{Means, request};
use crate::domain::{Client, ClientPatch};
use crate::grpc::convert;
use beem_database::sagas::{Saga, SagaRun};
use beem_fault::Result;
use beem_ids::PrincipalId;
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;

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
            let trail = Trail::of(actor.clone(), "UpdateClient", Target::Client(*id));
            change::carry_out(run, &trail, self.0.update::<Client>(run, &trail, &actor, *id, patch)).await
        })
    }
}
