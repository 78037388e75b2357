//! ListDeliveries: what was and will be sent to a hook, newest first unless asked otherwise, each with its last attempts.

use super::Operations;
use crate::grpc::{convert, deliveries};
use crate::store;
use crate::store::deliveries::Filter;
use beem_caller::Actor;
use beem_database::page::{Page, PageQuery};
use beem_fault::Result;
use beem_ids::DeliveryId;
use beem_proto::hooks::v1 as wire;

impl Operations {
    /// # Errors
    /// `not-found` for the hook; `validation-failed` naming `status`, `event` or the bounds of a page.
    pub async fn list_deliveries(
        &self,
        actor: &Actor,
        asked: &wire::ListDeliveriesRequest,
    ) -> Result<wire::ListDeliveriesResponse> {
        let (account, id) = (actor.account, convert::hook_id(&asked.id)?);
        let filter =
            Filter { status: deliveries::status(&asked.status)?, event: deliveries::event(&asked.event)? };
        let query = PageQuery {
            max: asked.max,
            page_token: &asked.page_token,
            offset: asked.offset,
            order: &asked.order,
        };
        let filtered = format!("{account} {id} {} {}", asked.status, asked.event);
        let page = &Page::parse(query, "ListDeliveries", filtered.as_bytes())?;
        // At one moment, so that a delivery and its attempts fit together.
        let read = self.0.db.read_consistently(|at| {
            Box::pin(async move {
                let hook = store::hooks::get(at, account, id).await?;
                let (listed, next) = store::deliveries::list(at, id, filter, page).await?;
                let ids: Vec<DeliveryId> = listed.iter().map(|delivery| delivery.id).collect();
                let attempts = store::deliveries::last_attempts(at, &ids).await?;
                Ok((hook, listed, attempts, next))
            })
        });
        let (hook, listed, attempts, next_page_token) = read.await?;
        let content = listed.iter().map(|delivery| {
            let attempts = attempts.get(&delivery.id).map_or(&[][..], Vec::as_slice);
            deliveries::delivery(delivery, attempts, hook.disabled.is_none())
        });
        Ok(wire::ListDeliveriesResponse { content: content.collect(), next_page_token })
    }
}
