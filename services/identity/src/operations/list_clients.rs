//! ListClients: the account's clients that are not deleted, newest first unless asked otherwise.

use super::{Operations, view};
use crate::store;
use beem_caller::Actor;
use beem_database::page::{Page, PageQuery};
use beem_fault::Result;
use beem_proto::identity::v1 as wire;

impl Operations {
    /// # Errors
    /// `validation-failed` for the bounds of a page; `unavailable` when authz is away.
    pub async fn list_clients(
        &self,
        actor: &Actor,
        asked: &wire::ListClientsRequest,
    ) -> Result<wire::ListClientsResponse> {
        let query = PageQuery {
            max: asked.max,
            page_token: &asked.page_token,
            offset: asked.offset,
            order: &asked.order,
        };
        let page = Page::parse(query, "ListClients", actor.account.0.as_bytes())?;
        let (clients, next_page_token) = store::clients::list(self.db.read(), actor.account, &page).await?;
        let now = self.db.clock().now();
        let content = view::answers(self.db.read(), &self.means.authz, actor.account, &clients, now).await?;
        Ok(wire::ListClientsResponse { content, next_page_token })
    }
}
