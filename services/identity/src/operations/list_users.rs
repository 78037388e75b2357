//! ListUsers: the account's users that are not deleted, newest first unless asked otherwise.

use super::{Operations, user_view};
use crate::store;
use beem_caller::Actor;
use beem_database::page::{Page, PageQuery};
use beem_fault::Result;
use beem_proto::identity::v1 as wire;

impl Operations {
    /// # Errors
    /// `validation-failed` for the bounds of a page; `unavailable` when authz is away.
    pub async fn list_users(
        &self,
        actor: &Actor,
        asked: &wire::ListUsersRequest,
    ) -> Result<wire::ListUsersResponse> {
        let query = PageQuery {
            max: asked.max,
            page_token: &asked.page_token,
            offset: asked.offset,
            order: &asked.order,
        };
        let page = Page::parse(query, "ListUsers", actor.account.0.as_bytes())?;
        let (users, next_page_token) = store::users::list(self.db.read(), actor.account, &page).await?;
        let content = user_view::answers(&self.means.authz, actor.account, &users).await?;
        Ok(wire::ListUsersResponse { content, next_page_token })
    }
}
