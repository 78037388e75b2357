//! ListAttempts: every attempt of a delivery with what the receiver answered, newest first unless asked otherwise.

use super::Operations;
use crate::grpc::{convert, deliveries};
use crate::store;
use beem_caller::Actor;
use beem_database::page::{Page, PageQuery};
use beem_fault::Result;
use beem_proto::hooks::v1 as wire;

impl Operations {
    /// # Errors
    /// `not-found` for the hook or the delivery; `validation-failed` for the bounds of a page.
    pub async fn list_attempts(
        &self,
        actor: &Actor,
        asked: &wire::ListAttemptsRequest,
    ) -> Result<wire::ListAttemptsResponse> {
        let (account, id) = (actor.account, convert::hook_id(&asked.id)?);
        let delivery = deliveries::delivery_id(&asked.delivery_id)?;
        let query = PageQuery {
            max: asked.max,
            page_token: &asked.page_token,
            offset: asked.offset,
            order: &asked.order,
        };
        let page = Page::parse(query, "ListAttempts", format!("{account} {id} {delivery}").as_bytes())?;
        let on = self.0.db.read();
        store::hooks::get(on, account, id).await?;
        store::deliveries::get(on, id, delivery).await?;
        let (attempts, next_page_token) = store::deliveries::attempts(on, delivery, &page).await?;
        let content = attempts.iter().map(deliveries::attempt).collect();
        Ok(wire::ListAttemptsResponse { content, next_page_token })
    }
}
