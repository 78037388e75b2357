//! What operators of the installation ask for.

use super::Grpc;
use beem_proto::hooks::v1 as wire;
use beem_runtime::{Reply, reply};
use tonic::Request;

#[tonic::async_trait]
impl wire::upkeep_server::Upkeep for Grpc {
    async fn reseal_secrets(
        &self,
        request: Request<wire::ResealSecretsRequest>,
    ) -> Reply<wire::ResealSecretsResponse> {
        reply(self.0.reseal_secrets(request.get_ref())).await
    }

    async fn list_feeds(&self, _request: Request<wire::ListFeedsRequest>) -> Reply<wire::ListFeedsResponse> {
        reply(self.0.list_feeds()).await
    }

    async fn restart_feed(&self, request: Request<wire::RestartFeedRequest>) -> Reply<wire::Feed> {
        reply(self.0.restart_feed(request.get_ref())).await
    }
}
