//! ResendInvitation: a new link and mail for a user who has not activated; the earlier link stops working. Whoever sends it
//! could send it to themselves, so it takes every role the user holds.

use super::change::{self, Target, Trail};
use super::principal::prepared_by;
use super::{Means, request, user_view};
use crate::domain::{Principal as _, User, judge_invitation};
use crate::grpc::convert;
use crate::mails;
use crate::store::links::{self, Purpose};
use crate::store::users;
use beem_caller::Actor;
use beem_database::sagas::{Saga, SagaRun};
use beem_fault::Result;
use beem_ids::PrincipalId;
use beem_proto::authz::v1::PrepareChangeRequest;
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;
use prost::Message as _;

/// The RPC.
pub const RESEND_INVITATION: &str = "beem.identity.v1.Users/ResendInvitation";

/// Whom.
///
/// # Errors
/// `not-found` for what is no id.
pub fn parse(payload: &[u8]) -> Result<PrincipalId> {
    convert::user_id(&request::<wire::ResendInvitationRequest>(payload)?.id)
}

/// The saga.
pub struct ResendInvitation(pub Means);

impl Saga for ResendInvitation {
    fn rpc(&self) -> &'static str {
        RESEND_INVITATION
    }

    fn waits(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let actor = change::actor(run)?;
            let id = parse(run.payload())?;
            let trail = Trail::of(actor.clone(), "ResendInvitation", Target::User(id));
            change::carry_out_mailing(run, &trail, id, self.resend(run, &trail, &actor, id)).await
        })
    }
}

impl ResendInvitation {
    async fn resend(&self, run: &SagaRun, trail: &Trail, actor: &Actor, id: PrincipalId) -> Result<Vec<u8>> {
        let judge = |user: &User| judge_invitation(user, Some(actor.principal));
        change::begin_mailing(run, actor.account, id, self.0.change_patience, judge).await?;
        let change = PrepareChangeRequest { take_over: true, ..prepared_by(run, actor, id) };
        let standing = &self.0.prepare_change(run, change).await?;
        run.finish(|tx| {
            Box::pin(async move {
                let token = links::issue(tx, id, Purpose::Activation, None).await?;
                // It may have activated since the saga began; from here on nobody can by the earlier link.
                let mut user = users::get(tx, actor.account, id).await?;
                judge_invitation(&user, Some(actor.principal))?;
                user.credential_version = standing.credential_version;
                users::change(tx, &user, run.id()).await?;
                mails::queue_invitation(tx, &self.0, &user, &token).await?;
                let after = user.record(standing.roles, standing.enabled);
                change::end_done(tx, run, trail, None, Some(after)).await?;
                Ok(user_view::answer(&user, standing).encode_to_vec())
            })
        })
        .await
    }
}
