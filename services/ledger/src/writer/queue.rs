//! Who waits, in what order, and what of it makes a group.

use super::weight;
use crate::store::engine::Job;
use beem_database::claims::Outcome;
use std::collections::VecDeque;
use std::iter::Peekable;
use std::time::Duration;
use std::vec;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

/// A group gathers at most this many times the pause it allows between two arrivals.
const MOST_PAUSES: u32 = 16;

/// The jobs of one caller.
pub struct Call {
    jobs: Peekable<vec::IntoIter<Job>>,
    outcomes: Vec<Outcome>,
    deadline: Instant,
    answer: oneshot::Sender<Vec<Outcome>>,
    /// Its place in the queue, given back with its answer.
    place: OwnedSemaphorePermit,
}

impl Call {
    pub fn new(
        jobs: Vec<Job>,
        deadline: Instant,
        answer: oneshot::Sender<Vec<Outcome>>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let outcomes = Vec::with_capacity(jobs.len());
        Self { jobs: jobs.into_iter().peekable(), outcomes, deadline, answer, place }
    }

    /// Answers. Whoever has gone away is not told.
    fn end(self) {
        drop(self.place);
        drop(self.answer.send(self.outcomes));
    }
}

/// What is run as one transaction: jobs of the first calls of the line, in their order.
#[derive(Default)]
pub struct Group {
    pub jobs: Vec<Job>,
    /// Of each of these calls, how many.
    shares: Vec<usize>,
}

impl Group {
    /// From how many callers it is.
    pub const fn callers(&self) -> usize {
        self.shares.len()
    }

    /// Steps in all.
    pub fn steps(&self) -> usize {
        super::steps(&self.jobs)
    }
}

/// The calls that wait, first come first served.
pub struct Line<'r> {
    arrivals: &'r mut mpsc::UnboundedReceiver<Call>,
    calls: VecDeque<Call>,
}

impl<'r> Line<'r> {
    pub fn new(arrivals: &'r mut mpsc::UnboundedReceiver<Call>) -> Self {
        Self { arrivals, calls: VecDeque::new() }
    }

    /// Waits until somebody waits. False when nobody will any more.
    pub async fn wait(&mut self) -> bool {
        if self.calls.is_empty() {
            self.calls.extend(self.arrivals.recv().await);
        }
        !self.calls.is_empty()
    }

    /// Takes no more; those that wait are still there.
    pub fn close(&mut self) {
        self.arrivals.close();
    }

    /// Lets everybody in who has come, and waits for more until there are as many callers as were answered together the
    /// last time, or nobody came for `pause`. A lone caller never waits: nobody else is expected.
    pub async fn gather(&mut self, expected: usize, pause: Duration) {
        self.let_in();
        if expected <= 1 || pause.is_zero() {
            return;
        }
        let began = Instant::now();
        let (mut here, mut last) = (self.calls.len(), began);
        while here < expected && last.elapsed() < pause && began.elapsed() < pause.saturating_mul(MOST_PAUSES)
        {
            // Not a timer, which would sleep for a millisecond: others get their turn, which is how callers come.
            tokio::task::yield_now().await;
            self.let_in();
            if self.calls.len() > here {
                (here, last) = (self.calls.len(), Instant::now());
            }
        }
    }

    fn let_in(&mut self) {
        while let Ok(call) = self.arrivals.try_recv() {
            self.calls.push_back(call);
        }
    }

    /// Answers `late` to every job not begun whose caller's time is over, and goes on with the others.
    pub fn turn_away(&mut self, now: Instant, late: impl Fn() -> Outcome) {
        for call in self.calls.iter_mut().filter(|call| call.deadline <= now) {
            let left = call.jobs.by_ref().map(|_| late());
            call.outcomes.extend(left);
        }
        self.answer();
    }

    /// The next group: at most that many steps, though one job alone may have more.
    pub fn group(&mut self, steps: usize) -> Group {
        let (mut group, mut taken) = (Group::default(), 0_usize);
        for call in &mut self.calls {
            let before = group.jobs.len();
            let fits = |job: &Job, taken: usize| taken == 0 || taken.saturating_add(weight(job)) <= steps;
            while let Some(job) = call.jobs.next_if(|job| fits(job, taken)) {
                taken = taken.saturating_add(weight(&job));
                group.jobs.push(job);
            }
            let share = group.jobs.len().saturating_sub(before);
            if share > 0 {
                group.shares.push(share);
            }
            if call.jobs.peek().is_some() {
                break;
            }
        }
        group
    }

    /// Hands the outcomes of a group to whom they belong, and answers those that have all of theirs.
    pub fn settled(&mut self, group: &Group, outcomes: Vec<Outcome>) {
        let mut outcomes = outcomes.into_iter();
        for (call, share) in self.calls.iter_mut().zip(&group.shares) {
            call.outcomes.extend(outcomes.by_ref().take(*share));
        }
        self.answer();
    }

    /// The first calls are done before later ones, except for those turned away.
    fn answer(&mut self) {
        let mut waiting = VecDeque::with_capacity(self.calls.len());
        for mut call in self.calls.drain(..) {
            if call.jobs.peek().is_some() { waiting.push_back(call) } else { call.end() }
        }
        self.calls = waiting;
    }
}
