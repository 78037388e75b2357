//! TestHook: an event for this hook alone, which goes the way of every other one: kept, signed, sent, tried again.

use super::{Operations, sendable};
use crate::domain::{Delivery, Hook, Status, TEST_EVENT, body};
use crate::grpc::{convert, deliveries};
use crate::store;
use crate::store::intake::Incoming;
use beem_caller::Actor;
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_events::{Event, audit};
use beem_fault::{Fault, Result};
use beem_ids::{DeliveryId, EventId};
use beem_proto::hooks::v1 as wire;
use beem_writes::{Remember, Trail};
use prost::Message as _;
use serde_json::json;
use std::collections::BTreeMap;

const TEST_HOOK: &str = "beem.hooks.v1.Hooks/TestHook";

/// The envelope's source.
const SOURCE: &str = "hooks";

impl Operations {
    /// Refusals: `not-found`; `hook-disabled`; `rate-limited`.
    pub async fn test_hook(&self, actor: &Actor, asked: &wire::TestHookRequest) -> Outcome {
        let trail = Trail { actor, action: "TestHook", target_type: "hook" };
        let request = asked.encode_to_vec();
        let outcome = self
            .write(trail, (TEST_HOOK, Remember::Plain), &request, &asked.id, |tx| {
                Box::pin(self.make_test(tx, trail, asked))
            })
            .await;
        self.0.bell.ring();
        outcome
    }

    async fn make_test(
        &self,
        tx: &Tx<'_>,
        trail: Trail<'_>,
        asked: &wire::TestHookRequest,
    ) -> Result<Vec<u8>> {
        let id = convert::hook_id(&asked.id)?;
        // Before the lock that everybody needs.
        sendable(store::hooks::get(tx, trail.actor.account, id).await?)?;
        self.0.by_hand.count(id, tx.now()).await?;
        // First of all locks.
        let place = store::intake::advance(tx, 1).await?;
        let hook = sendable(store::hooks::lock(tx, trail.actor.account, id).await?)?;
        let event = self.test_event(tx, &hook, place.first).await?;
        let delivery = Delivery {
            id: DeliveryId::draw(tx.now(), tx.entropy()),
            hook: id,
            event_id: event.event_id,
            event: event.event.clone(),
            status: Status::Pending,
            attempts: 0,
            tries: 0,
            // At once, however the receiver has been doing: this is how to find out.
            next: Some(tx.now()),
            created: tx.now(),
        };
        let incoming = Incoming { body: body(&event)?, event: &event, area: 0 };
        store::intake::insert_events(tx, place, &[incoming]).await?;
        store::deliveries::insert(tx, &delivery).await?;
        store::lanes::due(tx, &BTreeMap::from([(id, tx.now())])).await?;
        let after = json!({ "deliveryId": delivery.id.to_string() });
        audit::record(tx, trail.row(&asked.id, "done", None, Some(after))).await?;
        Ok(deliveries::delivery(&delivery, &[], true).encode_to_vec())
    }

    /// The hook itself, as its GET answers it.
    async fn test_event(&self, tx: &Tx<'_>, hook: &Hook, position: i64) -> Result<Event> {
        let entity_id = format!("hook-test:{}", hook.id);
        let data = self.0.hook_json.of(&self.answer(tx, hook, tx.now()).await?).map_err(Fault::internal)?;
        Ok(Event {
            position: u64::try_from(position).map_err(Fault::internal)?,
            event_id: EventId::draw(tx.now(), tx.entropy()),
            account_id: hook.account,
            event: TEST_EVENT.to_owned(),
            source: SOURCE.to_owned(),
            sequence: store::events::next_sequence(tx, &entity_id).await?,
            entity_id,
            time: tx.now(),
            data: data.to_string(),
        })
    }
}
