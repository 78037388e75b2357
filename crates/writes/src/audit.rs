//! The task that hands a service's audit rows on to authz, where the trail is kept.

use beem_events::Feed;
use beem_events::audit::{self, Trail};
use beem_fault::{Fault, Result};
use beem_link::Link;
use beem_proto::authz::v1::audit_client::AuditClient;
use beem_proto::authz::v1::{AuditRow, PushAuditRowsRequest};
use beem_runtime::{Task, task};
use futures::future::BoxFuture;
use std::sync::Arc;

struct Authz(Link);

impl Trail for Authz {
    fn push(&self, rows: Vec<AuditRow>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut authz = AuditClient::new(self.0.clone());
            authz.push_audit_rows(PushAuditRowsRequest { rows }).await.map_err(Fault::from).map(drop)
        })
    }
}

/// Pushes the audit rows of the feed's database to authz, over a link with the service's own identity.
#[must_use]
pub fn audit_task(name: &'static str, feed: &Feed, authz: Link) -> Task {
    let (feed, authz) = (feed.clone(), Arc::new(Authz(authz)));
    task(name, move |cancel| {
        let (feed, authz) = (feed.clone(), Arc::clone(&authz));
        async move { audit::push(&feed, &*authz, cancel).await }
    })
}
