//! An account's events, to pull.

use super::{Grpc, convert};
use crate::domain::read_body;
use beem_fault::Result;
use beem_proto::hooks::v1 as wire;
use beem_proto::to_struct;
use beem_runtime::{Reply, reply};
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

/// An event from the body that is posted for it.
///
/// # Errors
/// `internal` when it is no such body.
pub fn event(body: &str) -> Result<wire::Event> {
    let posted = read_body(body)?;
    Ok(wire::Event {
        timestamp: Some(convert::timestamp(posted.time()?)),
        source: posted.source,
        event: posted.event,
        event_id: posted.event_id,
        account_id: posted.account_id,
        sequence: posted.sequence,
        data: Some(to_struct(posted.data)),
    })
}
