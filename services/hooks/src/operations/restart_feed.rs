//! RestartFeed: a feed is taken in from its oldest event on. Nothing else ends a loss: that what lies between is gone is for
//! an operator to know. What is known is not taken in again.

use super::Operations;
use crate::grpc::convert;
use crate::store;
use beem_events::audit::{self, NewAuditRow};
use beem_fault::{Fault, Result};
use beem_proto::hooks::v1 as wire;
use serde_json::json;

impl Operations {
    /// # Errors
    /// `not-found` for a service whose feed is not taken in; `unavailable` when the database is away.
    pub async fn restart_feed(&self, asked: &wire::RestartFeedRequest) -> Result<wire::Feed> {
        let db = &self.0.db;
        let source = self.0.sources.iter().find(|source| **source == asked.source);
        let source = *source.ok_or_else(|| Fault::not_found("feed"))?;
        let before = store::feeds::get(db, source).await?;
        let row = &NewAuditRow {
            before: Some(json!({
                "epoch": before.cursor.epoch,
                "position": before.cursor.position,
                "lost": before.lost,
            })),
            ..NewAuditRow::by_installation("RestartFeed", "feed", source)
        };
        db.write(|tx| {
            Box::pin(async move {
                store::feeds::restart(tx, source).await?;
                audit::record(tx, row.clone()).await.map(drop)
            })
        })
        .await?;
        tracing::warn!(source, "a feed is taken in from its oldest event on, as an operator wants");
        Ok(convert::feed(source, &store::feeds::get(db, source).await?))
    }
}
