//! ReadWallet.

use super::Operations;
use crate::grpc::convert;
use crate::store;
use beem_fault::Result;
use beem_proto::ledger::v1 as wire;

impl Operations {
    /// A wallet of the account with its balance.
    ///
    /// # Errors
    /// `not-found` when there is none, or it is another account's.
    pub async fn read_wallet(&self, asked: &wire::ReadWalletRequest) -> Result<wire::Wallet> {
        let owner = convert::id("accountId", &asked.account_id)?;
        let id = convert::wallet_id(&asked.wallet_id)?;
        let (wallet, balance) = store::accounts::wallet(self.0.db.read(), owner, id).await?;
        Ok(convert::wallet(self.0.stored_currency(wallet.currency)?, &wallet, &balance))
    }
}
