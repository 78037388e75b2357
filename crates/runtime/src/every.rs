//! The loop of a background task that looks for something to do at regular times.

use beem_fault::Fault;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Does it at once and after every pause until cancelled; a failure is told once until it goes well again.
pub async fn every<F>(pause: Duration, cancel: CancellationToken, work: impl Fn() -> F)
where
    F: Future<Output = Result<(), Fault>>,
{
    let mut failing = false;
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match work().await {
            Ok(()) => failing = false,
            Err(fault) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(?fault, "a round of a background task failed, trying on");
                }
            }
        }
    }
}
