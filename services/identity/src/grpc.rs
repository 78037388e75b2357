//! The gRPC services: decode, call, encode. Only this module and `peers` see tonic.

pub mod convert;
mod people;
mod users;

use crate::operations::{
    CREATE_CLIENT, DELETE_CLIENT, Operations, ROTATE_CLIENT_KEY, UPDATE_ACCOUNT, UPDATE_CLIENT,
};
use beem_database::claims::Outcome;
use beem_proto::identity::v1 as wire;
use beem_runtime::{Reply, reply};
use prost::Message;
use tonic::{Request, Response};

/// All of identity's gRPC services.
#[derive(Clone)]
pub struct Grpc(pub Operations);

impl Grpc {
    /// A write of an actor under its request key.
    async fn write<Q: Message, A: Message + Default>(
        &self,
        rpc: &'static str,
        request: Request<Q>,
    ) -> Reply<A> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        let bytes = request.get_ref().encode_to_vec();
        answered(self.0.write(rpc, actor, &bytes).await)
    }
}

/// What a claim or an effect ended with.
fn answered<A: Message + Default>(outcome: Outcome) -> Reply<A> {
    beem_runtime::answered(outcome.result, outcome.replayed)
}

#[tonic::async_trait]
impl wire::clients_server::Clients for Grpc {
    async fn list_clients(
        &self,
        request: Request<wire::ListClientsRequest>,
    ) -> Reply<wire::ListClientsResponse> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.list_clients(actor, request.get_ref())).await
    }

    async fn create_client(&self, mut request: Request<wire::CreateClientRequest>) -> Reply<wire::Client> {
        convert::sort_mask(&mut request.get_mut().present);
        self.write(CREATE_CLIENT, request).await
    }

    async fn get_client(&self, request: Request<wire::GetClientRequest>) -> Reply<wire::Client> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.get_client(actor, request.get_ref())).await
    }

    async fn update_client(&self, mut request: Request<wire::UpdateClientRequest>) -> Reply<wire::Client> {
        convert::sort_mask(&mut request.get_mut().present);
        self.write(UPDATE_CLIENT, request).await
    }

    async fn delete_client(&self, request: Request<wire::DeleteClientRequest>) -> Reply<wire::Client> {
        self.write(DELETE_CLIENT, request).await
    }

    async fn rotate_client_key(&self, request: Request<wire::RotateClientKeyRequest>) -> Reply<wire::Client> {
        self.write(ROTATE_CLIENT_KEY, request).await
    }
}

#[tonic::async_trait]
impl wire::accounts_server::Accounts for Grpc {
    async fn get_account(&self, request: Request<wire::GetAccountRequest>) -> Reply<wire::Account> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.get_account(actor)).await
    }

    async fn update_account(&self, mut request: Request<wire::UpdateAccountRequest>) -> Reply<wire::Account> {
        convert::sort_mask(&mut request.get_mut().present);
        self.write(UPDATE_ACCOUNT, request).await
    }
}

#[tonic::async_trait]
impl wire::profiles_server::Profiles for Grpc {
    async fn get_profile(&self, request: Request<wire::GetProfileRequest>) -> Reply<wire::Profile> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.get_profile(actor)).await
    }

    async fn update_profile(&self, mut request: Request<wire::UpdateProfileRequest>) -> Reply<wire::Profile> {
        convert::sort_mask(&mut request.get_mut().present);
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        answered(self.0.update_profile(actor, &request.get_ref().encode_to_vec()).await)
    }
}

#[tonic::async_trait]
impl wire::directory_server::Directory for Grpc {
    async fn get_client_credential(
        &self,
        request: Request<wire::GetClientCredentialRequest>,
    ) -> Reply<wire::Credential> {
        reply(self.0.get_client_credential(request.get_ref())).await
    }

    async fn get_session(&self, request: Request<wire::GetSessionRequest>) -> Reply<wire::SessionCredential> {
        reply(self.0.get_session(request.get_ref())).await
    }

    async fn report_use(&self, request: Request<wire::ReportUseRequest>) -> Reply<wire::ReportUseResponse> {
        reply(self.0.report_use(request.get_ref())).await
    }

    async fn create_account(
        &self,
        request: Request<wire::CreateAccountRequest>,
    ) -> Reply<wire::CreateAccountResponse> {
        answered(self.0.create_account(request.get_ref()).await)
    }

    async fn invite_owner(
        &self,
        request: Request<wire::InviteOwnerRequest>,
    ) -> Reply<wire::InviteOwnerResponse> {
        reply(self.0.invite_owner(request.get_ref())).await
    }

    async fn reseal_secrets(
        &self,
        request: Request<wire::ResealSecretsRequest>,
    ) -> Reply<wire::ResealSecretsResponse> {
        reply(self.0.reseal_secrets(request.get_ref())).await
    }

    async fn list_accounts(
        &self,
        request: Request<wire::ListAccountsRequest>,
    ) -> Reply<wire::ListAccountsResponse> {
        reply(self.0.list_accounts(request.get_ref())).await
    }

    async fn list_operators(
        &self,
        request: Request<wire::ListOperatorsRequest>,
    ) -> Reply<wire::ListOperatorsResponse> {
        reply(self.0.list_operators(request.get_ref())).await
    }

    async fn get_installation(&self, _: Request<wire::GetInstallationRequest>) -> Reply<wire::Installation> {
        let installation = self.0.installation();
        Ok(Response::new(wire::Installation {
            id: installation.id.to_string(),
            environment: installation.environment.to_string(),
        }))
    }
}
