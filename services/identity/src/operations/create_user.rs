//! CreateUser: invites a person. The address is reserved first, so that no second invitation of it goes on beside, and its mail is counted; then authz
//! judges the roles; then the user is there, with its link and mail, in one transaction with the answer. What authz refuses
//! frees the address again.

use super::change::{self, Target, Trail};
use super::create_client::Ids;
use super::{Means, request, user_view};
use crate::domain::{NewUser, Principal as _, User};
use crate::grpc::convert;
use crate::mails;
use crate::peers::{self, NewStanding};
use crate::store::links::{self, Purpose};
use crate::store::users;
use beem_caller::PrincipalKind;
use beem_database::Tx;
use beem_database::sagas::{Saga, SagaRun};
use beem_fault::Result;
use beem_ids::PrincipalId;
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;
use prost::Message as _;

/// The RPC.
pub const CREATE_USER: &str = "beem.identity.v1.Users/CreateUser";

/// Who is to be invited.
///
/// # Errors
/// `validation-failed` naming the fields.
pub fn parse(payload: &[u8]) -> Result<NewUser> {
    convert::new_user(&request::<wire::CreateUserRequest>(payload)?)
}

/// The saga.
pub struct CreateUser(pub Means);

impl Saga for CreateUser {
    fn rpc(&self) -> &'static str {
        CREATE_USER
    }

    fn waits(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let actor = change::actor(run)?;
            let id = Ids::of(run)?.principal;
            let trail = Trail::of(actor, "CreateUser", Target::NewUser(id));
            change::carry_out_mailing(run, &trail, id, self.create(run, &trail, id)).await
        })
    }
}

impl CreateUser {
    async fn create(&self, run: &SagaRun, trail: &Trail, id: PrincipalId) -> Result<Vec<u8>> {
        let new = &parse(run.payload())?;
        run.write("reserve", |tx| {
            Box::pin(async move {
                users::insert_reserved(tx, &user(tx, trail, id, new), run.id()).await?;
                change::invitation(tx, trail.account, &new.email).await?;
                Ok(Some(Vec::new()))
            })
        })
        .await?;
        let effect_key = run.effect_key("standing");
        let standing = NewStanding {
            effect_key: &effect_key,
            account: trail.account,
            principal: id,
            kind: PrincipalKind::User,
            enabled: new.enabled,
            roles: new.roles,
            actor: trail.principal(),
        };
        let standing = run.step("standing", || self.0.authz.create_standing(&standing)).await?;
        let standing = &peers::decode(&standing)?;
        run.finish(|tx| {
            Box::pin(async move {
                users::make(tx, id, standing.credential_version, run.id()).await?;
                let user = users::get(tx, trail.account, id).await?;
                let token = links::issue(tx, id, Purpose::Activation, None).await?;
                mails::queue_invitation(tx, &self.0, &user, &token).await?;
                let after = user.record(standing.roles, standing.enabled);
                change::end_done(tx, run, trail, None, Some(after)).await?;
                Ok(user_view::answer(&user, standing).encode_to_vec())
            })
        })
        .await
    }
}

/// The user as it is reserved. It has no version before it has a standing.
fn user(tx: &Tx<'_>, trail: &Trail, id: PrincipalId, new: &NewUser) -> User {
    User {
        id,
        account: trail.account,
        email: new.email.clone(),
        first_name: new.first_name.clone(),
        last_name: new.last_name.clone(),
        network: new.network.clone(),
        activated: false,
        credential_version: 0,
        created_by: trail.principal(),
        created: tx.now(),
        deleted: None,
        last_sign_in: None,
    }
}
