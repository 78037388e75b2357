//! DeleteClient: as every deletion of a principal (see [`super::principal`]).

use super::change::{self, Target, Trail};
use super::{Means, request};
use crate::domain::Client;
use crate::grpc::convert;
use beem_database::sagas::{Saga, SagaRun};
use beem_fault::Result;
use beem_ids::PrincipalId;
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;

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
            let trail = Trail::of(actor.clone(), "DeleteClient", Target::Client(id));
            change::carry_out(run, &trail, self.0.delete::<Client>(run, &trail, &actor, id)).await
        })
    }
}
