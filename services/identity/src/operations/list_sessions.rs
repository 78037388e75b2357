//! ListSessions: the caller's own sessions that have not ended, newest first unless asked otherwise.

use super::Operations;
use crate::grpc::convert;
use crate::store::sessions;
use beem_caller::Actor;
use beem_database::page::{Page, PageQuery};
use beem_fault::Result;
use beem_proto::identity::v1 as wire;

impl Operations {
    /// # Errors
    /// `validation-failed` for the bounds of a page.
    pub async fn list_sessions(
        &self,
        actor: &Actor,
        asked: &wire::ListSessionsRequest,
    ) -> Result<wire::ListSessionsResponse> {
        let query = PageQuery {
            max: asked.max,
            page_token: &asked.page_token,
            offset: asked.offset,
            order: &asked.order,
        };
        let page = Page::parse(query, "ListSessions", actor.principal.0.as_bytes())?;
        let now = self.db.clock().now();
        let (found, next_page_token) =
            sessions::list(self.db.read(), actor.principal, &page, self.means.life, now).await?;
        let content = found.iter().map(|session| convert::session(session, actor.session)).collect();
        Ok(wire::ListSessionsResponse { content, next_page_token })
    }
}
