//! Currencies, wallets, and what moved in them.

use super::{Grpc, answered};
use beem_proto::google::api::HttpBody;
use beem_proto::ledger::v1 as wire;
use beem_runtime::{Reply, reply};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl wire::currencies_server::Currencies for Grpc {
    async fn list_currencies(
        &self,
        _request: Request<wire::ListCurrenciesRequest>,
    ) -> Reply<wire::ListCurrenciesResponse> {
        Ok(Response::new(self.0.list_currencies()))
    }
}

#[tonic::async_trait]
impl wire::wallets_server::Wallets for Grpc {
    type ExportTransactionsStream = BoxStream<'static, Result<HttpBody, Status>>;

    async fn list_wallets(
        &self,
        request: Request<wire::ListWalletsRequest>,
    ) -> Reply<wire::ListWalletsResponse> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.list_wallets(actor, request.get_ref())).await
    }

    async fn create_wallet(&self, request: Request<wire::CreateWalletRequest>) -> Reply<wire::Wallet> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        answered(self.0.create_wallet(actor, request.get_ref()).await)
    }

    async fn get_wallet(&self, request: Request<wire::GetWalletRequest>) -> Reply<wire::Wallet> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.get_wallet(actor, request.get_ref())).await
    }

    async fn list_balances(
        &self,
        request: Request<wire::ListBalancesRequest>,
    ) -> Reply<wire::ListBalancesResponse> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.list_balances(actor, request.get_ref())).await
    }

    async fn list_transactions(
        &self,
        request: Request<wire::ListTransactionsRequest>,
    ) -> Reply<wire::ListTransactionsResponse> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.list_transactions(actor, request.get_ref())).await
    }

    async fn export_transactions(
        &self,
        request: Request<wire::ExportTransactionsRequest>,
    ) -> Reply<Self::ExportTransactionsStream> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        let pieces = self.0.export_transactions(actor, request.get_ref()).await?;
        Ok(Response::new(pieces.map(|piece| piece.map_err(Status::from)).boxed()))
    }
}
