//! What one gateway remembers of each principal: the copy it verified last, and with it the highest version it has seen.
//! One step takes a copy and judges it against the memory, so that two readers cannot overtake each other.

use crate::entry::{Flaw, Verified};
use beem_clock::Moment;
use beem_ids::PrincipalId;
use moka::ops::compute::Op;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a verified copy is used without asking again. By a clock that is never set back.
pub const COPY_LIFE: Duration = Duration::from_millis(500);
/// How long a version is remembered after it was last seen: longer than any entry of an older one can live.
const MEMORY: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
struct Copy {
    verified: Arc<Verified>,
    /// When it began to be read: everything that happened later may be missing from it.
    asked_at: Instant,
}

#[derive(Debug)]
pub(crate) struct Known {
    copies: Cache<PrincipalId, Copy>,
}

impl Known {
    pub(crate) fn new(max_principals: u64) -> Self {
        Self { copies: Cache::builder().max_capacity(max_principals).time_to_live(MEMORY).build() }
    }

    /// The copy, while it may be used.
    pub(crate) fn young(&self, principal: PrincipalId, now: Moment) -> Option<Arc<Verified>> {
        let copy = self.copies.get(&principal)?;
        let usable = copy.asked_at.elapsed() < COPY_LIFE && now <= copy.verified.entry.not_after;
        usable.then_some(copy.verified)
    }

    /// Keeps a verified entry that began to be read at `asked_at`.
    ///
    /// # Errors
    /// [`Flaw::RolledBack`] when a higher version was seen before.
    pub(crate) fn keep(&self, verified: Verified, asked_at: Instant) -> Result<Arc<Verified>, Flaw> {
        let mut kept = Err(Flaw::RolledBack);
        let principal = verified.entry.principal;
        self.copies.entry(principal).and_compute_with(|there| {
            let there = there.map(moka::Entry::into_value);
            if there.as_ref().is_some_and(|t| t.verified.entry.version > verified.entry.version) {
                return Op::Nop;
            }
            // Of two readers of one version the one that asked later tells more.
            let verified = Arc::new(verified);
            kept = Ok(verified.clone());
            match there {
                Some(t) if t.verified.entry.version == verified.entry.version && t.asked_at > asked_at => {
                    Op::Nop
                }
                Some(_) | None => Op::Put(Copy { verified, asked_at }),
            }
        });
        kept
    }
}
