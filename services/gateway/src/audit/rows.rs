//! The queue of audit rows and the loop that pushes it to authz. Rows leave the queue only once authz has them; it takes
//! each once by its id, so that a push whose answer was lost is simply sent again.

use beem_fault::Fault;
use beem_link::Link;
use beem_proto::authz::v1::audit_client::AuditClient;
use beem_proto::authz::v1::{AuditRow, PushAuditRowsRequest};
use beem_telemetry::Telemetry;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Between two looks at the queue.
const EVERY: Duration = Duration::from_millis(250);

/// What one push may take.
const PUSH_LIMIT: Duration = Duration::from_secs(5);

/// What the last pushes may take together, when the process ends.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Rows in one push: the most authz takes.
const PUSH_MAX: usize = 500;

/// Rows that wait, at about 500 bytes.
pub const WAITING_MAX: usize = 10_000;

/// Cheap to clone; clones are one queue.
#[derive(Clone)]
pub struct Rows {
    queue: Arc<Mutex<Queue>>,
    audit: AuditClient<Link>,
    telemetry: Telemetry,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<AuditRow>,
    /// Rows that found no place since the process began.
    lost: u64,
}

/// How a push ended.
enum Pushed {
    Taken,
    /// authz is away, or has trouble of its own.
    Later(Fault),
    /// authz will never take these rows as they are.
    Never(Fault),
}

impl Rows {
    #[must_use]
    pub fn new(authz: Link, telemetry: Telemetry) -> Self {
        Self { queue: Arc::default(), audit: AuditClient::new(authz), telemetry }
    }

    /// Adds a row, if there is room.
    pub fn add(&self, row: AuditRow) {
        let mut queue = self.queue();
        if queue.waiting.len() < WAITING_MAX {
            queue.waiting.push_back(row);
            return;
        }
        queue.lost = queue.lost.saturating_add(1);
        let lost = queue.lost;
        drop(queue);
        self.lost("full");
        // A flood must not fill the log: the 1st, 2nd, 4th, 8th … is written.
        if lost.is_power_of_two() {
            tracing::error!(lost, "audit rows were lost: authz does not take them, and the queue is full");
        }
    }

    /// Pushes until cancelled, and then what is left, if authz takes it in time.
    pub async fn push(self, cancel: CancellationToken) {
        let mut away = false;
        loop {
            let round = async {
                sleep(EVERY).await;
                self.push_all().await
            };
            // A push that is dropped midway is sent again, which authz takes once.
            let outcome = tokio::select! {
                outcome = round => outcome,
                () = cancel.cancelled() => break,
            };
            if let Err(fault) = &outcome
                && !away
            {
                tracing::warn!(code = fault.code.as_str(), "audit rows wait: authz does not take them");
            }
            away = outcome.is_err();
        }
        let outcome = timeout(FLUSH_LIMIT, self.push_all()).await;
        let left = self.queue().waiting.len();
        if left > 0 {
            let code = outcome.ok().and_then(Result::err).map_or("deadline", |fault| fault.code.as_str());
            tracing::error!(left, code, "audit rows are lost: authz did not take them before the end");
        }
    }

    /// Until none wait, or authz does not take them.
    async fn push_all(&self) -> Result<(), Fault> {
        let mut most = PUSH_MAX;
        loop {
            let rows: Vec<AuditRow> = self.queue().waiting.iter().take(most).cloned().collect();
            let count = rows.len();
            if count == 0 {
                return Ok(());
            }
            match self.push_once(rows).await {
                Pushed::Taken => {
                    self.forget(count);
                    most = PUSH_MAX;
                }
                Pushed::Later(fault) => return Err(fault),
                // One row that can never be taken must not hold up the others: halves lead to it.
                Pushed::Never(_) if count > 1 => most = count / 2,
                Pushed::Never(fault) => {
                    self.forget(1);
                    self.lost("refused");
                    tracing::error!(reason = ?fault, "authz refuses an audit row, it is lost");
                }
            }
        }
    }

    async fn push_once(&self, rows: Vec<AuditRow>) -> Pushed {
        let mut audit = self.audit.clone();
        let push = timeout(PUSH_LIMIT, audit.push_audit_rows(PushAuditRowsRequest { rows }));
        let Ok(answer) = push.await else { return Pushed::Later(Fault::deadline()) };
        match answer.map_err(Fault::from) {
            Ok(_) => Pushed::Taken,
            Err(fault) if super::is_final(&fault) => Pushed::Never(fault),
            Err(fault) => Pushed::Later(fault),
        }
    }

    /// Only the loop takes from the front, so these are the rows it has just pushed.
    fn forget(&self, count: usize) {
        let mut queue = self.queue();
        let count = count.min(queue.waiting.len());
        queue.waiting.drain(..count);
    }

    fn lost(&self, why: &str) {
        self.telemetry.meters().counter("beem.gateway.audit.lost", &[("why", why)]);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
