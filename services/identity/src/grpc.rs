//! The gRPC services: decode, call, encode. Only this module and `peers` see tonic.

pub mod convert;
mod people;
mod users;

use crate::operations::{
    CREATE_CLIENT, DELETE_CLIENT, Operations, ROTATE_CLIENT_KEY, UPDATE_ACCOUNT, UPDATE_CLIENT,
};
use beem_caller::metadata;
use beem_database::claims::Outcome;
use beem_fault::{Fault, Kind};
use beem_proto::identity::v1 as wire;
use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

/// All of identity's gRPC services.
#[derive(Clone)]
pub struct Grpc(pub Operations);

impl Grpc {
    /// A write of an actor under its request key.
    async fn write<Q: Message, A: Message + Default>(
        &self,
        rpc: &'static str,
        request: Request<Q>,
    ) -> Answer<A> {
        let caller = beem_runtime::caller(&request).map_err(refused)?;
        let actor = caller.actor().map_err(refused)?;
        let bytes = request.get_ref().encode_to_vec();
        answered(self.0.write(rpc, actor, &bytes).await)
    }
}

/// What a claim ended with, marked when it is an earlier answer.
fn answered<A: Message + Default>(outcome: Outcome) -> Answer<A> {
    let answer = outcome.result.and_then(|bytes| A::decode(bytes.as_slice()).map_err(Fault::internal));
    match answer {
        Ok(answer) => {
            let mut response = Response::new(answer);
            beem_runtime::mark_replayed(&mut response, outcome.replayed);
            Ok(response)
        }
        Err(fault) => {
            let mut status = refused(fault);
            if outcome.replayed {
                status.metadata_mut().insert(metadata::REPLAYED, MetadataValue::from_static("true"));
            }
            Err(status)
        }
    }
}

/// The one place where a fault leaves identity, and so where a failure is logged.
fn refused(fault: Fault) -> Status {
    match fault.kind() {
        Kind::Internal => tracing::error!(?fault, "a call failed"),
        Kind::Unavailable | Kind::Deadline => tracing::warn!(?fault, "a call could not be served now"),
        Kind::Invalid
        | Kind::Unauthenticated
        | Kind::Forbidden
        | Kind::NotFound
        | Kind::Method
        | Kind::Conflict
        | Kind::TooLarge
        | Kind::Edge
        | Kind::Rule
        | Kind::Limit => tracing::debug!(%fault, "a call was refused"),
    }
    fault.into()
}

#[tonic::async_trait]
impl wire::clients_server::Clients for Grpc {
    async fn list_clients(
        &self,
        request: Request<wire::ListClientsRequest>,
    ) -> Answer<wire::ListClientsResponse> {
        let caller = beem_runtime::caller(&request).map_err(refused)?;
        let actor = caller.actor().map_err(refused)?;
        self.0.list_clients(actor, request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn create_client(&self, mut request: Request<wire::CreateClientRequest>) -> Answer<wire::Client> {
        convert::sort_mask(&mut request.get_mut().present);
        self.write(CREATE_CLIENT, request).await
    }

    async fn get_client(&self, request: Request<wire::GetClientRequest>) -> Answer<wire::Client> {
        let caller = beem_runtime::caller(&request).map_err(refused)?;
        let actor = caller.actor().map_err(refused)?;
        self.0.get_client(actor, request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn update_client(&self, mut request: Request<wire::UpdateClientRequest>) -> Answer<wire::Client> {
        convert::sort_mask(&mut request.get_mut().present);
        self.write(UPDATE_CLIENT, request).await
    }

    async fn delete_client(&self, request: Request<wire::DeleteClientRequest>) -> Answer<wire::Client> {
        self.write(DELETE_CLIENT, request).await
    }

    async fn rotate_client_key(
        &self,
        request: Request<wire::RotateClientKeyRequest>,
    ) -> Answer<wire::Client> {
        self.write(ROTATE_CLIENT_KEY, request).await
    }
}

#[tonic::async_trait]
impl wire::accounts_server::Accounts for Grpc {
    async fn get_account(&self, request: Request<wire::GetAccountRequest>) -> Answer<wire::Account> {
        let caller = beem_runtime::caller(&request).map_err(refused)?;
        let actor = caller.actor().map_err(refused)?;
        self.0.get_account(actor).await.map(Response::new).map_err(refused)
    }

    async fn update_account(
        &self,
        mut request: Request<wire::UpdateAccountRequest>,
    ) -> Answer<wire::Account> {
        convert::sort_mask(&mut request.get_mut().present);
        self.write(UPDATE_ACCOUNT, request).await
    }
}

#[tonic::async_trait]
impl wire::profiles_server::Profiles for Grpc {
    async fn get_profile(&self, request: Request<wire::GetProfileRequest>) -> Answer<wire::Profile> {
        let caller = beem_runtime::caller(&request).map_err(refused)?;
        let actor = caller.actor().map_err(refused)?;
        self.0.get_profile(actor).await.map(Response::new).map_err(refused)
    }

    async fn update_profile(
        &self,
        mut request: Request<wire::UpdateProfileRequest>,
    ) -> Answer<wire::Profile> {
        convert::sort_mask(&mut request.get_mut().present);
        let caller = beem_runtime::caller(&request).map_err(refused)?;
        let actor = caller.actor().map_err(refused)?;
        answered(self.0.update_profile(actor, &request.get_ref().encode_to_vec()).await)
    }
}

#[tonic::async_trait]
impl wire::directory_server::Directory for Grpc {
    async fn get_client_credential(
        &self,
        request: Request<wire::GetClientCredentialRequest>,
    ) -> Answer<wire::Credential> {
        self.0.get_client_credential(request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn get_session(
        &self,
        request: Request<wire::GetSessionRequest>,
    ) -> Answer<wire::SessionCredential> {
        self.0.get_session(request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn report_use(&self, request: Request<wire::ReportUseRequest>) -> Answer<wire::ReportUseResponse> {
        self.0.report_use(request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn create_account(
        &self,
        request: Request<wire::CreateAccountRequest>,
    ) -> Answer<wire::CreateAccountResponse> {
        answered(self.0.create_account(request.get_ref()).await)
    }

    async fn invite_owner(
        &self,
        request: Request<wire::InviteOwnerRequest>,
    ) -> Answer<wire::InviteOwnerResponse> {
        self.0.invite_owner(request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn reseal_secrets(
        &self,
        request: Request<wire::ResealSecretsRequest>,
    ) -> Answer<wire::ResealSecretsResponse> {
        self.0.reseal_secrets(request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn list_accounts(
        &self,
        request: Request<wire::ListAccountsRequest>,
    ) -> Answer<wire::ListAccountsResponse> {
        self.0.list_accounts(request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn get_installation(&self, _: Request<wire::GetInstallationRequest>) -> Answer<wire::Installation> {
        let installation = self.0.installation();
        Ok(Response::new(wire::Installation {
            id: installation.id.to_string(),
            environment: installation.environment.to_string(),
        }))
    }
}
