//! ListAccounts: every account of the installation, oldest first, for its operators.

use super::Operations;
use crate::store;
use beem_database::page::{Page, PageQuery};
use beem_fault::Result;
use beem_proto::identity::v1 as wire;

/// When the request does not say.
const DEFAULT_MAX: u32 = 500;

impl Operations {
    /// # Errors
    /// `validation-failed` for the bounds of a page.
    pub async fn list_accounts(
        &self,
        asked: &wire::ListAccountsRequest,
    ) -> Result<wire::ListAccountsResponse> {
        let max = if asked.max == 0 { DEFAULT_MAX } else { asked.max };
        let query = PageQuery { max: Some(max), page_token: &asked.page_token, offset: None, order: "asc" };
        let page = Page::parse(query, "ListAccounts", b"")?;
        let (accounts, next_page_token) = store::accounts::list(self.db.read(), &page).await?;
        let accounts = accounts.iter().map(|account| wire::AccountSummary {
            id: account.id.to_string(),
            name: account.name.to_string(),
            owner_email: account.owner_email.as_str().to_owned(),
            date_created: Some(beem_proto::to_timestamp(account.created.unix_ms())),
        });
        Ok(wire::ListAccountsResponse { accounts: accounts.collect(), next_page_token })
    }
}
