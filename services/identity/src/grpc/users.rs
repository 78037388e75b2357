//! Users, as gRPC has them.

use super::{Grpc, convert};
use crate::operations::{CREATE_USER, DELETE_USER, RESEND_INVITATION, RESET_SECOND_FACTOR, UPDATE_USER};
use beem_proto::identity::v1 as wire;
use beem_runtime::{Reply, reply};
use tonic::Request;

#[tonic::async_trait]
impl wire::users_server::Users for Grpc {
    async fn list_users(&self, request: Request<wire::ListUsersRequest>) -> Reply<wire::ListUsersResponse> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.list_users(actor, request.get_ref())).await
    }

    async fn create_user(&self, mut request: Request<wire::CreateUserRequest>) -> Reply<wire::User> {
        convert::sort_mask(&mut request.get_mut().present);
        self.write(CREATE_USER, request).await
    }

    async fn get_user(&self, request: Request<wire::GetUserRequest>) -> Reply<wire::User> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.get_user(actor, request.get_ref())).await
    }

    async fn update_user(&self, mut request: Request<wire::UpdateUserRequest>) -> Reply<wire::User> {
        convert::sort_mask(&mut request.get_mut().present);
        self.write(UPDATE_USER, request).await
    }

    async fn delete_user(&self, request: Request<wire::DeleteUserRequest>) -> Reply<wire::User> {
        self.write(DELETE_USER, request).await
    }

    async fn resend_invitation(&self, request: Request<wire::ResendInvitationRequest>) -> Reply<wire::User> {
        self.write(RESEND_INVITATION, request).await
    }

    async fn reset_second_factor(
        &self,
        request: Request<wire::ResetSecondFactorRequest>,
    ) -> Reply<wire::User> {
        self.write(RESET_SECOND_FACTOR, request).await
    }
}
