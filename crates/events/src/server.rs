//! The feed as a gRPC service.

use crate::{Event, Feed};
use beem_fault::Fault;
use beem_proto::events::v1 as wire;
use prost::Message as _;
use std::time::Duration;
use tonic::{Request, Response, Status};

/// Bytes of events in one answer, which must fit into what a client takes (4 MiB); one event always goes.
const ANSWER_BYTES: usize = 1024 * 1024;

/// Serves `beem.events.v1.Feed` from this database.
#[derive(Clone)]
pub struct FeedServer {
    feed: Feed,
}

impl FeedServer {
    #[must_use]
    pub const fn new(feed: Feed) -> Self {
        Self { feed }
    }

    /// As a tonic service.
    #[must_use]
    pub fn into_service(self) -> wire::feed_server::FeedServer<Self> {
        wire::feed_server::FeedServer::new(self)
    }
}

#[tonic::async_trait]
impl wire::feed_server::Feed for FeedServer {
    async fn subscribe(
        &self,
        request: Request<wire::SubscribeRequest>,
    ) -> Result<Response<wire::SubscribeResponse>, Status> {
        let asked = request.into_inner();
        if asked.wait_ms > 20_000 {
            return Err(Fault::field("waitMs", "at most 20000").into());
        }
        let wait = Duration::from_millis(asked.wait_ms.into());
        let slice = self.feed.read(&asked.epoch, asked.after, asked.max, wait).await?;
        let mut bytes = 0_usize;
        let fits = |event: &wire::Event| {
            let first = bytes == 0;
            bytes = bytes.saturating_add(event.encoded_len());
            first || bytes <= ANSWER_BYTES
        };
        let events = slice.events.into_iter().map(encode).take_while(fits).collect();
        Ok(Response::new(wire::SubscribeResponse { epoch: slice.epoch, events }))
    }
}

fn encode(event: Event) -> wire::Event {
    wire::Event {
        position: event.position,
        event_id: event.event_id.to_string(),
        account_id: event.account_id.to_string(),
        event: event.event,
        source: event.source,
        entity_id: event.entity_id,
        sequence: event.sequence,
        time: Some(beem_proto::to_timestamp(event.time.unix_ms())),
        data: event.data,
    }
}

/// The other direction, for those who follow.
impl TryFrom<wire::Event> for Event {
    type Error = Fault;

    fn try_from(event: wire::Event) -> Result<Self, Fault> {
        let time = event.time.ok_or_else(|| Fault::internal("an event without a time"))?;
        Ok(Self {
            position: event.position,
            event_id: event.event_id.parse().map_err(Fault::internal)?,
            account_id: event.account_id.parse().map_err(Fault::internal)?,
            event: event.event,
            source: event.source,
            entity_id: event.entity_id,
            sequence: event.sequence,
            time: beem_clock::Moment::from_unix_ms(beem_proto::from_timestamp(&time)),
            data: event.data,
        })
    }
}
