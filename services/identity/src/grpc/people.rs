//! How people come in, and their own sessions, as gRPC has them.

use super::{Grpc, answered};
use crate::operations::{CHANGE_PASSWORD, RENEW_SECOND_FACTOR};
use beem_caller::Visitor;
use beem_proto::identity::v1 as wire;
use beem_runtime::{Reply, reply};
use prost::Message as _;
use tonic::{Request, Status};

/// Who calls a public method.
fn visitor<T>(request: &Request<T>) -> Result<Visitor, Status> {
    let caller = beem_runtime::caller(request)?;
    caller.visitor().cloned().map_err(Status::from)
}

#[tonic::async_trait]
impl wire::sign_ins_server::SignIns for Grpc {
    async fn activate(&self, request: Request<wire::ActivateRequest>) -> Reply<wire::ActivateResponse> {
        reply(self.0.activate(request.get_ref())).await
    }

    async fn confirm_activation(
        &self,
        request: Request<wire::ConfirmActivationRequest>,
    ) -> Reply<wire::ConfirmActivationResponse> {
        let visitor = visitor(&request)?;
        reply(self.0.confirm_activation(&visitor, request.get_ref())).await
    }

    async fn sign_in(&self, request: Request<wire::SignInRequest>) -> Reply<wire::SignInResponse> {
        let visitor = visitor(&request)?;
        reply(self.0.sign_in(&visitor, request.get_ref())).await
    }

    async fn pass_second_factor(
        &self,
        request: Request<wire::PassSecondFactorRequest>,
    ) -> Reply<wire::PassSecondFactorResponse> {
        let visitor = visitor(&request)?;
        reply(self.0.pass_second_factor(&visitor, request.get_ref())).await
    }

    async fn request_password_reset(
        &self,
        request: Request<wire::RequestPasswordResetRequest>,
    ) -> Reply<wire::RequestPasswordResetResponse> {
        let visitor = visitor(&request)?;
        reply(self.0.request_password_reset(&visitor, request.get_ref())).await
    }

    async fn confirm_password_reset(
        &self,
        request: Request<wire::ConfirmPasswordResetRequest>,
    ) -> Reply<wire::ConfirmPasswordResetResponse> {
        let visitor = visitor(&request)?;
        reply(self.0.confirm_password_reset(&visitor, request.get_ref())).await
    }
}

#[tonic::async_trait]
impl wire::sessions_server::Sessions for Grpc {
    async fn list_sessions(
        &self,
        request: Request<wire::ListSessionsRequest>,
    ) -> Reply<wire::ListSessionsResponse> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.list_sessions(actor, request.get_ref())).await
    }

    async fn end_current_session(
        &self,
        request: Request<wire::EndCurrentSessionRequest>,
    ) -> Reply<wire::Session> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        answered(self.0.end_current_session(actor, &request.get_ref().encode_to_vec()).await)
    }

    async fn end_session(&self, request: Request<wire::EndSessionRequest>) -> Reply<wire::Session> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        answered(self.0.end_session(actor, &request.get_ref().encode_to_vec()).await)
    }

    async fn change_password(
        &self,
        request: Request<wire::ChangePasswordRequest>,
    ) -> Reply<wire::ChangePasswordResponse> {
        self.write(CHANGE_PASSWORD, request).await
    }

    async fn renew_second_factor(
        &self,
        request: Request<wire::RenewSecondFactorRequest>,
    ) -> Reply<wire::RenewSecondFactorResponse> {
        self.write(RENEW_SECOND_FACTOR, request).await
    }
}
