//! Free money of a sandbox.

use super::{Grpc, answered};
use beem_proto::ledger::v1 as wire;
use beem_runtime::Reply;
use tonic::Request;

#[tonic::async_trait]
impl wire::credits_server::Credits for Grpc {
    async fn create_credit(&self, request: Request<wire::CreateCreditRequest>) -> Reply<wire::Transaction> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        answered(self.0.create_credit(actor, request.get_ref()).await)
    }
}
