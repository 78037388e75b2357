//! Rates, for other services.

use super::{Answer, Grpc, answered, refused};
use beem_proto::ledger::v1 as wire;
use tonic::{Request, Response};

#[tonic::async_trait]
impl wire::rates_server::Rates for Grpc {
    async fn lock_rate(&self, request: Request<wire::LockRateRequest>) -> Answer<wire::RateLock> {
        answered(self.0.lock_rate(request.get_ref()).await)
    }

    async fn read_rate(&self, request: Request<wire::ReadRateRequest>) -> Answer<wire::ReadRateResponse> {
        self.0.read_rate(request.get_ref()).map(Response::new).map_err(refused)
    }
}
