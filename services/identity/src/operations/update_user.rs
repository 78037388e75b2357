//! UpdateUser: as every change of a principal (see [`super::principal`]).

use super::change::{self, Target, Trail};
use super::{Means, request};
use crate::domain::{User, UserPatch};
use crate::grpc::convert;
use beem_database::sagas::{Saga, SagaRun};
use beem_fault::Result;
use beem_ids::PrincipalId;
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;

/// The RPC.
pub const UPDATE_USER: &str = "beem.identity.v1.Users/UpdateUser";

/// Whose what is to become.
///
/// # Errors
/// `validation-failed` naming the fields; `not-found` for what is no id.
pub fn parse(payload: &[u8]) -> Result<(PrincipalId, UserPatch)> {
    let asked: wire::UpdateUserRequest = request(payload)?;
    Ok((convert::user_id(&asked.id)?, convert::user_patch(&asked)?))
}

/// The saga.
pub struct UpdateUser(pub Means);

impl Saga for UpdateUser {
    fn rpc(&self) -> &'static str {
        UPDATE_USER
    }

    fn waits(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let actor = change::actor(run)?;
            let (id, patch) = &parse(run.payload())?;
            let trail = Trail::of(actor.clone(), "UpdateUser", Target::User(*id));
            change::carry_out(run, &trail, self.0.update::<User>(run, &trail, &actor, *id, patch)).await
        })
    }
}
