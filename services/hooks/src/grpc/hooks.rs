//! Hooks, and what was sent to them.

use super::{Grpc, answered, convert};
use beem_proto::hooks::v1 as wire;
use beem_runtime::{Reply, reply};
use tonic::{Request, Response};

#[tonic::async_trait]
impl wire::hooks_server::Hooks for Grpc {
    async fn list_hooks(&self, request: Request<wire::ListHooksRequest>) -> Reply<wire::ListHooksResponse> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.list_hooks(actor, request.get_ref())).await
    }

    async fn create_hook(&self, request: Request<wire::CreateHookRequest>) -> Reply<wire::Hook> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        answered(self.0.create_hook(actor, request.get_ref()).await)
    }

    async fn get_hook(&self, request: Request<wire::GetHookRequest>) -> Reply<wire::Hook> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.get_hook(actor, request.get_ref())).await
    }

    async fn update_hook(&self, mut request: Request<wire::UpdateHookRequest>) -> Reply<wire::Hook> {
        convert::sort_mask(&mut request.get_mut().present);
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        answered(self.0.update_hook(actor, request.get_ref()).await)
    }

    async fn delete_hook(&self, request: Request<wire::DeleteHookRequest>) -> Reply<wire::Hook> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        answered(self.0.delete_hook(actor, request.get_ref()).await)
    }

    async fn rotate_hook_key(&self, request: Request<wire::RotateHookKeyRequest>) -> Reply<wire::Hook> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        answered(self.0.rotate_hook_key(actor, request.get_ref()).await)
    }

    async fn test_hook(&self, request: Request<wire::TestHookRequest>) -> Reply<wire::Delivery> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        answered(self.0.test_hook(actor, request.get_ref()).await)
    }

    async fn replay_hook(
        &self,
        request: Request<wire::ReplayHookRequest>,
    ) -> Reply<wire::ReplayHookResponse> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        answered(self.0.replay_hook(actor, request.get_ref()).await)
    }

    async fn list_deliveries(
        &self,
        request: Request<wire::ListDeliveriesRequest>,
    ) -> Reply<wire::ListDeliveriesResponse> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.list_deliveries(actor, request.get_ref())).await
    }

    async fn get_delivery(&self, request: Request<wire::GetDeliveryRequest>) -> Reply<wire::Delivery> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.get_delivery(actor, request.get_ref())).await
    }

    async fn list_attempts(
        &self,
        request: Request<wire::ListAttemptsRequest>,
    ) -> Reply<wire::ListAttemptsResponse> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.list_attempts(actor, request.get_ref())).await
    }

    async fn replay_delivery(&self, request: Request<wire::ReplayDeliveryRequest>) -> Reply<wire::Delivery> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        answered(self.0.replay_delivery(actor, request.get_ref()).await)
    }

    async fn list_event_types(
        &self,
        _request: Request<wire::ListEventTypesRequest>,
    ) -> Reply<wire::ListEventTypesResponse> {
        Ok(Response::new(self.0.list_event_types()))
    }
}
