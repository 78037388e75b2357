//! Money from chains and to them, as gRPC has it.

use super::{Grpc, answered};
use beem_proto::ledger::v1 as wire;
use beem_proto::ledger::v1::settlements_server::Settlements;
use beem_runtime::{Reply, reply};
use tonic::Request;

#[tonic::async_trait]
impl Settlements for Grpc {
    async fn settle_inbound(&self, request: Request<wire::SettleInboundRequest>) -> Reply<wire::Settlement> {
        answered(self.0.settle_inbound(request.get_ref()).await)
    }

    async fn release_inbound(
        &self,
        request: Request<wire::ReleaseInboundRequest>,
    ) -> Reply<wire::Settlement> {
        reply(self.0.release_inbound(request.get_ref())).await
    }

    async fn read_settlement(
        &self,
        request: Request<wire::ReadSettlementRequest>,
    ) -> Reply<wire::Settlement> {
        reply(self.0.read_settlement(request.get_ref())).await
    }

    async fn reserve_outbound(
        &self,
        request: Request<wire::ReserveOutboundRequest>,
    ) -> Reply<wire::Outbound> {
        answered(self.0.reserve_outbound(request.get_ref()).await)
    }

    async fn post_outbound(&self, request: Request<wire::PostOutboundRequest>) -> Reply<wire::Outbound> {
        answered(self.0.post_outbound(request.get_ref()).await)
    }
}
