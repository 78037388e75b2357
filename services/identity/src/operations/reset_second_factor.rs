//! ResetSecondFactor: an operator lets a user in anew who has lost the second factor. Authz first (it takes every role the
//! user holds, whatever gateways know of its sessions is old from then on, and it no longer counts as an operator); then password, second factor, recovery codes
//! and sessions go and a link to activate is mailed, in one transaction.

use super::change::{self, Target, Trail};
use super::principal::prepared_by;
use super::{Means, request, user_view};
use crate::domain::{Principal as _, User, judge_reset};
use crate::grpc::convert;
use crate::mails;
use crate::store::links::{self, Purpose};
use crate::store::{credentials, sessions, users};
use beem_caller::Actor;
use beem_database::sagas::{Saga, SagaRun};
use beem_fault::Result;
use beem_ids::PrincipalId;
use beem_proto::authz::v1::PrepareChangeRequest;
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;
use prost::Message as _;

/// The RPC.
pub const RESET_SECOND_FACTOR: &str = "beem.identity.v1.Users/ResetSecondFactor";

/// Whose.
///
/// # Errors
/// `not-found` for what is no id.
pub fn parse(payload: &[u8]) -> Result<PrincipalId> {
    convert::user_id(&request::<wire::ResetSecondFactorRequest>(payload)?.id)
}

/// The saga.
pub struct ResetSecondFactor(pub Means);

impl Saga for ResetSecondFactor {
    fn rpc(&self) -> &'static str {
        RESET_SECOND_FACTOR
    }

    fn waits(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let actor = change::actor(run)?;
            let id = parse(run.payload())?;
            let trail = Trail::of(actor.clone(), "ResetSecondFactor", Target::User(id));
            change::carry_out_mailing(run, &trail, id, self.reset(run, &trail, &actor, id)).await
        })
    }
}

impl ResetSecondFactor {
    async fn reset(&self, run: &SagaRun, trail: &Trail, actor: &Actor, id: PrincipalId) -> Result<Vec<u8>> {
        let judge = |user: &User| judge_reset(user, actor.principal);
        change::begin_mailing(run, actor.account, id, self.0.change_patience, judge).await?;
        let before = self.0.record_before::<User>(run, actor.account, id).await?;
        // From here on it does not stand in for another operator of users who is to go, until it has activated anew.
        let change = PrepareChangeRequest {
            take_over: true,
            end_sessions: true,
            deactivate: true,
            ..prepared_by(run, actor, id)
        };
        let standing = &self.0.prepare_change(run, change).await?;
        run.finish(|tx| {
            let before = before.clone();
            Box::pin(async move {
                links::revoke_all(tx, id).await?;
                let token = links::issue(tx, id, Purpose::Activation, None).await?;
                let mut user = users::get(tx, actor.account, id).await?;
                user.credential_version = standing.credential_version;
                users::change(tx, &user, run.id()).await?;
                credentials::clear(tx, id).await?;
                users::deactivate(tx, id, run.id()).await?;
                sessions::end_all(tx, id, None).await?;
                let user = users::get(tx, actor.account, id).await?;
                mails::queue_activation_reset(tx, &self.0, &user, &token).await?;
                let after = user.record(standing.roles, standing.enabled);
                change::end_done(tx, run, trail, Some(before), Some(after)).await?;
                Ok(user_view::answer(&user, standing).encode_to_vec())
            })
        })
        .await
    }
}
