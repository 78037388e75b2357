//! The engine: sends what is due, and never loses it. The queue is the database; everything here may die at any point, and
//! what was under way is sent again.
//!
//! | part | does |
//! | --- | --- |
//! | [`Bell`] | tells it that something became due; a hint |
//! | `claim` | looks for lanes that are due and nobody's, takes them, gives each a worker |
//! | `leases` | keeps the lanes that are being worked on; one that was not kept in time is dropped |
//! | `lane` | the worker of one lane: reads what is due, sends a few at a time, leaves when nothing is |
//! | `receiver`, `signers`, `pace` | where a lane's requests go, what signs them, whether it is slow to answer |
//! | `attempt` | one request: signed, sent, judged |
//! | `recorder` | writes what came of it, in groups, until it is written |
//! | `closing` | ends what is pending for hooks that were disabled |
//!
//! A slow receiver holds up its own lane's few requests and nothing else. Receivers that have been failing, or slow, share a
//! part of the process's requests, so that however many of them hang, the rest is there for those that answer.

mod attempt;
mod bell;
mod claim;
mod closing;
mod lane;
mod leases;
mod pace;
mod receiver;
mod recorder;
mod signers;

pub use bell::Bell;

use crate::outbound::Outbound;
use crate::settings::HooksSettings;
use beem_database::Database;
use beem_runtime::{Task, task};
use beem_sealing::Sealing;
use beem_telemetry::Telemetry;
use leases::Held;
use pace::Paces;
use recorder::Recorder;
use signers::Signers;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};

/// Between two looks for what another process, or time, has made due.
const LOOK: Duration = Duration::from_millis(200);

/// Receivers that have been failing or slow get this part of the requests under way, one of so many.
const PROBING: usize = 4;

/// One process's engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Works>);

/// Lanes that read at once: what is left of the database's connections is for others.
const READING: usize = 4;

/// What its parts share.
struct Works {
    db: Database,
    sealing: Sealing,
    outbound: Outbound,
    bell: Bell,
    telemetry: Telemetry,
    signers: Signers,
    held: Held,
    paces: Paces,
    recorder: Recorder,
    /// Requests to one receiver under way at once.
    width: usize,
    /// One for each request under way.
    turns: Semaphore,
    /// Besides, one for each to a receiver that has been failing or slow.
    probes: Semaphore,
    /// One for each lane that is reading.
    reads: Semaphore,
    /// Held as long as there are workers: whoever must outlive them waits for it.
    at_work: Mutex<()>,
}

impl Engine {
    #[must_use]
    pub fn new(
        db: Database,
        sealing: Sealing,
        outbound: Outbound,
        bell: Bell,
        settings: &HooksSettings,
        telemetry: Telemetry,
    ) -> Self {
        let count = |setting: u32| usize::try_from(setting).unwrap_or(1).max(1);
        let (lanes, at_once) = (count(settings.hooks_at_once), count(settings.at_once));
        Self(Arc::new(Works {
            signers: Signers::new(lanes),
            held: Held::new(lanes, telemetry.clone()),
            paces: Paces::default(),
            recorder: Recorder::default(),
            width: count(settings.at_once_per_hook),
            turns: Semaphore::new(at_once),
            probes: Semaphore::new(at_once.div_ceil(PROBING)),
            reads: Semaphore::new(READING),
            at_work: Mutex::new(()),
            db,
            sealing,
            outbound,
            bell,
            telemetry,
        }))
    }

    /// Its loops. All of them run in each process.
    #[must_use]
    pub fn tasks(&self) -> Vec<Task> {
        let works = || Arc::clone(&self.0);
        let (engine, recorder, leases, closing) = (works(), works(), works(), works());
        vec![
            task("hooks-engine", move |cancel| claim::run(Arc::clone(&engine), cancel)),
            task("hooks-recorder", move |cancel| recorder::run(Arc::clone(&recorder), cancel)),
            task("hooks-leases", move |cancel| leases::run(Arc::clone(&leases), cancel)),
            task("hooks-closing", move |cancel| closing::run(Arc::clone(&closing), cancel)),
        ]
    }
}
