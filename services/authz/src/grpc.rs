//! The gRPC face: decode, call the operation, encode.

mod audit;
mod convert;
mod list_roles;

use crate::operations::{self, Authz, PrepareChange, Write};
use crate::verify::AuditVerifier;
use crate::wire as message;
use beem_database::claims::{self, Outcome};
use beem_fault::Result;
use beem_proto::authz::v1 as wire;
use beem_proto::authz::v1::audit_server::AuditServer;
use beem_proto::authz::v1::roles_server::RolesServer;
use beem_proto::authz::v1::standings_server::{Standings, StandingsServer};
use beem_runtime::{Reply, deadline};
use convert::{
    change, effect_key, holders_page, id, kind, new_standing, one_role, or_installation, policy, principals,
    roles,
};
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// For a call that came without a deadline.
const PATIENCE: Duration = Duration::from_secs(10);

/// The gRPC services of authz.
pub(crate) fn routes(authz: Arc<Authz>, verifier: AuditVerifier) -> Routes {
    let trail = audit::Trail { authz: Arc::clone(&authz), verifier };
    Routes::new(StandingsServer::new(Server { authz }))
        .add_service(AuditServer::new(trail))
        .add_service(RolesServer::new(list_roles::Catalogue))
}

/// Their full names.
pub(crate) fn names() -> Vec<&'static str> {
    vec![
        <StandingsServer<Server> as tonic::server::NamedService>::NAME,
        <AuditServer<audit::Trail> as tonic::server::NamedService>::NAME,
        <RolesServer<list_roles::Catalogue> as tonic::server::NamedService>::NAME,
    ]
}

struct Server {
    authz: Arc<Authz>,
}

#[tonic::async_trait]
impl Standings for Server {
    async fn get_standing(
        &self,
        request: Request<wire::GetStandingRequest>,
    ) -> Result<Response<wire::SignedStanding>, Status> {
        let principal = id("principalId", &request.get_ref().principal_id)?;
        Ok(Response::new(operations::get_standing(&self.authz, principal).await?.signed))
    }

    async fn batch_get_standings(
        &self,
        request: Request<wire::BatchGetStandingsRequest>,
    ) -> Result<Response<wire::BatchGetStandingsResponse>, Status> {
        let request = request.get_ref();
        let account = id("accountId", &request.account_id)?;
        let asked = principals(&request.principal_ids)?;
        let found = operations::batch_get_standings(&self.authz, account, &asked).await?;
        let standings = found.iter().map(message::standing).collect();
        Ok(Response::new(wire::BatchGetStandingsResponse { standings }))
    }

    async fn put_account(
        &self,
        request: Request<wire::PutAccountRequest>,
    ) -> Result<Response<wire::PutAccountResponse>, Status> {
        let request = request.get_ref();
        let account = id("accountId", &request.account_id)?;
        operations::put_account(&self.authz, account, policy(&request.role_grant_policy)?).await?;
        Ok(Response::new(wire::PutAccountResponse {}))
    }

    async fn set_role_grant_policy(
        &self,
        request: Request<wire::SetRoleGrantPolicyRequest>,
    ) -> Result<Response<wire::SetRoleGrantPolicyResponse>, Status> {
        let write = write("SetRoleGrantPolicy", &request, &request.get_ref().effect_key)?;
        let request = request.get_ref();
        let account = id("accountId", &request.account_id)?;
        let actor = or_installation("actorPrincipalId", &request.actor_principal_id)?;
        let policy = policy(&request.role_grant_policy)?;
        answer(operations::set_role_grant_policy(&self.authz, &write, account, policy, actor).await)
    }

    async fn create_standing(
        &self,
        request: Request<wire::CreateStandingRequest>,
    ) -> Result<Response<wire::Standing>, Status> {
        let write = write("CreateStanding", &request, &request.get_ref().effect_key)?;
        let request = request.get_ref();
        let actor = or_installation("actorPrincipalId", &request.actor_principal_id)?;
        let new = new_standing(request, kind(request.kind)?)?;
        answer(operations::create_standing(&self.authz, &write, new, actor).await)
    }

    async fn activate_standing(
        &self,
        request: Request<wire::ActivateStandingRequest>,
    ) -> Result<Response<wire::Standing>, Status> {
        let request = request.get_ref();
        let account = id("accountId", &request.account_id)?;
        let principal = id("principalId", &request.principal_id)?;
        let standing = operations::activate_standing(&self.authz, account, principal).await?;
        Ok(Response::new(message::standing(&standing)))
    }

    async fn prepare_change(
        &self,
        request: Request<wire::PrepareChangeRequest>,
    ) -> Result<Response<wire::Standing>, Status> {
        let write = write("PrepareChange", &request, &request.get_ref().effect_key)?;
        let request = request.get_ref();
        let command = PrepareChange {
            account: id("accountId", &request.account_id)?,
            principal: id("principalId", &request.principal_id)?,
            actor: or_installation("actorPrincipalId", &request.actor_principal_id)?,
            change: change(request)?,
        };
        answer(operations::prepare_change(&self.authz, &write, command).await)
    }

    async fn commit_change(
        &self,
        request: Request<wire::CommitChangeRequest>,
    ) -> Result<Response<wire::Standing>, Status> {
        let write = write("CommitChange", &request, &request.get_ref().effect_key)?;
        answer(operations::commit_change(&self.authz, &write).await)
    }

    async fn check(
        &self,
        request: Request<wire::CheckRequest>,
    ) -> Result<Response<wire::CheckResponse>, Status> {
        let request = request.get_ref();
        let account = id("accountId", &request.account_id)?;
        let principal = id("principalId", &request.principal_id)?;
        let any_of = roles("anyOf", request.any_of)?;
        let judged = operations::check(&self.authz, account, principal, any_of).await?;
        Ok(Response::new(convert::judged(judged, any_of)))
    }

    async fn batch_check(
        &self,
        request: Request<wire::BatchCheckRequest>,
    ) -> Result<Response<wire::BatchCheckResponse>, Status> {
        let request = request.get_ref();
        let account = id("accountId", &request.account_id)?;
        let any_of = roles("anyOf", request.any_of)?;
        let asked = principals(&request.principal_ids)?;
        let judged = operations::batch_check(&self.authz, account, &asked, any_of).await?;
        let results = judged.into_iter().map(|j| convert::judged(j, any_of)).collect();
        Ok(Response::new(wire::BatchCheckResponse { results }))
    }

    async fn list_holders(
        &self,
        request: Request<wire::ListHoldersRequest>,
    ) -> Result<Response<wire::ListHoldersResponse>, Status> {
        let request = request.get_ref();
        let account = id("accountId", &request.account_id)?;
        let role = one_role("role", request.role)?;
        let page = holders_page(request)?;
        let (holders, next_page_token) = operations::list_holders(&self.authz, account, role, &page).await?;
        let standings = holders.iter().map(message::standing).collect();
        Ok(Response::new(wire::ListHoldersResponse { standings, next_page_token }))
    }
}

/// A write as it was called: its fingerprint is over the whole decoded message.
fn write<T: Message>(rpc: &'static str, request: &Request<T>, key: &str) -> Result<Write> {
    Ok(Write {
        rpc,
        effect_key: effect_key(key)?,
        fingerprint: claims::fingerprint(rpc, &request.get_ref().encode_to_vec()),
        deadline: deadline(PATIENCE),
    })
}

fn answer<T: Message + Default>(outcome: Outcome) -> Reply<T> {
    beem_runtime::answered(outcome.result, outcome.replayed)
}
