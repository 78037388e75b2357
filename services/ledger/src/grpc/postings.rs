//! Transfers and holds of other services.

use super::{Grpc, answered};
use beem_proto::ledger::v1 as wire;
use beem_proto::ledger::v1::postings_server::Postings;
use beem_runtime::{Reply, reply};
use tonic::Request;

#[tonic::async_trait]
impl Postings for Grpc {
    async fn post_batches(
        &self,
        request: Request<wire::PostBatchesRequest>,
    ) -> Reply<wire::PostBatchesResponse> {
        let caller = beem_runtime::caller(&request)?;
        reply(self.0.post_batches(&caller.service, request.get_ref())).await
    }

    async fn reserve(&self, request: Request<wire::ReserveRequest>) -> Reply<wire::Hold> {
        answered(self.0.reserve(request.get_ref()).await)
    }

    async fn post_hold(&self, request: Request<wire::PostHoldRequest>) -> Reply<wire::Hold> {
        answered(self.0.post_hold(request.get_ref()).await)
    }

    async fn void_hold(&self, request: Request<wire::VoidHoldRequest>) -> Reply<wire::Hold> {
        answered(self.0.void_hold(request.get_ref()).await)
    }

    async fn read_hold(&self, request: Request<wire::ReadHoldRequest>) -> Reply<wire::Hold> {
        reply(self.0.read_hold(request.get_ref())).await
    }

    async fn read_wallet(&self, request: Request<wire::ReadWalletRequest>) -> Reply<wire::Wallet> {
        reply(self.0.read_wallet(request.get_ref())).await
    }
}
