//! Offers to convert.

use super::{Grpc, answered};
use beem_proto::ledger::v1 as wire;
use beem_runtime::{Reply, reply};
use tonic::Request;

#[tonic::async_trait]
impl wire::quotes_server::Quotes for Grpc {
    async fn create_quote(&self, request: Request<wire::CreateQuoteRequest>) -> Reply<wire::Quote> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        answered(self.0.create_quote(actor, request.get_ref()).await)
    }

    async fn execute_quote(&self, request: Request<wire::ExecuteQuoteRequest>) -> Reply<wire::Quote> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        answered(self.0.execute_quote(actor, request.get_ref()).await)
    }

    async fn get_quote(&self, request: Request<wire::GetQuoteRequest>) -> Reply<wire::Quote> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.get_quote(actor, request.get_ref())).await
    }

    async fn list_quotes(
        &self,
        request: Request<wire::ListQuotesRequest>,
    ) -> Reply<wire::ListQuotesResponse> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.list_quotes(actor, request.get_ref())).await
    }
}
