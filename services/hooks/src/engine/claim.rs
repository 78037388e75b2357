//! Claiming lanes: whoever finds one that is due and nobody's works on it alone until it leaves it or dies.

use super::lane::Worker;
use super::leases::{LEASE_MS, Lease, Term};
use super::{LOOK, Works};
use crate::store::leases as table;
use beem_database::Backend;
use beem_fault::Result;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// Lanes in one claim.
const LARGEST_CLAIM: u32 = 100;

/// The pause after a look that failed.
const TRIED_AGAIN: Duration = Duration::from_secs(1);

/// Claims lanes and has them worked on until cancelled; then waits until their workers have left them.
pub async fn run(works: Arc<Works>, cancel: CancellationToken) {
    let _at_work = works.at_work.lock().await;
    // Those of an engine that went before: dropped with this, they end where they are.
    let mut workers = JoinSet::new();
    let mut bell = works.bell.listen();
    let (mut cleared, mut failing, mut look_at) =
        (works.db.backend() == Backend::Postgres, false, Instant::now());
    while !cancel.is_cancelled() {
        tokio::select! {
            () = cancel.cancelled() => break,
            () = bell.rung(), if !failing => {}
            () = tokio::time::sleep_until(look_at) => {}
            Some(ended) = workers.join_next() => {
                report(ended);
                // Its place is free; unless there was none, nobody waits for it.
                if works.held.free() > 1 {
                    continue;
                }
            }
        }
        let claimed = match cleared {
            true => claim(&works).await,
            false => clear(&works).await.map(|()| Vec::new()),
        };
        match claimed {
            Ok(leases) => {
                (cleared, failing) = (true, false);
                look_at = Instant::now() + if leases.is_empty() { LOOK } else { Duration::ZERO };
                for lease in leases {
                    let work = Worker::new(Arc::clone(&works), lease, cancel.clone()).run();
                    workers.spawn(work.in_current_span());
                }
            }
            Err(fault) => {
                look_at = Instant::now() + TRIED_AGAIN;
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(?fault, "lanes cannot be claimed, trying on");
                }
            }
        }
    }
    while let Some(ended) = workers.join_next().await {
        report(ended);
    }
}

/// No other process has an SQLite database: what is leased there was left by one that died.
async fn clear(works: &Works) -> Result<()> {
    works.db.write(|tx| Box::pin(table::clear(tx))).await
}

/// Takes lanes that are due, as many as there is room for. A look that finds none writes nothing.
async fn claim(works: &Works) -> Result<Vec<Arc<Lease>>> {
    let max = u32::try_from(works.held.free()).unwrap_or(u32::MAX).min(LARGEST_CLAIM);
    let now = works.db.clock().now();
    if max == 0 || !table::waiting(works.db.read(), now).await? {
        return Ok(Vec::new());
    }
    // An owner for each claim: what an earlier one still has to say about a lane is nothing to this one.
    let owner = beem_ids::draw(now, works.db.entropy());
    let term = Term::from_now(owner, now);
    let claimed = works.db.write(|tx| Box::pin(table::claim(tx, owner, now.plus_ms(LEASE_MS), max))).await?;
    Ok(claimed.into_iter().filter_map(|hook| works.held.enter(hook, term)).collect())
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("the worker of a lane panicked, the lane is taken up again when its lease lapses");
    }
}
