//! An account's events, to pull.

use super::Grpc;
use beem_fault::{Fault, Result};
use beem_proto::hooks::v1 as wire;
use beem_proto::to_struct;
use beem_runtime::{Reply, reply};
use serde::Deserialize;
use serde_json::{Map, Value};
use tonic::Request;

#[tonic::async_trait]
impl wire::events_server::Events for Grpc {
    async fn list_events(
        &self,
        request: Request<wire::ListEventsRequest>,
    ) -> Reply<wire::ListEventsResponse> {
        let caller = beem_runtime::caller(&request)?;
        let actor = caller.actor()?;
        reply(self.0.list_events(actor, request.get_ref())).await
    }
}

/// A body as it is posted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    source: String,
    event: String,
    event_id: String,
    timestamp: String,
    account_id: String,
    sequence: u64,
    data: Map<String, Value>,
}

/// An event from the body that is posted for it.
///
/// # Errors
/// `internal` when it is no such body.
pub fn event(body: &str) -> Result<wire::Event> {
    let posted: Posted = serde_json::from_str(body).map_err(Fault::internal)?;
    Ok(wire::Event {
        timestamp: Some(posted.timestamp.parse().map_err(Fault::internal)?),
        source: posted.source,
        event: posted.event,
        event_id: posted.event_id,
        account_id: posted.account_id,
        sequence: posted.sequence,
        data: Some(to_struct(posted.data)),
    })
}
