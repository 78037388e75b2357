//! Background loops, supervised: a loop that ends or panics before it was told to is reported and started again after a
//! pause, so that no worker stops silently; all of them are told to stop, and waited for, when the process drains.

use beem_telemetry::Telemetry;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// The pause before a loop that fell over is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// A background loop: a name, and how to start it. It runs until the token is cancelled.
#[derive(Clone)]
pub struct Task {
    pub name: &'static str,
    start: Arc<dyn Fn(CancellationToken) -> BoxFuture<'static, ()> + Send + Sync>,
}

/// A background loop from an async closure.
pub fn task<F, Fut>(name: &'static str, start: F) -> Task
where
    F: Fn(CancellationToken) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Task { name, start: Arc::new(move |cancel| start(cancel).boxed()) }
}

/// Starts work whose end its starter awaits: listeners, tests. Everything else goes through [`Tasks`].
pub fn spawn<F>(work: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "the one place beside Tasks that spawns")]
    tokio::spawn(work)
}

/// The loops of one process. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    cancel: CancellationToken,
    tracker: TaskTracker,
    telemetry: Telemetry,
}

impl Tasks {
    #[must_use]
    pub fn new(telemetry: Telemetry) -> Self {
        Self { cancel: CancellationToken::new(), tracker: TaskTracker::new(), telemetry }
    }

    /// Cancelled when the process drains.
    #[must_use]
    pub fn cancelled(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Starts a supervised loop.
    pub fn supervise(&self, task: Task) {
        let (cancel, telemetry) = (self.cancel.clone(), self.telemetry.clone());
        let span = tracing::info_span!("task", name = task.name);
        self.spawn(
            async move {
                loop {
                    let outcome = AssertUnwindSafe((task.start)(cancel.child_token())).catch_unwind().await;
                    if cancel.is_cancelled() {
                        return;
                    }
                    let panicked = outcome.is_err();
                    tracing::error!(
                        task = task.name,
                        panicked,
                        "a background task ended, it is started again"
                    );
                    telemetry.meters().counter("beem.task.restarts", &[("task", task.name)]);
                    tokio::select! {
                        () = tokio::time::sleep(RESTART_PAUSE) => {}
                        () = cancel.cancelled() => return,
                    }
                }
            }
            .instrument(span),
        );
    }

    /// Starts something that ends by itself, and is waited for when the process drains.
    pub fn spawn<F>(&self, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(work);
    }

    /// Tells every loop to stop and waits for them, at most `patience`. False when some did not end.
    pub async fn drain(&self, patience: Duration) -> bool {
        self.cancel.cancel();
        self.tracker.close();
        tokio::time::timeout(patience, self.tracker.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_or_ends_is_started_again() {
        let tasks = Tasks::new(Telemetry::off());
        let starts = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&starts);
        tasks.supervise(task("t", move |cancel| {
            let n = seen.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(n != 0, "the first start falls over");
                if n > 1 {
                    cancel.cancelled().await;
                }
            }
        }));
        while starts.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(tasks.drain(Duration::from_secs(1)).await);
    }
}
