//! Which receivers are slow. One that takes its time and then acknowledges has not failed, but many of them would hold all the
//! requests of a process as those do that hang.

use beem_ids::HookId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// An answer that takes longer is slow.
const SLOW: Duration = Duration::from_secs(2);

/// And its receiver is, for so long: one quick answer among slow ones does not count.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Receivers that were slow lately, as this process has seen it.
#[derive(Default)]
pub struct Paces {
    slow: Mutex<HashMap<HookId, Instant>>,
}

impl Paces {
    /// A request took so long.
    pub fn took(&self, hook: HookId, duration_ms: u32) {
        if Duration::from_millis(duration_ms.into()) > SLOW {
            let mut slow = self.slow();
            slow.retain(|_, last| last.elapsed() < REMEMBERED);
            slow.insert(hook, Instant::now());
        }
    }

    /// Whether it was slow lately.
    pub fn is_slow(&self, hook: HookId) -> bool {
        self.slow().get(&hook).is_some_and(|last| last.elapsed() < REMEMBERED)
    }

    fn slow(&self) -> MutexGuard<'_, HashMap<HookId, Instant>> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_clock::{Entropy, Moment};

    #[tokio::test(start_paused = true)]
    async fn one_slow_answer_counts_for_a_minute_and_then_is_forgotten() {
        let paces = Paces::default();
        let [slow, quick] = [1, 2].map(|n| HookId::draw(Moment::from_unix_ms(n), &Entropy::System));
        paces.took(slow, 2_001);
        paces.took(slow, 5);
        paces.took(quick, 2_000);
        assert_eq!((paces.is_slow(slow), paces.is_slow(quick)), (true, false));
        tokio::time::advance(REMEMBERED).await;
        assert!(!paces.is_slow(slow));
        paces.took(quick, 3_000);
        assert_eq!(paces.slow().len(), 1, "nothing is kept for ever");
    }
}
