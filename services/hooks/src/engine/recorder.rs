//! Group commit of what came of attempts: whatever has come while the last transaction ran is the next one. What it has is
//! kept until it is written, however long the database is away; what waits is bounded by the windows of the lanes, which
//! begin nothing while their attempts are not written.

use super::Works;
use crate::domain::Health;
use crate::store::leases::Leave;
use crate::store::outcomes::{self, Outcome, Recorded};
use beem_fault::{Code, Fault};
use beem_ids::DeliveryId;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

/// Outcomes in one transaction.
const LARGEST: usize = 500;

/// The wait after a transaction that could not be, doubled from the first to the second.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How long it goes on when the process drains: a little less than a process has.
const PATIENCE: Duration = Duration::from_millis(9_500);

/// Where outcomes are handed in.
#[derive(Default)]
pub struct Recorder {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Default)]
struct Waiting {
    outcomes: VecDeque<Pending>,
    leaves: Vec<Leave>,
}

/// An outcome and who waits until it is written.
struct Pending {
    outcome: Outcome,
    told: oneshot::Sender<Told>,
}

/// An outcome was written.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// How its hook does now.
    pub health: Option<Health>,
    /// Whether it was disabled.
    pub disabled: bool,
}

impl Recorder {
    /// Answers when it is written; never, when it cannot be.
    pub fn record(&self, outcome: Outcome) -> oneshot::Receiver<Told> {
        let (told, receiver) = oneshot::channel();
        self.waiting().outcomes.push_back(Pending { outcome, told });
        self.more.notify_one();
        receiver
    }

    /// Gives a lane back, of which every outcome was handed in.
    pub fn leave(&self, leave: Leave) {
        self.waiting().leaves.push(leave);
        self.more.notify_one();
    }

    /// The next group, no two of one delivery.
    fn take(&self) -> Group {
        let mut waiting = self.waiting();
        let mut seen: HashSet<DeliveryId> = HashSet::new();
        let (mut group, mut later) = (Group::default(), VecDeque::new());
        while let Some(pending) = waiting.outcomes.pop_front() {
            if group.outcomes.len() < LARGEST && seen.insert(pending.outcome.delivery) {
                group.told.push(pending.told);
                group.outcomes.push(pending.outcome);
            } else {
                later.push_back(pending);
            }
        }
        if later.is_empty() {
            group.leaves = std::mem::take(&mut waiting.leaves);
        }
        waiting.outcomes = later;
        group
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is written in one transaction.
#[derive(Default)]
struct Group {
    outcomes: Vec<Outcome>,
    /// As many.
    told: Vec<oneshot::Sender<Told>>,
    leaves: Vec<Leave>,
}

impl Group {
    fn len(&self) -> usize {
        self.outcomes.len().saturating_add(self.leaves.len())
    }

    /// Each alone, so that what cannot be written fails alone.
    fn apart(self) -> impl Iterator<Item = Self> {
        let alone = |(outcome, told)| Self { outcomes: vec![outcome], told: vec![told], leaves: Vec::new() };
        let leaves = self.leaves.into_iter().map(|leave| Self { leaves: vec![leave], ..Self::default() });
        self.outcomes.into_iter().zip(self.told).map(alone).chain(leaves)
    }

    /// Without any text of the receiver's, which is perhaps what the database does not take.
    fn bare(mut self) -> Self {
        for outcome in &mut self.outcomes {
            outcome.answer = None;
            outcome.finding.error = outcome.finding.error.take().map(|_| "could not be kept".to_owned());
        }
        self
    }

    fn tell(self, recorded: &Recorded) {
        for (outcome, told) in self.outcomes.iter().zip(self.told) {
            let health = recorded.health.get(&outcome.hook).copied();
            let disabled = recorded.disabled.contains(&outcome.hook);
            // A worker that is gone need not know.
            let _ = told.send(Told { health, disabled });
        }
    }
}

/// Writes what is handed in until cancelled, and then until the workers have left, so that all of it is written.
pub async fn run(works: Arc<Works>, cancel: CancellationToken) {
    let patience = async {
        cancel.cancelled().await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        () = write(&works, &cancel) => {}
        () = patience => tracing::warn!("outcomes of attempts were not written in time, they are sent again"),
    }
}

async fn write(works: &Works, cancel: &CancellationToken) {
    let mut last = false;
    loop {
        let group = works.recorder.take();
        if group.len() > 0 {
            settle(works, group).await;
        } else if last {
            return;
        } else {
            let workers_are_gone = async {
                cancel.cancelled().await;
                drop(works.at_work.lock().await);
            };
            tokio::select! {
                () = works.recorder.more.notified() => {}
                () = workers_are_gone => last = true,
            }
        }
    }
}

/// Writes the group, whatever that takes.
async fn settle(works: &Works, group: Group) {
    let Err((group, fault)) = save(works, group).await else { return };
    tracing::error!(?fault, "a group of outcomes cannot be written, each is written alone");
    for one in group.apart() {
        let Err((one, fault)) = save(works, one).await else { continue };
        tracing::error!(?fault, "an outcome cannot be written, it is written without what the receiver said");
        if let Err((_, fault)) = save(works, one.bare()).await {
            give_up(&fault);
        }
    }
}

/// Tries until the database is there.
async fn save(works: &Works, group: Group) -> Result<(), (Group, Fault)> {
    let (mut wait, mut away) = (FIRST_WAIT, false);
    loop {
        let (outcomes, leaves) = (&group.outcomes, &group.leaves);
        let saved = works.db.write(|tx| Box::pin(outcomes::record(tx, outcomes, leaves))).await;
        match saved {
            Ok(recorded) => {
                if recorded.due_at_once {
                    works.bell.ring();
                }
                group.tell(&recorded);
                return Ok(());
            }
            // Also when it may have been written: it counts once.
            Err(fault) if fault.code == Code::Unavailable => {
                if !std::mem::replace(&mut away, true) {
                    tracing::warn!(?fault, "outcomes of attempts wait for the database");
                }
            }
            Err(fault) => return Err((group, fault)),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Whoever waits for it hears that it is not written, and the delivery stays due.
fn give_up(fault: &Fault) {
    tracing::error!(?fault, "an outcome cannot be written, its delivery is sent again");
}
