//! Transfers and holds of other services.

use super::{Answer, Grpc, answered, refused};
use beem_proto::ledger::v1 as wire;
use beem_proto::ledger::v1::postings_server::Postings;
use tonic::{Request, Response};

#[tonic::async_trait]
impl Postings for Grpc {
    async fn post_batches(
        &self,
        request: Request<wire::PostBatchesRequest>,
    ) -> Answer<wire::PostBatchesResponse> {
        let caller = beem_runtime::caller(&request).map_err(refused)?;
        self.0.post_batches(&caller.service, request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn reserve(&self, request: Request<wire::ReserveRequest>) -> Answer<wire::Hold> {
        answered(self.0.reserve(request.get_ref()).await)
    }

    async fn post_hold(&self, request: Request<wire::PostHoldRequest>) -> Answer<wire::Hold> {
        answered(self.0.post_hold(request.get_ref()).await)
    }

    async fn void_hold(&self, request: Request<wire::VoidHoldRequest>) -> Answer<wire::Hold> {
        answered(self.0.void_hold(request.get_ref()).await)
    }

    async fn read_hold(&self, request: Request<wire::ReadHoldRequest>) -> Answer<wire::Hold> {
        self.0.read_hold(request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn read_wallet(&self, request: Request<wire::ReadWalletRequest>) -> Answer<wire::Wallet> {
        self.0.read_wallet(request.get_ref()).await.map(Response::new).map_err(refused)
    }
}
