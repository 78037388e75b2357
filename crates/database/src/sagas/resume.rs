//! The task that goes on with sagas whose runner is gone: of this process at once, of another when its lease has lapsed.

use super::rows;
use super::{Sagas, is_lost};
use beem_fault::Result;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Resumed runs at the same time.
const AT_ONCE: usize = 16;
/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);

impl Sagas {
    /// Resumes until cancelled: looks at the start, every second, and when a caller went away. Run one per process,
    /// supervised. Cancelled, it gives its runs back for others to take up at once.
    pub async fn resume(&self, cancel: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut runs = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                _ = ticks.tick() => {}
                () = self.db.inner.registry.something_abandoned() => {}
                Some(()) = runs.next() => continue,
            }
            let room = AT_ONCE.saturating_sub(runs.len());
            match self.take(room).await {
                Ok(taken) => runs.extend(taken.into_iter().map(|claimed| self.go_on(claimed))),
                Err(fault) => tracing::warn!(?fault, "could not look for sagas to resume"),
            }
        }
        drop(runs);
        if let Err(fault) = self.give_back().await {
            tracing::debug!(?fault, "leases lapse by themselves");
        }
    }

    /// Claims to go on with, and makes them ours.
    async fn take(&self, room: usize) -> Result<Vec<rows::Claimed>> {
        self.give_back().await?;
        if room == 0 || self.kinds.is_empty() {
            return Ok(Vec::new());
        }
        let rpcs: &Vec<&str> = &self.kinds.keys().copied().collect();
        let max = i64::try_from(room).unwrap_or(1);
        self.db.write(|tx| Box::pin(rows::take_lapsed(tx, rpcs, max, self.db.inner.process))).await
    }

    /// What callers of this process dropped is free for anyone.
    async fn give_back(&self) -> Result<()> {
        for saga in self.db.inner.registry.take_abandoned() {
            self.db.write(|tx| Box::pin(rows::give_back(tx, saga, self.db.inner.process))).await?;
        }
        Ok(())
    }

    async fn go_on(&self, claimed: rows::Claimed) {
        let (rpc, saga, attempt) = (claimed.rpc.clone(), claimed.saga_id, claimed.fence);
        tracing::info!(rpc, %saga, attempt, "resuming a saga");
        match self.execute(claimed).await {
            Ok(_) => tracing::info!(rpc, %saga, "a resumed saga has ended"),
            Err(fault) if fault.is_refusal() => {
                tracing::info!(rpc, %saga, %fault, "a resumed saga was refused")
            }
            Err(fault) if is_lost(&fault) => tracing::info!(rpc, %saga, "another process has this saga"),
            // Logged where it was given back.
            Err(_) => {}
        }
    }
}
