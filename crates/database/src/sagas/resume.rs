//! The task that goes on with sagas whose runner is gone: of this process at once, of another when its lease has lapsed.
//! Every run is a task of its own: one that waits for nothing but to be polled, inside a write transaction perhaps, must
//! not stand still while this loop waits for something else.

use super::rows::{self, Claimed};
use super::{Running, Sagas, is_lost};
use crate::Tx;
use crate::claims::Registry;
use beem_fault::Result;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

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
        let mut runs = JoinSet::new();
        let mut more = false;
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                _ = ticks.tick() => {}
                () = self.db.inner.registry.something_abandoned() => {}
                Some(_) = runs.join_next() => if !more { continue },
            }
            let room = AT_ONCE.saturating_sub(runs.len());
            match self.take(room).await {
                Ok(taken) => {
                    more = taken.len() == room;
                    for claimed in taken {
                        // Ours from here on, even if the task never begins.
                        let running = Running::start(&self.db, &claimed);
                        runs.spawn(self.clone().go_on(claimed, running));
                    }
                }
                Err(fault) => tracing::warn!(?fault, "could not look for sagas to resume"),
            }
        }
        runs.shutdown().await;
        if let Err(fault) = self.give_back().await {
            tracing::debug!(?fault, "leases lapse by themselves");
        }
    }

    /// Claims to go on with, and makes them ours.
    async fn take(&self, room: usize) -> Result<Vec<Claimed>> {
        self.give_back().await?;
        if room == 0 || self.kinds.is_empty() {
            return Ok(Vec::new());
        }
        self.db.write(|tx| Box::pin(self.take_lapsed(tx, room))).await
    }

    /// The oldest first. Those that have not begun, and whose kind waits for its turn, are forgotten.
    async fn take_lapsed(&self, tx: &Tx<'_>, room: usize) -> Result<Vec<Claimed>> {
        let (registry, process): (&Registry, Uuid) = (&self.db.inner.registry, self.db.inner.process);
        let rpcs: Vec<&str> = self.kinds.keys().copied().collect();
        // A run of this process that could not renew its lease for a while is not gone.
        let look_at = room.saturating_add(registry.running());
        let lapsed = rows::lapsed(tx, &rpcs, i64::try_from(look_at).unwrap_or(i64::MAX)).await?;
        let mut taken = Vec::new();
        for rows::Lapsed { claimed, begun } in lapsed {
            if registry.is_running(claimed.saga_id) {
                continue;
            }
            let waits = self.kinds.get(claimed.rpc.as_str()).is_some_and(|kind| kind.waits());
            if waits && !begun {
                rows::forget(tx, claimed.saga_id).await?;
            } else if taken.len() < room {
                taken.push(rows::take_over(tx, claimed, process).await?);
            }
        }
        Ok(taken)
    }

    /// What callers of this process dropped is free for anyone.
    async fn give_back(&self) -> Result<()> {
        let registry = &self.db.inner.registry;
        let mut abandoned = registry.take_abandoned().into_iter();
        while let Some(saga) = abandoned.next() {
            let given = self.db.write(|tx| Box::pin(rows::give_back(tx, saga, self.db.inner.process))).await;
            if let Err(fault) = given {
                registry.put_back(std::iter::once(saga).chain(abandoned));
                return Err(fault);
            }
        }
        Ok(())
    }

    async fn go_on(self, claimed: Claimed, running: Running) {
        let (rpc, saga, attempt) = (claimed.rpc.clone(), claimed.saga_id, claimed.fence);
        tracing::info!(rpc, %saga, attempt, "resuming a saga");
        match self.execute(claimed, running).await {
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
