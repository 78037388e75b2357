//! The worker of one lane: reads what is due for its hook, has a few attempts under way at once, and leaves when nothing is
//! due any more. It forgets an attempt only when that is written, so that nothing is sent twice while nobody dies.

use super::attempt::{Attempt, broken_off};
use super::bell::Listener;
use super::leases::Lease;
use super::receiver::Receiver;
use super::recorder::Told;
use super::{LOOK, Works};
use crate::domain::Health;
use crate::store::due::{self, Due};
use crate::store::leases::Leaving;
use crate::store::outcomes::{Outcome, Weight};
use beem_fault::{Code, Fault, Result};
use beem_ids::DeliveryId;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// So many times its window may be unwritten at once, and are read at once.
const UNWRITTEN: usize = 16;
const READ: usize = 8;

/// Between two looks that the bell asks for.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

/// A worker with nothing to do stays for so long, when there are few of them: a claim is a transaction.
const LINGERS: Duration = Duration::from_millis(500);
const LINGERING_AT_MOST: usize = 64;

/// When no lane is free, one that has been worked on for so long makes room, and stands behind those that wait.
const SHIFT: Duration = Duration::from_secs(5);

/// How often one that has no room for more looks whether it has to.
const CROWDED_LOOK: Duration = Duration::from_secs(1);

/// After a read that failed because the database is away.
const TRIED_AGAIN: Duration = Duration::from_millis(500);

/// How long it waits for its attempts when the process drains: less than a process has, so that the lane is given back.
const PATIENCE: Duration = Duration::from_secs(8);

/// See the module.
pub struct Worker {
    works: Arc<Works>,
    lease: Arc<Lease>,
    cancel: CancellationToken,
    /// What has not been sent yet is not to be: of `cancel`, or when it makes room.
    stop: CancellationToken,
    bell: Listener,
    /// Attempts under way, and for each what it is about.
    sending: JoinSet<Option<Outcome>>,
    under_way: HashMap<Id, (Due, Arc<Receiver>)>,
    /// Attempts that were made and are being written.
    unwritten: FuturesUnordered<BoxFuture<'static, (DeliveryId, Option<Told>)>>,
    /// The deliveries of both.
    busy: HashSet<DeliveryId>,
    page: Option<Page>,
    health: Health,
    going: Going,
    /// What is due could not be read.
    away: bool,
    began: Instant,
    /// When it looks again, and when something last happened.
    look_at: Instant,
    active_at: Instant,
}

/// What was read: where to, and what is left of what was due.
struct Page {
    receiver: Arc<Receiver>,
    due: VecDeque<Due>,
}

/// Whether it begins anything more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Going {
    On,
    Leaving(Leaving),
    /// Something went wrong that will again: the lane is taken up when its lease has lapsed.
    Broken,
}

impl Worker {
    pub fn new(works: Arc<Works>, lease: Arc<Lease>, cancel: CancellationToken) -> Self {
        let now = Instant::now();
        Self {
            bell: works.bell.listen(),
            works,
            lease,
            stop: cancel.child_token(),
            cancel,
            sending: JoinSet::new(),
            under_way: HashMap::new(),
            unwritten: FuturesUnordered::new(),
            busy: HashSet::new(),
            page: None,
            health: Health::default(),
            going: Going::On,
            away: false,
            began: now,
            look_at: now,
            active_at: now,
        }
    }

    /// Works until the lane is left.
    pub async fn run(mut self) {
        let cancel = self.cancel.clone();
        let out_of_patience = async {
            cancel.cancelled().await;
            tokio::time::sleep(PATIENCE).await;
        };
        tokio::pin!(out_of_patience);
        loop {
            self.begin().await;
            if self.is_done() {
                return self.leave();
            }
            let (has_room, wake_at) = (self.has_room(), self.wakes_at());
            tokio::select! {
                Some(ended) = self.sending.join_next_with_id() => self.ended(ended),
                Some((delivery, told)) = self.unwritten.next() => self.written(delivery, told),
                () = self.bell.rung(), if has_room => {
                    self.look_at = self.look_at.min(Instant::now() + SHORTEST_LOOK);
                }
                () = tokio::time::sleep_until(wake_at) => {}
                () = self.cancel.cancelled(), if self.going == Going::On => {
                    self.going = Going::Leaving(Leaving::Open);
                }
                // What is under way is broken off, and sent again by whoever takes the lane up.
                () = &mut out_of_patience => return self.leave(),
            }
        }
    }

    /// Begins what may be begun.
    async fn begin(&mut self) {
        if self.going == Going::On && self.works.held.free() == 0 && self.began.elapsed() > SHIFT {
            self.going = Going::Leaving(Leaving::Open);
            self.stop.cancel();
        }
        while self.has_room() && !self.cancel.is_cancelled() {
            self.page = self.page.take().filter(|page| page.receiver.is_fresh());
            let next = self.page.as_mut().and_then(|page| Some((page.due.pop_front()?, &page.receiver)));
            match next {
                Some((due, receiver)) => {
                    let receiver = Arc::clone(receiver);
                    self.send(due, receiver);
                }
                None if Instant::now() < self.look_at => return,
                None => self.look().await,
            }
        }
    }

    fn has_room(&self) -> bool {
        let width = if self.health.is_open() { 1 } else { self.works.width };
        self.going == Going::On
            && self.sending.len() < width
            && self.busy.len() < self.most_busy()
            && self.lease.is_good(self.works.db.clock().now())
    }

    fn wakes_at(&self) -> Instant {
        match (self.has_room(), self.busy.is_empty()) {
            (false, _) => Instant::now() + CROWDED_LOOK,
            (true, true) => self.look_at.min(self.active_at + LINGERS),
            (true, false) => self.look_at,
        }
    }

    fn most_busy(&self) -> usize {
        self.works.width.saturating_mul(UNWRITTEN)
    }

    fn is_done(&self) -> bool {
        let lingers = || {
            let few = self.works.held.len() <= LINGERING_AT_MOST;
            few && self.has_room() && self.active_at.elapsed() < LINGERS
        };
        self.sending.is_empty() && self.unwritten.is_empty() && !lingers()
    }

    /// Reads the next page; when there is none, or it cannot be read, says when to look again.
    async fn look(&mut self) {
        self.page = None;
        let page = self.read().await;
        let now = Instant::now();
        match page {
            Ok(Some(page)) => (self.page, self.look_at, self.active_at) = (Some(page), now, now),
            Ok(None) => self.look_at = now + LOOK,
            Err(fault) if fault.code == Code::Unavailable => {
                if !std::mem::replace(&mut self.away, true) {
                    tracing::warn!(hook = %self.lease.hook, ?fault, "what is due cannot be read, trying on");
                }
                self.look_at = now + TRIED_AGAIN;
            }
            Err(fault) => {
                tracing::error!(hook = %self.lease.hook, ?fault, "nothing can be sent to a hook");
                self.going = Going::Broken;
            }
        }
    }

    /// What is due and not under way, and how it is sent as of now.
    async fn read(&mut self) -> Result<Option<Page>> {
        let (works, hook) = (&self.works, self.lease.hook);
        let _turn = works.reads.acquire().await.map_err(Fault::internal)?;
        let (db, now) = (works.db.read(), works.db.clock().now());
        let max = works.width.saturating_mul(READ).saturating_add(self.busy.len());
        let mut due = VecDeque::from(due::deliveries(db, hook, now, max).await?);
        due.retain(|due| !self.busy.contains(&due.id));
        if due.is_empty() {
            return Ok(None);
        }
        // Anew for each page, after what is due: so an event that comes after a change of its hook goes by that change.
        let Some((receiver, health)) = Receiver::read(works, hook).await? else {
            self.going = Going::Leaving(Leaving::Closing);
            return Ok(None);
        };
        self.health = health;
        Ok(Some(Page { receiver: Arc::new(receiver), due }))
    }

    fn send(&mut self, due: Due, receiver: Arc<Receiver>) {
        let attempt = Attempt {
            works: Arc::clone(&self.works),
            lease: Arc::clone(&self.lease),
            receiver: Arc::clone(&receiver),
            probes: self.health.is_open() || self.works.paces.is_slow(self.lease.hook),
            cancel: self.stop.clone(),
        };
        let about = Due { event: due.event.clone(), body: None, ..due };
        self.busy.insert(due.id);
        let attempt = self.sending.spawn(attempt.make(due).in_current_span());
        self.under_way.insert(attempt.id(), (about, receiver));
    }

    fn ended(&mut self, ended: Result<(Id, Option<Outcome>), JoinError>) {
        self.active_at = Instant::now();
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, Ok(outcome)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some((due, receiver)) = self.under_way.remove(&id) else { return };
        let outcome = outcome.unwrap_or_else(|error| {
            tracing::error!(hook = %receiver.hook, delivery = %due.id, %error, "an attempt broke off");
            Some(broken_off(&self.works, &receiver, &due))
        });
        let Some(mut outcome) = outcome else {
            self.busy.remove(&due.id);
            return;
        };
        let disables = self.health.after(&outcome.finding, outcome.ended).1.is_some();
        if disables && outcome.weight == Weight::Counts {
            outcome.weight = Weight::MayDisable;
        }
        let told = self.works.recorder.record(outcome);
        self.unwritten.push(async move { (due.id, told.await.ok()) }.boxed());
    }

    fn written(&mut self, delivery: DeliveryId, told: Option<Told>) {
        self.active_at = Instant::now();
        self.busy.remove(&delivery);
        let Some(told) = told else {
            self.going = Going::Broken;
            return;
        };
        self.health = told.health.unwrap_or(self.health);
        if told.disabled {
            self.going = Going::Leaving(Leaving::Closing);
        }
    }

    fn leave(&self) {
        let leaving = match self.going {
            Going::On => Leaving::Open,
            Going::Leaving(leaving) => leaving,
            Going::Broken => return,
        };
        self.works.held.leave(&self.lease, leaving, |leave| self.works.recorder.leave(leave));
    }
}

/// Also when it panicked or was dropped: the lane is this process's no more.
impl Drop for Worker {
    fn drop(&mut self) {
        self.works.held.forget(&self.lease);
    }
}
