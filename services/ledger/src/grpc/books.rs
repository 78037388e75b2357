//! The books as operators see them.

use crate::heads::to_wire;
use crate::operations::Operations;
use crate::store::heads;
use crate::verify::LedgerVerifier;
use beem_fault::{Fault, Result};
use beem_proto::ledger::v1 as wire;
use beem_proto::ledger::v1::books_server;
use beem_runtime::{Reply, reply};
use tonic::Request;

/// Heads in one answer at most.
const MOST_HEADS: u32 = 500;

/// See the module.
pub struct Books {
    pub operations: Operations,
    pub verifier: LedgerVerifier,
}

#[tonic::async_trait]
impl books_server::Books for Books {
    async fn verify_ledger(
        &self,
        request: Request<wire::VerifyLedgerRequest>,
    ) -> Reply<wire::VerifyLedgerResponse> {
        reply(self.verifier.page(request.get_ref())).await
    }

    async fn list_ledger_heads(
        &self,
        request: Request<wire::ListLedgerHeadsRequest>,
    ) -> Reply<wire::ListLedgerHeadsResponse> {
        reply(self.heads(request.get_ref())).await
    }

    async fn list_suspended(
        &self,
        request: Request<wire::ListSuspendedRequest>,
    ) -> Reply<wire::ListSuspendedResponse> {
        reply(self.operations.list_suspended(request.get_ref())).await
    }
}

impl Books {
    async fn heads(&self, request: &wire::ListLedgerHeadsRequest) -> Result<wire::ListLedgerHeadsResponse> {
        let max = match request.max {
            0 => MOST_HEADS,
            1..=MOST_HEADS => request.max,
            _ => return Err(Fault::field("max", format!("at most {MOST_HEADS}"))),
        };
        let before = match request.page_token.as_str() {
            "" => i64::MAX,
            token => token.parse().map_err(|_| Fault::field("pageToken", "not a page token"))?,
        };
        let mut found = heads::before(self.operations.0.db.read(), before, max.saturating_add(1)).await?;
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let more = found.len() > max;
        found.truncate(max);
        let last = found.last().filter(|_| more);
        let next_page_token = last.map(|head| head.number.to_string()).unwrap_or_default();
        Ok(wire::ListLedgerHeadsResponse { heads: found.iter().map(to_wire).collect(), next_page_token })
    }
}
