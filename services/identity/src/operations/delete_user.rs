//! DeleteUser: as every deletion of a principal (see [`super::principal`]).

use super::change::{self, Target, Trail};
use super::{Means, request};
use crate::domain::User;
use crate::grpc::convert;
use beem_database::sagas::{Saga, SagaRun};
use beem_fault::Result;
use beem_ids::PrincipalId;
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;

/// The RPC.
pub const DELETE_USER: &str = "beem.identity.v1.Users/DeleteUser";

/// Whom.
///
/// # Errors
/// `not-found` for what is no id.
pub fn parse(payload: &[u8]) -> Result<PrincipalId> {
    convert::user_id(&request::<wire::DeleteUserRequest>(payload)?.id)
}

/// The saga.
pub struct DeleteUser(pub Means);

impl Saga for DeleteUser {
    fn rpc(&self) -> &'static str {
        DELETE_USER
    }

    fn waits(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let actor = change::actor(run)?;
            let id = parse(run.payload())?;
            let trail = Trail::of(actor.clone(), "DeleteUser", Target::User(id));
            change::carry_out(run, &trail, self.0.delete::<User>(run, &trail, &actor, id)).await
        })
    }
}
