//! Hooks that were disabled or deleted: what is pending for them ends, a part at a time.

use super::Works;
use crate::store::outcomes;
use beem_fault::Result;
use beem_runtime::every;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Lanes of one look.
const LANES: u32 = 100;

/// Deliveries of one transaction.
const BATCH: u32 = 500;

/// Ends them until cancelled.
pub async fn run(works: Arc<Works>, cancel: CancellationToken) {
    let asked = &cancel.clone();
    let works = &works;
    every(LOOK, cancel, || async move { close(works, asked).await }).await;
}

/// A part of each in turn, so that one that has much pending, or cannot be ended, holds up no other. Several processes may do
/// so at once: each transaction ends what is still pending then.
async fn close(works: &Works, cancel: &CancellationToken) -> Result<()> {
    let mut closing = outcomes::closing(works.db.read(), LANES).await?;
    let mut failed = Ok(());
    while !closing.is_empty() {
        let mut left = Vec::new();
        for hook in closing {
            if cancel.is_cancelled() {
                return Ok(());
            }
            match works.db.write(|tx| Box::pin(outcomes::fail_pending(tx, hook, BATCH))).await {
                Ok(true) => {}
                Ok(false) => left.push(hook),
                Err(fault) => failed = Err(fault),
            }
        }
        closing = left;
    }
    failed
}
