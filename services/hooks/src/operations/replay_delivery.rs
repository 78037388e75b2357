//! ReplayDelivery: a delivery begins anew, whatever became of it: the same event, byte for byte.

use super::get_delivery::delivery_answer;
use super::{Operations, sendable};
use crate::grpc::{convert, deliveries};
use crate::store;
use beem_caller::Actor;
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_events::audit;
use beem_fault::{Code, Fault, Result};
use beem_proto::hooks::v1 as wire;
use beem_writes::{Remember, Trail};
use prost::Message as _;
use serde_json::json;
use std::collections::BTreeMap;

const REPLAY_DELIVERY: &str = "beem.hooks.v1.Hooks/ReplayDelivery";

impl Operations {
    /// Refusals: `not-found` for the hook, the delivery, an event that is no longer kept or asked for; `hook-disabled`;
    /// `rate-limited`.
    pub async fn replay_delivery(&self, actor: &Actor, asked: &wire::ReplayDeliveryRequest) -> Outcome {
        let trail = Trail { actor, action: "ReplayDelivery", target_type: "delivery" };
        let request = asked.encode_to_vec();
        let outcome = self
            .write(trail, (REPLAY_DELIVERY, Remember::Plain), &request, &asked.delivery_id, |tx| {
                Box::pin(self.begin_anew(tx, trail, asked))
            })
            .await;
        self.0.bell.ring();
        outcome
    }

    async fn begin_anew(
        &self,
        tx: &Tx<'_>,
        trail: Trail<'_>,
        asked: &wire::ReplayDeliveryRequest,
    ) -> Result<Vec<u8>> {
        let id = convert::hook_id(&asked.id)?;
        let delivery = deliveries::delivery_id(&asked.delivery_id)?;
        let hook = store::hooks::lock(tx, trail.actor.account, id).await?;
        let before = store::deliveries::lock(tx, id, delivery).await?;
        let hook = sendable(hook)?;
        if !hook.codes.allow(&before.event) {
            return Err(Fault::new(Code::NotFound, "the hook no longer asks for this type of event"));
        }
        if !store::events::keep(tx, before.event_id).await? {
            return Err(Fault::new(Code::NotFound, "its event is no longer kept"));
        }
        self.0.by_hand.count(id, tx.now()).await?;
        let after = store::deliveries::begin_anew(tx, &before, tx.now()).await?;
        store::lanes::due(tx, &BTreeMap::from([(id, tx.now())])).await?;
        let status = |status: &str| Some(json!({ "hookId": asked.id, "status": status }));
        let (was, is) = (status(before.status.as_str()), status(after.status.as_str()));
        audit::record(tx, trail.row(&asked.delivery_id, "done", was, is)).await?;
        Ok(delivery_answer(tx, &hook, &after).await?.encode_to_vec())
    }
}
