//! How often one hook is sent something by hand. Tests and single replays wait for nothing, neither for a delivery's own next
//! attempt nor for what the receiver asked for: without a bound they would be a way to burden whoever is at the URL.

use crate::settings::HooksSettings;
use beem_clock::Moment;
use beem_fault::{Code, Fault, Result};
use beem_ids::HookId;
use beem_limits::{Limiter, Rate};

/// Hooks that are counted, of about 150 bytes each.
const MOST_HOOKS: u64 = 100_000;

/// Counts those of one process: several allow as many times more.
pub struct ByHand {
    limiter: Limiter,
    rate: Rate,
}

impl ByHand {
    pub fn new(settings: &HooksSettings) -> Self {
        let rate = Rate { per_s: settings.by_hand_per_s, burst: settings.by_hand_burst };
        Self { limiter: Limiter::in_process(MOST_HOOKS), rate }
    }

    /// Counts one for a hook of the actor's, after all else that may refuse it; a transaction that is run again counts again.
    ///
    /// # Errors
    /// `rate-limited`, which is no decision: the same request, under the same key, may be sent again.
    pub async fn count(&self, hook: HookId, now: Moment) -> Result<()> {
        let verdict = self.limiter.check(&hook.to_string(), self.rate, now).await;
        if verdict.allowed {
            return Ok(());
        }
        let wait_s = verdict.retry_after_s;
        let detail = format!("too many tests and replays of this hook, try again in {wait_s} s");
        Err(Fault::new(Code::RateLimited, detail).retry_after_s(wait_s))
    }
}
