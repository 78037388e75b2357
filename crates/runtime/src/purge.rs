//! Forgetting what is past its time, a bounded batch after the other.

use beem_fault::Result;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Rows forgotten in one transaction at most.
pub const PURGE_BATCH: u32 = 500;

/// The next round goes on with what one cannot do in this time.
const LONGEST_ROUND: Duration = Duration::from_secs(30);

/// Batch after batch until one is not full, so that whatever comes in a round goes in a round; `batch` forgets
/// [`PURGE_BATCH`] rows at most and says how many. A failure is told, and left to the next round.
pub async fn purge<F>(what: &str, cancel: &CancellationToken, mut batch: impl FnMut() -> F)
where
    F: Future<Output = Result<u64>>,
{
    let (began, mut rows) = (Instant::now(), 0_u64);
    loop {
        let gone = match batch().await {
            Ok(gone) => gone,
            Err(fault) => {
                tracing::warn!(what, ?fault, "could not forget what is past its time");
                break;
            }
        };
        rows = rows.saturating_add(gone);
        if gone < u64::from(PURGE_BATCH) || cancel.is_cancelled() || began.elapsed() >= LONGEST_ROUND {
            break;
        }
    }
    if rows > 0 {
        tracing::debug!(what, rows, "forgot what is past its time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_fault::Fault;
    use std::cell::{Cell, RefCell};

    /// What is left of `rows` after one round, and how many batches it took.
    async fn round(rows: u64, cancel: &CancellationToken, lasting: Duration) -> (u64, u64) {
        let (left, batches) = (Cell::new(rows), Cell::new(0));
        purge("rows", cancel, || {
            let gone = left.get().min(u64::from(PURGE_BATCH));
            left.set(left.get() - gone);
            batches.set(batches.get() + 1);
            async move {
                tokio::time::sleep(lasting).await;
                Ok(gone)
            }
        })
        .await;
        (left.get(), batches.get())
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_ends_with_a_batch_that_is_not_full() {
        let cancel = CancellationToken::new();
        assert_eq!(round(0, &cancel, Duration::ZERO).await, (0, 1));
        assert_eq!(round(499, &cancel, Duration::ZERO).await, (0, 1));
        assert_eq!(round(1_001, &cancel, Duration::ZERO).await, (0, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_ends_when_it_took_too_long_or_is_cancelled() {
        let cancel = CancellationToken::new();
        assert_eq!(round(5_000, &cancel, Duration::from_secs(10)).await, (3_500, 3));
        cancel.cancel();
        assert_eq!(round(5_000, &cancel, Duration::ZERO).await, (4_500, 1));
    }

    #[tokio::test]
    async fn a_failure_ends_the_round() {
        let batches = RefCell::new(vec![Err(Fault::unavailable("away")), Ok(500)]);
        let cancel = CancellationToken::new();
        purge("rows", &cancel, || std::future::ready(batches.borrow_mut().pop().unwrap())).await;
        assert!(batches.borrow().is_empty());
    }
}
