//! Refusals of callers nobody knows: counted by address, minute and code, and reported to authz each minute. A report
//! keeps its id until authz has it, so that one whose answer was lost counts once.

use crate::rates;
use beem_clock::{Clock, Entropy};
use beem_fault::{Code, Fault};
use beem_link::Link;
use beem_proto::authz::v1::audit_client::AuditClient;
use beem_proto::authz::v1::{RefusalCount, ReportRefusalsRequest};
use beem_telemetry::Telemetry;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Between two reports.
pub const EVERY: Duration = Duration::from_secs(60);

/// Between two attempts at a report that authz did not take.
const RETRY: Duration = Duration::from_secs(5);

/// What one report may take, and the last ones together when the process ends.
const REPORT_LIMIT: Duration = Duration::from_secs(5);

/// Counts in one report: the most authz takes.
const REPORT_MAX: usize = 1_000;

/// Address, minute and code at a time; beyond it they are counted without their address.
pub const KEYS_MAX: usize = 10_000;

/// What is counted apart.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    address: String,
    minute_s: i64,
    code: Code,
}

/// Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Refusals {
    gathered: Arc<Mutex<Gathered>>,
    audit: AuditClient<Link>,
    clock: Clock,
    entropy: Entropy,
    telemetry: Telemetry,
}

#[derive(Default)]
struct Gathered {
    counts: HashMap<Key, u64>,
    /// What authz does not have yet. Nothing is added before it is empty: so both are bounded.
    reports: VecDeque<ReportRefusalsRequest>,
}

impl Refusals {
    #[must_use]
    pub fn new(authz: Link, clock: Clock, entropy: Entropy, telemetry: Telemetry) -> Self {
        Self { gathered: Arc::default(), audit: AuditClient::new(authz), clock, entropy, telemetry }
    }

    /// Counts one, now.
    pub fn count(&self, address: IpAddr, code: Code) {
        let minute_s = self.clock.now().unix_s().div_euclid(60).saturating_mul(60);
        let mut key = Key { address: rates::network(address), minute_s, code };
        let mut gathered = self.gathered();
        if gathered.counts.len() >= KEYS_MAX && !gathered.counts.contains_key(&key) {
            key.address = String::new();
        }
        let count = gathered.counts.entry(key).or_default();
        *count = count.saturating_add(1);
    }

    /// Reports until cancelled, and then what is left, if authz takes it in time.
    pub async fn report(self, cancel: CancellationToken) {
        let mut pause = EVERY;
        loop {
            let round = async {
                sleep(pause).await;
                self.report_all().await
            };
            // A report that is dropped midway is sent again under its id, which authz counts once.
            let outcome = tokio::select! {
                outcome = round => outcome,
                () = cancel.cancelled() => break,
            };
            pause = match outcome {
                Ok(()) => EVERY,
                Err(fault) => {
                    tracing::debug!(code = fault.code.as_str(), "refusals could not be reported yet");
                    RETRY
                }
            };
        }
        let flushed = async {
            // What an earlier attempt left over, then what has been counted since.
            self.report_all().await?;
            self.report_all().await
        };
        if !matches!(timeout(REPORT_LIMIT, flushed).await, Ok(Ok(()))) {
            tracing::warn!("counts of refusals are lost: authz did not take them before the end");
        }
    }

    async fn report_all(&self) -> Result<(), Fault> {
        self.draw_up();
        while let Some(report) = self.next() {
            let mut audit = self.audit.clone();
            let sent = timeout(REPORT_LIMIT, audit.report_refusals(report));
            let answer = sent.await.map_err(|_| Fault::deadline())?;
            match answer.map_err(Fault::from) {
                Ok(_) => {}
                Err(fault) if super::is_final(&fault) => {
                    self.telemetry.meters().counter("beem.gateway.audit.lost", &[("why", "refused")]);
                    tracing::error!(reason = ?fault, "authz refuses a report of refusals, it is lost");
                }
                Err(fault) => return Err(fault),
            }
            self.gathered().reports.pop_front();
        }
        Ok(())
    }

    /// Makes reports of what was counted, once all earlier ones are through.
    fn draw_up(&self) {
        let mut gathered = self.gathered();
        if !gathered.reports.is_empty() || gathered.counts.is_empty() {
            return;
        }
        let counts: Vec<RefusalCount> = std::mem::take(&mut gathered.counts).into_iter().map(wire).collect();
        let id = || beem_ids::draw(self.clock.now(), &self.entropy).to_string();
        gathered.reports = counts
            .chunks(REPORT_MAX)
            .map(|counts| ReportRefusalsRequest { report_id: id(), counts: counts.to_vec() })
            .collect();
    }

    fn next(&self) -> Option<ReportRefusalsRequest> {
        self.gathered().reports.front().cloned()
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wire((key, count): (Key, u64)) -> RefusalCount {
    RefusalCount { address: key.address, minute_s: key.minute_s, code: key.code.as_str().to_owned(), count }
}
