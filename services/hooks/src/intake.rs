//! Taking events in: what the feeds of other services tell becomes rows here, each event once, with a delivery for each hook
//! that asks for it then. A hook that is made or enabled later gets what came before only by a replay.

use crate::domain::{Area, Hook, body};
use crate::engine::Bell;
use crate::store::intake::{self, Incoming, Outgoing};
use crate::store::{feeds, hooks, lanes, lost};
use beem_clock::Moment;
use beem_database::{Database, Tx};
use beem_events::{Batch, Cursor, Event, Handler, Source, follow};
use beem_fault::{Code, Fault, Result};
use beem_ids::{AccountId, EventId, HookId};
use beem_telemetry::Telemetry;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks whether a lost feed was restarted.
const LOOK: Duration = Duration::from_secs(5);

/// Types that nobody may read, of which each is told once; a producer that makes up more of them is told no more.
const MOST_TOLD: usize = 100;

/// One service's feed on its way into our tables.
///
/// It stands between the follower and the feed, so that it is asked for more exactly when what it took in before has
/// committed: that is when it rings for the engine. The handler itself could only ring too early.
pub struct Intake {
    pub db: Database,
    /// The service: `ledger`.
    pub source: &'static str,
    pub feed: Box<dyn Source>,
    /// How long an event is kept from when it was taken in.
    pub kept_ms: i64,
    pub bell: Bell,
    pub telemetry: Telemetry,
    state: State,
}

#[derive(Default)]
struct State {
    /// Something became due in the transaction that was begun last.
    due: AtomicBool,
    /// What the feed was last asked with.
    asked: Mutex<Cursor>,
    /// Types without an area that were told of.
    told: Mutex<HashSet<String>>,
}

impl Intake {
    #[must_use]
    pub fn new(
        db: Database,
        source: &'static str,
        feed: Box<dyn Source>,
        kept_ms: i64,
        bell: Bell,
        telemetry: Telemetry,
    ) -> Self {
        Self { db, source, feed, kept_ms, bell, telemetry, state: State::default() }
    }

    /// Takes the feed in until cancelled. While it is lost it looks whether an operator has restarted it. Several processes
    /// may do so: each event is taken in by one of them.
    pub async fn run(&self, cancel: CancellationToken) {
        let mut told = false;
        loop {
            match lost::is_lost(self.db.read(), self.source).await {
                Ok(false) => {
                    told = false;
                    self.gauge(0);
                    match follow(&self.db, self.source, self, self, cancel.clone()).await {
                        Ok(()) => return,
                        Err(fault) => self.lose(&fault, &mut told).await,
                    }
                }
                Ok(true) => {
                    let fault = Fault::new(Code::FeedCursorLost, "it was lost before");
                    self.lose(&fault, &mut told).await;
                }
                Err(fault) => tracing::warn!(feed = self.source, ?fault, "cannot see whether a feed is lost"),
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn lose(&self, fault: &Fault, told: &mut bool) {
        self.gauge(1);
        if !std::mem::replace(told, true) {
            tracing::error!(
                feed = self.source,
                ?fault,
                "a feed is lost, its source no longer has what comes next: nothing is taken in until it is restarted"
            );
        }
        let asked = self.state.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(fault) = lost::note(&self.db, self.source, &asked).await {
            tracing::warn!(feed = self.source, ?fault, "cannot note that a feed is lost");
        }
    }

    fn gauge(&self, lost: i64) {
        self.telemetry.meters().gauge("beem.hooks.feed.lost", &[("feed", self.source)], lost);
    }

    async fn ask(&self, cursor: &Cursor, max: u32, wait: Duration) -> Result<Batch> {
        if self.state.due.swap(false, Ordering::AcqRel) {
            self.bell.ring();
        }
        self.state.asked.lock().unwrap_or_else(PoisonError::into_inner).clone_from(cursor);
        // Also when the feed answers again: another process has seen what is missing.
        if lost::is_lost(self.db.read(), self.source).await? {
            return Err(Fault::new(Code::FeedCursorLost, "it was lost before"));
        }
        self.feed.read(cursor, max, wait).await
    }

    async fn take_in(&self, tx: &Tx<'_>, events: &[Event]) -> Result<()> {
        intake::lock(tx).await?;
        // After the lock, so that nobody takes one in meanwhile.
        let mut known = intake::known(tx, events).await?;
        known.extend(self.forgotten(tx, events, &known).await?);
        let new = self.read(events, known);
        if new.is_empty() {
            return Ok(());
        }
        let accounts: BTreeSet<AccountId> = new.iter().map(|new| new.event.account_id).collect();
        let hooks = by_account(hooks::wanting(tx, &accounts.into_iter().collect::<Vec<_>>()).await?);
        let (deliveries, due) = address(tx, &new, &hooks).await?;
        let place = intake::advance(tx, new.len()).await?;
        intake::insert_events(tx, place, &new).await?;
        if !deliveries.is_empty() {
            intake::insert_deliveries(tx, &deliveries).await?;
            lanes::due(tx, &due).await?;
            self.state.due.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Those not known that may have been, when the feed was begun anew: what is older than we keep was forgotten here, if it
    /// ever was here, and sent to nobody a second time. Without a restart an event is taken in however late it comes.
    async fn forgotten(
        &self,
        tx: &Tx<'_>,
        events: &[Event],
        known: &HashSet<EventId>,
    ) -> Result<Vec<EventId>> {
        let old = tx.now().plus_ms(self.kept_ms.saturating_neg());
        let is_old = |event: &&Event| event.time < old && !known.contains(&event.event_id);
        if !events.iter().any(|event| is_old(&event)) {
            return Ok(Vec::new());
        }
        let Some(restarted) = feeds::restarted(tx, self.source).await? else { return Ok(Vec::new()) };
        let forgotten = events.iter().filter(is_old).filter(|event| event.time < restarted);
        let forgotten: Vec<EventId> = forgotten.map(|event| event.event_id).collect();
        if !forgotten.is_empty() {
            tracing::info!(
                feed = self.source,
                events = forgotten.len(),
                "events from before a restart that are older than what is kept are left out"
            );
        }
        Ok(forgotten)
    }

    /// Those that are not known yet, each with its body. One that makes no sense is nothing that could ever be sent.
    fn read<'e>(&self, events: &'e [Event], mut known: HashSet<EventId>) -> Vec<Incoming<'e>> {
        let mut new = Vec::with_capacity(events.len());
        for event in events.iter().filter(|event| known.insert(event.event_id)) {
            let area = Area::of(&event.event);
            if area.is_none() {
                self.tell_unread(&event.event);
            }
            match body(event) {
                Ok(body) => new.push(Incoming { event, area: area.map_or(0, Area::bit), body }),
                Err(_) => tracing::error!(
                    feed = self.source,
                    event_id = %event.event_id,
                    position = event.position,
                    "an event is left out for good: its data is no json object that can be read again"
                ),
            }
        }
        new
    }

    fn tell_unread(&self, event: &str) {
        let mut told = self.state.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < MOST_TOLD && told.insert(event.to_owned()) {
            tracing::warn!(feed = self.source, event, "events of a type that no role may read");
        }
    }
}

impl Source for Intake {
    fn read<'a>(&'a self, cursor: &'a Cursor, max: u32, wait: Duration) -> BoxFuture<'a, Result<Batch>> {
        Box::pin(self.ask(cursor, max, wait))
    }
}

impl Handler for Intake {
    fn apply<'t>(&'t self, tx: &'t Tx<'_>, events: &'t [Event]) -> BoxFuture<'t, Result<()>> {
        Box::pin(self.take_in(tx, events))
    }
}

fn by_account(hooks: Vec<Hook>) -> HashMap<AccountId, Vec<Hook>> {
    let mut by_account: HashMap<AccountId, Vec<Hook>> = HashMap::new();
    for hook in hooks {
        by_account.entry(hook.account).or_default().push(hook);
    }
    by_account
}

/// Who gets what, and when each lane has something due. The lanes are locked.
async fn address<'n>(
    tx: &Tx<'_>,
    new: &'n [Incoming<'_>],
    hooks: &HashMap<AccountId, Vec<Hook>>,
) -> Result<(Vec<Outgoing<'n>>, BTreeMap<HookId, Moment>)> {
    let mut asked = Vec::new();
    for new in new {
        let hooks = hooks.get(&new.event.account_id).map_or(&[][..], Vec::as_slice);
        let asking = hooks.iter().filter(|hook| hook.codes.ask_for(&new.event.event));
        asked.extend(asking.map(|hook| (hook.id, new.event)));
    }
    let wanted: BTreeSet<HookId> = asked.iter().map(|(hook, _)| *hook).collect();
    if wanted.is_empty() {
        return Ok((Vec::new(), BTreeMap::new()));
    }
    let lanes = lanes::lock(tx, wanted).await?;
    let due: BTreeMap<HookId, Moment> =
        lanes.iter().map(|(hook, health)| (*hook, health.first_attempt(tx.now()))).collect();
    let deliveries = asked.into_iter().filter_map(|(hook, event)| {
        let due = *due.get(&hook)?;
        Some(Outgoing { hook, event_id: event.event_id, event: &event.event, due })
    });
    Ok((deliveries.collect(), due))
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_clock::{Clock, Entropy};
    use beem_database::DatabaseSettings;
    use futures::FutureExt as _;

    /// A feed in which nothing ever happens.
    struct Still;

    impl Source for Still {
        fn read<'a>(&'a self, _: &'a Cursor, _: u32, _: Duration) -> BoxFuture<'a, Result<Batch>> {
            Box::pin(async { Ok(Batch { epoch: "e".into(), events: Vec::new() }) })
        }
    }

    #[tokio::test]
    async fn it_rings_once_for_what_it_took_in_when_it_is_asked_for_more() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("hooks.db").display());
        let clock = Clock::manual(Moment::from_unix_s(1_800_000_000));
        let db = Database::connect(&DatabaseSettings::at(&url), clock, Entropy::System).await.unwrap();
        db.migrate(&crate::migrations()).await.unwrap();
        let bell = Bell::default();
        let mut listener = bell.listen();
        let intake = Intake::new(db, "ledger", Box::new(Still), 1, bell, Telemetry::off());
        let cursor = Cursor::default();
        for due in [false, true, false] {
            intake.state.due.store(due, Ordering::Release);
            intake.ask(&cursor, 1, Duration::ZERO).await.unwrap();
            assert_eq!(listener.rung().now_or_never().is_some(), due);
        }
    }
}
