//! Rates, for other services.

use super::{Grpc, answered};
use beem_proto::ledger::v1 as wire;
use beem_runtime::{Reply, reply};
use std::future::ready;
use tonic::Request;

#[tonic::async_trait]
impl wire::rates_server::Rates for Grpc {
    async fn lock_rate(&self, request: Request<wire::LockRateRequest>) -> Reply<wire::RateLock> {
        answered(self.0.lock_rate(request.get_ref()).await)
    }

    async fn read_rate(&self, request: Request<wire::ReadRateRequest>) -> Reply<wire::ReadRateResponse> {
        reply(ready(self.0.read_rate(request.get_ref()))).await
    }
}
