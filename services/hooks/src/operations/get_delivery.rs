//! GetDelivery, with its last attempts.

use super::Operations;
use crate::domain::{Delivery, Hook};
use crate::grpc::{convert, deliveries};
use crate::store;
use beem_caller::Actor;
use beem_database::Sql;
use beem_fault::Result;
use beem_proto::hooks::v1 as wire;

impl Operations {
    /// # Errors
    /// `not-found` for the hook or the delivery.
    pub async fn get_delivery(
        &self,
        actor: &Actor,
        asked: &wire::GetDeliveryRequest,
    ) -> Result<wire::Delivery> {
        let (account, id) = (actor.account, convert::hook_id(&asked.id)?);
        let delivery = deliveries::delivery_id(&asked.delivery_id)?;
        // At one moment, so that the delivery and its attempts fit together.
        let read = self.0.db.read_consistently(|at| {
            Box::pin(async move {
                let hook = store::hooks::get(at, account, id).await?;
                let delivery = store::deliveries::get(at, id, delivery).await?;
                delivery_answer(at, &hook, &delivery).await
            })
        });
        read.await
    }
}

/// A delivery of the hook as GetDelivery answers it.
///
/// # Errors
/// As the database says.
pub async fn delivery_answer(on: &impl Sql, hook: &Hook, delivery: &Delivery) -> Result<wire::Delivery> {
    let attempts = store::deliveries::last_attempts(on, &[delivery.id]).await?;
    let attempts = attempts.get(&delivery.id).map_or(&[][..], Vec::as_slice);
    Ok(deliveries::delivery(delivery, attempts, hook.disabled.is_none()))
}
