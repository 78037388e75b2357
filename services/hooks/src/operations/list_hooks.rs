//! ListHooks: the account's hooks, newest first unless asked otherwise.

use super::Operations;
use crate::store;
use beem_caller::Actor;
use beem_database::page::{Page, PageQuery};
use beem_fault::Result;
use beem_proto::hooks::v1 as wire;

impl Operations {
    /// # Errors
    /// `validation-failed` for the bounds of a page.
    pub async fn list_hooks(
        &self,
        actor: &Actor,
        asked: &wire::ListHooksRequest,
    ) -> Result<wire::ListHooksResponse> {
        let query = PageQuery {
            max: asked.max,
            page_token: &asked.page_token,
            offset: asked.offset,
            order: &asked.order,
        };
        let page = Page::parse(query, "ListHooks", actor.account.0.as_bytes())?;
        let on = self.0.db.read();
        let (hooks, next_page_token) = store::hooks::list(on, actor.account, &page).await?;
        let content = self.answers(on, &hooks, self.0.clock.now()).await?;
        Ok(wire::ListHooksResponse { content, next_page_token })
    }
}
