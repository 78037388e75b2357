//! Another service's feed, over the link to it.

use crate::{Batch, Cursor, Event, Source};
use beem_fault::{Code, Fault, Result};
use beem_link::Link;
use beem_proto::events::v1::SubscribeRequest;
use beem_proto::events::v1::feed_client::FeedClient;
use futures::future::BoxFuture;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Request;

/// What a call has beyond the wait it asks for: the wait's end must be the peer's to say, not the deadline's.
const BEYOND_WAIT: Duration = Duration::from_secs(5);

/// The feed of a service, as a [`Source`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PeerFeed {
    link: Link,
}

impl PeerFeed {
    #[must_use]
    pub const fn new(link: Link) -> Self {
        Self { link }
    }

    async fn subscribe(&self, cursor: &Cursor, max: u32, wait: Duration) -> Result<Batch> {
        let mut request = Request::new(SubscribeRequest {
            epoch: cursor.epoch.clone(),
            after: cursor.position,
            max,
            wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
        });
        request.set_timeout(wait.saturating_add(BEYOND_WAIT));
        let began = Instant::now();
        match FeedClient::new(self.link.clone()).subscribe(request).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                let events = answer.events.into_iter().map(Event::try_from).collect::<Result<_>>()?;
                Ok(Batch { epoch: answer.epoch, events })
            }
            Err(status) => match Fault::from(status) {
                // It has waited as long as it was to, and nothing came.
                late if late.code == Code::Deadline && !wait.is_zero() && began.elapsed() >= wait => {
                    Ok(Batch { epoch: cursor.epoch.clone(), events: Vec::new() })
                }
                fault => Err(fault),
            },
        }
    }
}

impl Source for PeerFeed {
    fn read<'a>(&'a self, cursor: &'a Cursor, max: u32, wait: Duration) -> BoxFuture<'a, Result<Batch>> {
        Box::pin(self.subscribe(cursor, max, wait))
    }
}
