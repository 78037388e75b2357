//! The loop of the writer: gather, carry out in one transaction, answer.

use super::queue::{Group, Line};
use super::{Room, failed};
use crate::settings::LedgerSettings;
use crate::store::engine::{self, Job};
use beem_database::Database;
use beem_database::claims::Outcome;
use beem_database::{ErrorKind, kind_of};
use beem_fault::{Code, Fault, Result};
use beem_telemetry::Telemetry;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Longer than any lock is held for a good reason: whoever waits for its turn must not wait for ever.
const LONGEST_GROUP: Duration = Duration::from_secs(30);

/// See the module.
pub struct Committer {
    db: Database,
    group_size: usize,
    pause: Duration,
    telemetry: Telemetry,
    room: Room,
}

impl Committer {
    pub fn new(db: Database, settings: &LedgerSettings, telemetry: Telemetry, room: Room) -> Self {
        let group_size = usize::try_from(settings.group_size).unwrap_or(1);
        Self { db, group_size, pause: Duration::from_micros(settings.gather_us.into()), telemetry, room }
    }

    /// Group after group. Cancelled, it takes no more and ends with those that wait.
    pub async fn run(&self, mut line: Line<'_>, cancel: CancellationToken) {
        let mut expected = 0;
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                some = line.wait() => if !some { return },
            }
            line.gather(expected, self.pause).await;
            expected = self.one_group(&mut line).await;
        }
        line.close();
        while line.wait().await {
            line.gather(0, Duration::ZERO).await;
            self.one_group(&mut line).await;
        }
    }

    /// How many callers it was from.
    async fn one_group(&self, line: &mut Line<'_>) -> usize {
        line.turn_away(Instant::now(), || failed(Fault::unavailable("the deadline passed before its turn")));
        let group = line.group(self.group_size);
        if group.jobs.is_empty() {
            self.room.measure();
            return 0;
        }
        let began = Instant::now();
        let outcomes = self.carry_out(&group.jobs).await;
        self.measure(&group, began.elapsed(), &outcomes);
        line.settled(&group, outcomes);
        self.room.measure();
        group.callers()
    }

    async fn carry_out(&self, jobs: &[Job]) -> Vec<Outcome> {
        let mut tried = self.commit(jobs).await;
        if let Err(fault) = &tried
            && kind_of(fault) == Some(&ErrorKind::Conflict)
        {
            tracing::warn!(
                ?fault,
                jobs = jobs.len(),
                "a group of orders lost every dispute, it is handed in once more"
            );
            tried = self.commit(jobs).await;
        }
        let fault = match tried {
            Ok(outcomes) => return outcomes,
            Err(fault) => fault,
        };
        if jobs.len() == 1 || is_away(&fault) {
            return jobs.iter().map(|_| failed(fault.clone())).collect();
        }
        tracing::error!(?fault, jobs = jobs.len(), "a group of orders failed, each is tried by itself");
        let (mut outcomes, mut away) = (Vec::with_capacity(jobs.len()), None);
        for job in jobs {
            let alone = match &away {
                None => self.commit(std::slice::from_ref(job)).await,
                // Each of them would wait in vain.
                Some(fault) => Err(Fault::clone(fault)),
            };
            let alone = alone.and_then(|mut one| one.pop().ok_or_else(|| Fault::internal("no outcome")));
            if let Err(fault) = &alone
                && is_away(fault)
            {
                away = Some(fault.clone());
            }
            outcomes.push(alone.unwrap_or_else(failed));
        }
        outcomes
    }

    async fn commit(&self, jobs: &[Job]) -> Result<Vec<Outcome>> {
        let written = self.db.write(|tx| Box::pin(engine::settle(tx, jobs)));
        let outcomes = timeout(LONGEST_GROUP, written).await;
        let outcomes =
            outcomes.unwrap_or_else(|_| Err(Fault::unavailable("a group of orders took too long")))?;
        if outcomes.len() == jobs.len() {
            return Ok(outcomes);
        }
        Err(Fault::internal(format!("{} outcomes of {} orders", outcomes.len(), jobs.len())))
    }

    fn measure(&self, group: &Group, took: Duration, outcomes: &[Outcome]) {
        let meters = self.telemetry.meters();
        let certain = |outcome: &Outcome| outcome.result.as_ref().err().is_none_or(Fault::is_refusal);
        let outcome = if outcomes.iter().all(certain) { "committed" } else { "failed" };
        meters.counter("beem.ledger.groups", &[("outcome", outcome)]);
        meters.gauge("beem.ledger.group.steps", &[], i64::try_from(group.steps()).unwrap_or(i64::MAX));
        meters.gauge("beem.ledger.group.callers", &[], i64::try_from(group.callers()).unwrap_or(i64::MAX));
        meters.seconds("beem.ledger.group.duration", &[("outcome", outcome)], took.as_secs_f64());
    }
}

/// The others would fare no better. A key that another transaction holds is one order's own trouble.
fn is_away(fault: &Fault) -> bool {
    fault.code == Code::Unavailable && kind_of(fault) != Some(&ErrorKind::LockTimeout)
}
