//! GetWallet: one wallet of the account with its balance.

use super::Operations;
use crate::grpc::convert;
use crate::store;
use beem_caller::Actor;
use beem_fault::Result;
use beem_proto::ledger::v1 as wire;

impl Operations {
    /// # Errors
    /// `not-found`, another account's wallet too.
    pub async fn get_wallet(&self, actor: &Actor, asked: &wire::GetWalletRequest) -> Result<wire::Wallet> {
        let id = convert::wallet_id(&asked.id)?;
        let (wallet, balance) = store::accounts::wallet(self.0.db.read(), actor.account, id).await?;
        let currency = self.0.stored_currency(wallet.currency)?;
        Ok(convert::wallet(currency, &wallet, &balance))
    }
}
