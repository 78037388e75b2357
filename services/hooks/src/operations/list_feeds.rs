//! ListFeeds: the feeds that are taken in, and how far.

use super::Operations;
use crate::grpc::convert;
use crate::store;
use beem_fault::Result;
use beem_proto::hooks::v1 as wire;

impl Operations {
    /// # Errors
    /// `unavailable` when the database is away.
    pub async fn list_feeds(&self) -> Result<wire::ListFeedsResponse> {
        let mut feeds = Vec::with_capacity(self.0.sources.len());
        for source in &self.0.sources {
            let state = store::feeds::get(&self.0.db, source).await?;
            feeds.push(convert::feed(source, &state));
        }
        Ok(wire::ListFeedsResponse { feeds })
    }
}
