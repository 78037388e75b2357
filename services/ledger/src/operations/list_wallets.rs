//! ListWallets: the account's wallets with their balances, newest first unless asked otherwise.

use super::Operations;
use crate::grpc::convert;
use crate::store;
use beem_caller::Actor;
use beem_database::page::{Page, PageQuery};
use beem_fault::Result;
use beem_proto::ledger::v1 as wire;

impl Operations {
    /// # Errors
    /// `validation-failed` for the bounds of a page.
    pub async fn list_wallets(
        &self,
        actor: &Actor,
        asked: &wire::ListWalletsRequest,
    ) -> Result<wire::ListWalletsResponse> {
        let query = PageQuery {
            max: asked.max,
            page_token: &asked.page_token,
            offset: asked.offset,
            order: &asked.order,
        };
        let page = Page::parse(query, "ListWallets", actor.account.0.as_bytes())?;
        let (wallets, next_page_token) =
            store::accounts::wallets(self.0.db.read(), actor.account, &page).await?;
        let answer = |(wallet, balance): &(_, _)| answer(self, wallet, balance);
        let content = wallets.iter().map(answer).collect::<Result<_>>()?;
        Ok(wire::ListWalletsResponse { content, next_page_token })
    }
}

fn answer(
    operations: &Operations,
    wallet: &crate::domain::LedgerAccount,
    balance: &crate::domain::Balance,
) -> Result<wire::Wallet> {
    Ok(convert::wallet(operations.0.stored_currency(wallet.currency)?, wallet, balance))
}
