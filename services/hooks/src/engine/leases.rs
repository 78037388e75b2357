//! The lanes that this process holds. A lease is good until a deadline that comes well before the database's own; past it a
//! worker begins nothing more, because another process may have the lane.

use super::Works;
use crate::store::leases::{self as table, Leave, Leaving};
use beem_clock::Moment;
use beem_fault::Result;
use beem_ids::HookId;
use beem_telemetry::Telemetry;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What a lane is leased for; a dead process's lanes are taken up after it.
pub const LEASE_MS: i64 = 25_000;

/// What of it is not counted on: clocks of several processes differ, and a request that was begun takes its time.
const MARGIN_MS: i64 = 5_000;

/// Between two renewals: two may fail.
const RENEWED_EVERY: Duration = Duration::from_secs(8);

/// After one that failed.
const TRIED_AGAIN: Duration = Duration::from_secs(1);

/// A lane under a lease.
pub struct Lease {
    pub hook: HookId,
    term: Mutex<Term>,
}

/// Under which owner, and until when it is certain: by both clocks, because one stands still while a machine sleeps and the
/// other can be set.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    owner: Uuid,
    until: Instant,
    until_then: Moment,
}

impl Term {
    /// Of a claim or a renewal that has not been sent yet.
    pub fn from_now(owner: Uuid, now: Moment) -> Self {
        let good_ms = LEASE_MS - MARGIN_MS;
        let good = Duration::from_millis(u64::try_from(good_ms).unwrap_or(0));
        Self { owner, until: Instant::now() + good, until_then: now.plus_ms(good_ms) }
    }
}

impl Lease {
    /// Whether the lane is certainly ours.
    pub fn is_good(&self, now: Moment) -> bool {
        let term = self.term();
        Instant::now() < term.until && now < term.until_then
    }

    fn term(&self) -> MutexGuard<'_, Term> {
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The leases of this process. One stays here as long as its worker is there, even when it has lapsed: so a lane whose
/// requests are under way gets no second worker.
pub struct Held {
    most: usize,
    lanes: Mutex<HashMap<HookId, Arc<Lease>>>,
    telemetry: Telemetry,
}

impl Held {
    pub fn new(most: usize, telemetry: Telemetry) -> Self {
        Self { most, lanes: Mutex::default(), telemetry }
    }

    /// How many more lanes there may be.
    pub fn free(&self) -> usize {
        self.most.saturating_sub(self.len())
    }

    pub fn len(&self) -> usize {
        self.lanes().len()
    }

    /// A lane was claimed: a new lease for a new worker; none when there is a worker, whose lease has lapsed and goes on.
    pub fn enter(&self, hook: HookId, term: Term) -> Option<Arc<Lease>> {
        let mut lanes = self.lanes();
        if let Some(lease) = lanes.get(&hook) {
            *lease.term() = term;
            return None;
        }
        let lease = Arc::new(Lease { hook, term: Mutex::new(term) });
        lanes.insert(hook, Arc::clone(&lease));
        self.measure(&lanes);
        Some(lease)
    }

    /// Its worker is done. `give_back` hands on that the lane is left; nobody sees the lane gone from here before that.
    pub fn leave(&self, lease: &Arc<Lease>, leaving: Leaving, give_back: impl FnOnce(Leave)) {
        let mut lanes = self.lanes();
        if remove(&mut lanes, lease) {
            give_back(Leave { hook: lease.hook, owner: lease.term().owner, leaving });
        }
        self.measure(&lanes);
    }

    /// Its worker is gone, whatever of: when it has not left, the lane is taken up again when its lease lapses.
    pub fn forget(&self, lease: &Arc<Lease>) {
        let mut lanes = self.lanes();
        remove(&mut lanes, lease);
        self.measure(&lanes);
    }

    fn all(&self) -> Vec<Arc<Lease>> {
        self.lanes().values().cloned().collect()
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<HookId, Arc<Lease>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measure(&self, lanes: &HashMap<HookId, Arc<Lease>>) {
        let count = i64::try_from(lanes.len()).unwrap_or(i64::MAX);
        self.telemetry.meters().gauge("beem.hooks.lanes", &[], count);
    }
}

fn remove(lanes: &mut HashMap<HookId, Arc<Lease>>, lease: &Arc<Lease>) -> bool {
    let is_there = lanes.get(&lease.hook).is_some_and(|held| Arc::ptr_eq(held, lease));
    if is_there {
        lanes.remove(&lease.hook);
    }
    is_there
}

/// Renews all leases, again and again. While the process drains they last.
pub async fn run(works: Arc<Works>, cancel: CancellationToken) {
    let mut pause = RENEWED_EVERY;
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = match renew(&works).await {
            Ok(()) => RENEWED_EVERY,
            Err(fault) => {
                tracing::warn!(?fault, "the leases of lanes could not be renewed, trying on");
                TRIED_AGAIN
            }
        };
    }
}

async fn renew(works: &Works) -> Result<()> {
    let held = works.held.all();
    if held.is_empty() {
        return Ok(());
    }
    let now = works.db.clock().now();
    let terms: Vec<(Arc<Lease>, Term)> = held
        .into_iter()
        .map(|lease| {
            let owner = lease.term().owner;
            (lease, Term::from_now(owner, now))
        })
        .collect();
    let leases: &Vec<_> = &terms.iter().map(|(lease, term)| (lease.hook, term.owner)).collect();
    let kept = works.db.write(|tx| Box::pin(table::renew(tx, leases, now.plus_ms(LEASE_MS)))).await?;
    for (lease, renewed) in terms {
        let mut term = lease.term();
        // Claimed anew meanwhile, it has another owner and its own deadline.
        if term.owner != renewed.owner {
            continue;
        }
        if kept.contains(&lease.hook) {
            *term = renewed;
        } else {
            tracing::warn!(hook = %lease.hook, "a lane was lost to another process");
            term.until = Instant::now();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_clock::Entropy;

    const NOW: Moment = Moment::from_unix_ms(1_800_000_000_000);

    fn held() -> (Held, HookId) {
        (Held::new(2, Telemetry::off()), HookId::draw(NOW, &Entropy::System))
    }

    fn owner() -> Uuid {
        beem_ids::draw(NOW, &Entropy::System)
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_ends_before_the_database_says_so_by_whichever_clock_is_first() {
        let (held, hook) = held();
        let lease = held.enter(hook, Term::from_now(owner(), NOW)).unwrap();
        assert!(lease.is_good(NOW.plus_ms(19_999)));
        assert!(!lease.is_good(NOW.plus_ms(20_000)));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(!lease.is_good(NOW));
    }

    #[tokio::test]
    async fn a_lapsed_lane_that_is_claimed_again_keeps_its_worker_and_is_given_back_under_its_last_owner() {
        let (held, hook) = held();
        let [first, second] = [owner(), owner()];
        let lease = held.enter(hook, Term::from_now(first, NOW)).unwrap();
        let later = NOW.plus_ms(60_000);
        assert!(!lease.is_good(later));
        assert!(held.enter(hook, Term::from_now(second, later)).is_none(), "it has a worker");
        assert!(lease.is_good(later));
        let mut left = None;
        held.leave(&lease, Leaving::Open, |leave| left = Some(leave.owner));
        assert_eq!((left, held.len(), held.free()), (Some(second), 0, 2));
        held.leave(&lease, Leaving::Open, |_| panic!("it was left"));
    }
}
