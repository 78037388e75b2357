//! One attempt: a request, signed, sent and judged.

use super::Works;
use super::leases::Lease;
use super::receiver::Receiver;
use crate::domain::{Ending, Finding, Verdict, judge};
use crate::keys;
use crate::store::due::Due;
use crate::store::outcomes::{Outcome, Weight};
use beem_clock::Moment;
use beem_fault::{Fault, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::SemaphorePermit;
use tokio_util::sync::CancellationToken;

/// Under which circumstances one is made.
pub struct Attempt {
    pub works: Arc<Works>,
    pub lease: Arc<Lease>,
    pub receiver: Arc<Receiver>,
    /// The receiver has been failing, or slow.
    pub probes: bool,
    /// Nothing is begun any more.
    pub cancel: CancellationToken,
}

/// One of the requests of this process that may be under way at once.
struct Turn<'w> {
    _probe: Option<SemaphorePermit<'w>>,
    _turn: SemaphorePermit<'w>,
}

impl Attempt {
    /// Makes it, when its turn comes. None when nothing was sent, and why shows when the lane is looked at again: by then it
    /// was lost or left, or its hook disabled.
    pub async fn make(mut self, mut due: Due) -> Option<Outcome> {
        let works = Arc::clone(&self.works);
        let _turn = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return None,
            turn = turn(&works, self.probes) => turn.ok()?,
        };
        // Its turn may have been long in coming.
        if !self.receiver.is_fresh() {
            let (receiver, _) = Receiver::read(&works, self.receiver.hook).await.ok()??;
            self.receiver = Arc::new(receiver);
        }
        let now = works.db.clock().now();
        if !self.lease.is_good(now) {
            return None;
        }
        if !self.receiver.codes.allow(&due.event) {
            let error = "the hook no longer asks for this type of event";
            return Some(failed(&works, &self.receiver, &due, error, None));
        }
        let Some(body) = due.body.take() else {
            return Some(failed(&works, &self.receiver, &due, "the event is no longer kept", None));
        };
        let outcome = self.send(&due, body, now).await;
        works.paces.took(outcome.hook, outcome.duration_ms);
        Some(outcome)
    }

    async fn send(&self, due: &Due, body: String, now: Moment) -> Outcome {
        let (works, receiver) = (&self.works, &self.receiver);
        let retiring = receiver.retiring.as_deref();
        let headers = match keys::headers(due.event_id, now, body.as_bytes(), &receiver.active, retiring) {
            Ok(headers) => headers,
            Err(fault) => {
                tracing::error!(hook = %receiver.hook, ?fault, "a delivery cannot be signed");
                return broken_off(works, receiver, due);
            }
        };
        let meters = works.telemetry.meters();
        if due.attempts == 0 {
            let delay = Duration::from_millis(u64::try_from(now.ms_since(due.created)).unwrap_or(0));
            meters.seconds("beem.hooks.first_attempt.delay", &[], delay.as_secs_f64());
        }
        let sent = works.outbound.send(&receiver.url, headers, body, now).await;
        meters.counter("beem.hooks.attempts", &[("outcome", outcome_of(&sent.finding))]);
        let ended = works.db.clock().now();
        let verdict = judge(&sent.finding, due.tries.saturating_add(1), ended, random(works));
        Outcome {
            time: now,
            duration_ms: sent.duration_ms,
            answer: sent.answer,
            weight: if sent.ours { Weight::Ours } else { Weight::Counts },
            ..outcome(works, receiver, due, sent.finding, verdict, ended)
        }
    }
}

async fn turn(works: &Works, probes: bool) -> Result<Turn<'_>> {
    let probe = match probes {
        true => Some(works.probes.acquire().await.map_err(Fault::internal)?),
        false => None,
    };
    Ok(Turn { _probe: probe, _turn: works.turns.acquire().await.map_err(Fault::internal)? })
}

/// An attempt that ended for a reason of ours, whatever was sent: it is made again like one that failed, and held against
/// nobody.
pub fn broken_off(works: &Works, receiver: &Receiver, due: &Due) -> Outcome {
    failed(works, receiver, due, "broken off on our side", Some(random(works)))
}

/// One that failed here; for good when there is nothing to spread its next time by.
fn failed(works: &Works, receiver: &Receiver, due: &Due, error: &str, again: Option<u64>) -> Outcome {
    let finding = Finding { status_code: None, error: Some(error.to_owned()), retry_after_s: None };
    let now = works.db.clock().now();
    let verdict = again.map_or(Verdict::Ended(Ending::Failed), |random| {
        judge(&finding, due.tries.saturating_add(1), now, random)
    });
    Outcome { weight: Weight::Ours, ..outcome(works, receiver, due, finding, verdict, now) }
}

fn outcome(
    works: &Works,
    receiver: &Receiver,
    due: &Due,
    finding: Finding,
    verdict: Verdict,
    ended: Moment,
) -> Outcome {
    Outcome {
        attempt: beem_ids::draw(ended, works.db.entropy()),
        delivery: due.id,
        hook: receiver.hook,
        url: receiver.url.clone(),
        time: ended,
        duration_ms: 0,
        ended,
        finding,
        answer: None,
        tries: due.tries,
        verdict,
        weight: Weight::Counts,
    }
}

fn random(works: &Works) -> u64 {
    u64::from_le_bytes(works.db.entropy().bytes())
}

fn outcome_of(finding: &Finding) -> &'static str {
    match finding.status_code {
        Some(_) if finding.is_acknowledged() => "acknowledged",
        Some(_) => "refused",
        None => "failed",
    }
}
