//! Holds whose time is over are given back.

use super::{Operations, PATIENCE};
use crate::domain::{HoldEnd, Order, Step};
use crate::store;
use crate::store::engine::Job;
use beem_database::claims::fingerprint;
use beem_fault::Result;
use beem_ids::{AccountId, HoldId};

/// Holds in one look.
const BATCH: u32 = 500;

impl Operations {
    /// Ends every hold whose time is over, batch after batch. Processes may do it at once: each hold ends once.
    ///
    /// # Errors
    /// As the writer says; the next round goes on.
    pub async fn expire_holds(&self) -> Result<()> {
        let means = &self.0;
        loop {
            let due = store::holds::due(means.db.read(), means.clock.now(), BATCH).await?;
            let full = due.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX);
            let jobs = due.into_iter().map(|(owner, hold)| job(owner, hold)).collect();
            let outcomes = means.writer.settle(jobs, beem_runtime::deadline(PATIENCE)).await;
            let mut fresh = false;
            for outcome in outcomes {
                outcome.result?;
                fresh |= !outcome.replayed;
            }
            // Another process is at it when none was ended here.
            if !full || !fresh {
                return Ok(());
            }
        }
    }
}

fn job(owner: AccountId, hold: HoldId) -> Job {
    Job {
        key: format!("ExpireHold:{hold}"),
        fingerprint: fingerprint("ExpireHold", hold.0.as_bytes()),
        order: Order { owner, steps: vec![Step::EndHold { hold, end: HoldEnd::Expired }] },
        answer: Box::new(|_| Ok(Vec::new())),
    }
}
