//! How people come in, and their own sessions, as gRPC has them.

use super::{Answer, Grpc, answered, refused};
use crate::operations::{CHANGE_PASSWORD, RENEW_SECOND_FACTOR};
use beem_caller::Visitor;
use beem_proto::identity::v1 as wire;
use prost::Message as _;
use tonic::{Request, Response, Status};

/// Who calls a public method.
fn visitor<T>(request: &Request<T>) -> Result<Visitor, Status> {
    let caller = beem_runtime::caller(request).map_err(refused)?;
    caller.visitor().cloned().map_err(refused)
}

#[tonic::async_trait]
impl wire::sign_ins_server::SignIns for Grpc {
    async fn activate(&self, request: Request<wire::ActivateRequest>) -> Answer<wire::ActivateResponse> {
        self.0.activate(request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn confirm_activation(
        &self,
        request: Request<wire::ConfirmActivationRequest>,
    ) -> Answer<wire::ConfirmActivationResponse> {
        let visitor = visitor(&request)?;
        self.0.confirm_activation(&visitor, request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn sign_in(&self, request: Request<wire::SignInRequest>) -> Answer<wire::SignInResponse> {
        let visitor = visitor(&request)?;
        self.0.sign_in(&visitor, request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn pass_second_factor(
        &self,
        request: Request<wire::PassSecondFactorRequest>,
    ) -> Answer<wire::PassSecondFactorResponse> {
        let visitor = visitor(&request)?;
        self.0.pass_second_factor(&visitor, request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn request_password_reset(
        &self,
        request: Request<wire::RequestPasswordResetRequest>,
    ) -> Answer<wire::RequestPasswordResetResponse> {
        let visitor = visitor(&request)?;
        self.0.request_password_reset(&visitor, request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn confirm_password_reset(
        &self,
        request: Request<wire::ConfirmPasswordResetRequest>,
    ) -> Answer<wire::ConfirmPasswordResetResponse> {
        let visitor = visitor(&request)?;
        self.0.confirm_password_reset(&visitor, request.get_ref()).await.map(Response::new).map_err(refused)
    }
}

#[tonic::async_trait]
impl wire::sessions_server::Sessions for Grpc {
    async fn list_sessions(
        &self,
        request: Request<wire::ListSessionsRequest>,
    ) -> Answer<wire::ListSessionsResponse> {
        let caller = beem_runtime::caller(&request).map_err(refused)?;
        let actor = caller.actor().map_err(refused)?;
        self.0.list_sessions(actor, request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn end_current_session(
        &self,
        request: Request<wire::EndCurrentSessionRequest>,
    ) -> Answer<wire::Session> {
        let caller = beem_runtime::caller(&request).map_err(refused)?;
        let actor = caller.actor().map_err(refused)?;
        answered(self.0.end_current_session(actor, &request.get_ref().encode_to_vec()).await)
    }

    async fn end_session(&self, request: Request<wire::EndSessionRequest>) -> Answer<wire::Session> {
        let caller = beem_runtime::caller(&request).map_err(refused)?;
        let actor = caller.actor().map_err(refused)?;
        answered(self.0.end_session(actor, &request.get_ref().encode_to_vec()).await)
    }

    async fn change_password(
        &self,
        request: Request<wire::ChangePasswordRequest>,
    ) -> Answer<wire::ChangePasswordResponse> {
        self.write(CHANGE_PASSWORD, request).await
    }

    async fn renew_second_factor(
        &self,
        request: Request<wire::RenewSecondFactorRequest>,
    ) -> Answer<wire::RenewSecondFactorResponse> {
        self.write(RENEW_SECOND_FACTOR, request).await
    }
}
