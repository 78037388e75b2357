//! Money from chains and to them, as gRPC has it.

use super::{Answer, Grpc, answered, refused};
use beem_proto::ledger::v1 as wire;
use beem_proto::ledger::v1::settlements_server::Settlements;
use tonic::{Request, Response};

#[tonic::async_trait]
impl Settlements for Grpc {
    async fn settle_inbound(&self, request: Request<wire::SettleInboundRequest>) -> Answer<wire::Settlement> {
        answered(self.0.settle_inbound(request.get_ref()).await)
    }

    async fn release_inbound(
        &self,
        request: Request<wire::ReleaseInboundRequest>,
    ) -> Answer<wire::Settlement> {
        self.0.release_inbound(request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn read_settlement(
        &self,
        request: Request<wire::ReadSettlementRequest>,
    ) -> Answer<wire::Settlement> {
        self.0.read_settlement(request.get_ref()).await.map(Response::new).map_err(refused)
    }

    async fn reserve_outbound(
        &self,
        request: Request<wire::ReserveOutboundRequest>,
    ) -> Answer<wire::Outbound> {
        answered(self.0.reserve_outbound(request.get_ref()).await)
    }

    async fn post_outbound(&self, request: Request<wire::PostOutboundRequest>) -> Answer<wire::Outbound> {
        answered(self.0.post_outbound(request.get_ref()).await)
    }
}
