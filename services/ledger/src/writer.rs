//! Group commit: orders that arrive together are one transaction. One task of this process carries them out in the order
//! in which they came, so that locks are taken in bulk, commits are few, and a hot account has no queue of transactions.
//!
//! - An order is taken or it is not, as a place in the queue counts its steps: one that finds the queue full, or whose deadline has passed before its turn, is
//!   answered `unavailable` and nothing of it was done. One that was taken is carried out, whether its caller waits or not.
//! - A group whose COMMIT did not answer is `unavailable` to all of it: they ask again under their keys.
//! - An order that cannot be carried out for a reason of ours fails alone: its group is run again one by one. So does one
//!   whose key another transaction holds and does not let go of.
//! - A group that lost every dispute with other transactions is handed in once more before anybody is told.

mod committer;
mod queue;

use crate::settings::LedgerSettings;
use crate::store::engine::Job;
use beem_database::Database;
use beem_database::claims::Outcome;
use beem_fault::{Fault, Result};
use beem_runtime::{Task, task};
use beem_telemetry::Telemetry;
use committer::Committer;
use queue::{Call, Line};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

/// Where orders are handed in. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    calls: mpsc::UnboundedSender<Call>,
    room: Room,
}

/// How many steps may wait, and how many do.
#[derive(Clone)]
struct Room {
    places: Arc<Semaphore>,
    in_all: usize,
    telemetry: Telemetry,
}

impl Writer {
    /// The writer, and the loop that does its work.
    #[must_use]
    pub fn new(db: Database, settings: &LedgerSettings, telemetry: Telemetry) -> (Self, Task) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let in_all = usize::try_from(settings.queue_size).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let room = Room { places: Arc::new(Semaphore::new(in_all)), in_all, telemetry: telemetry.clone() };
        let committer = Arc::new(Committer::new(db, settings, telemetry, room.clone()));
        // Started again after a panic, it goes on with the same queue.
        let calls = Arc::new(Mutex::new(receiver));
        let work = task("ledger-writer", move |cancel| {
            let (committer, calls) = (Arc::clone(&committer), Arc::clone(&calls));
            async move { committer.run(Line::new(&mut *calls.lock().await), cancel).await }
        });
        (Self { calls: sender, room }, work)
    }

    /// Carries the jobs out, each all or nothing and with its own outcome, in their order.
    ///
    /// An outcome that is no answer and no refusal: `unavailable` when it was not taken up or its commit did not answer,
    /// `deadline` when there was no answer in time, `internal` for a bug of ours. After all of these the same key gives
    /// what became of it, or carries it out.
    pub async fn settle(&self, jobs: Vec<Job>, deadline: Instant) -> Vec<Outcome> {
        let count = jobs.len();
        if count == 0 {
            return Vec::new();
        }
        match self.answers(jobs, deadline).await {
            Ok(outcomes) => outcomes,
            Err(fault) => std::iter::repeat_with(|| failed(fault.clone())).take(count).collect(),
        }
    }

    /// The same for one.
    pub async fn settle_one(&self, job: Job, deadline: Instant) -> Outcome {
        let mut outcomes = self.settle(vec![job], deadline).await;
        outcomes.pop().unwrap_or_else(|| failed(Fault::internal("an order without an outcome")))
    }

    async fn answers(&self, jobs: Vec<Job>, deadline: Instant) -> Result<Vec<Outcome>> {
        let count = jobs.len();
        let place = self.room.take(steps(&jobs))?;
        let (answer, answered) = oneshot::channel();
        let call = Call::new(jobs, deadline, answer, place);
        self.calls.send(call).map_err(|_| Fault::unavailable("no more orders are taken"))?;
        let outcomes = timeout_at(deadline, answered).await.map_err(|_| Fault::deadline())?;
        let outcomes = outcomes.map_err(|_| Fault::unavailable("the writer was stopped"))?;
        if outcomes.len() == count {
            return Ok(outcomes);
        }
        Err(Fault::internal(format!("{} outcomes of {count} orders", outcomes.len())))
    }
}

impl Room {
    /// # Errors
    /// `unavailable` when there is not enough left.
    fn take(&self, steps: usize) -> Result<OwnedSemaphorePermit> {
        // What is larger than the whole queue has it for itself.
        let places = u32::try_from(steps.min(self.in_all)).unwrap_or(u32::MAX);
        let place = self.places.clone().try_acquire_many_owned(places);
        let place = place.map_err(|_| Fault::unavailable("too many orders are waiting"))?;
        self.measure();
        Ok(place)
    }

    fn measure(&self) {
        let waiting = self.in_all.saturating_sub(self.places.available_permits());
        let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
        self.telemetry.meters().gauge("beem.ledger.queue.orders", &[], waiting);
    }
}

/// What the jobs weigh, in the queue and in a group; one of nothing is looked up all the same.
fn steps<'j>(jobs: impl IntoIterator<Item = &'j Job>) -> usize {
    jobs.into_iter().map(weight).fold(0, usize::saturating_add)
}

fn weight(job: &Job) -> usize {
    job.order.steps.len().max(1)
}

/// What nothing is remembered of.
const fn failed(fault: Fault) -> Outcome {
    Outcome { result: Err(fault), replayed: false }
}
