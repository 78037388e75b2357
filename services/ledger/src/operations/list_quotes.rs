//! ListQuotes: the account's quotes, newest first unless asked otherwise.

use super::Operations;
use crate::store;
use beem_caller::Actor;
use beem_database::page::{Page, PageQuery};
use beem_fault::Result;
use beem_proto::ledger::v1 as wire;

impl Operations {
    /// # Errors
    /// `validation-failed` for the bounds of a page.
    pub async fn list_quotes(
        &self,
        actor: &Actor,
        asked: &wire::ListQuotesRequest,
    ) -> Result<wire::ListQuotesResponse> {
        let query = PageQuery {
            max: asked.max,
            page_token: &asked.page_token,
            offset: asked.offset,
            order: &asked.order,
        };
        let page = Page::parse(query, "ListQuotes", actor.account.0.as_bytes())?;
        let (quotes, next_page_token) = store::quotes::list(self.0.db.read(), actor.account, &page).await?;
        let now = self.0.clock.now();
        let content = quotes.iter().map(|quote| self.0.quote(quote, now)).collect::<Result<_>>()?;
        Ok(wire::ListQuotesResponse { content, next_page_token })
    }
}
