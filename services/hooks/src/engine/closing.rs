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

async fn close(works: &Works, cancel: &CancellationToken) -> Result<()> {
    for hook in outcomes::closing(works.db.read(), LANES).await? {
        // Several processes may do so at once: each transaction ends what is still pending then.
        while !cancel.is_cancelled()
            && !works.db.write(|tx| Box::pin(outcomes::fail_pending(tx, hook, BATCH))).await?
        {}
    }
    Ok(())
}
