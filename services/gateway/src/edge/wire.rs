//! What the two halves of one connection tell each other: the guard, which reads bytes, and the exchange, which answers
//! requests; for HTTP/2 also the driver, which must know whether anything still happens.

use super::outgoing::Outgoing;
use beem_fault::Fault;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Shared by the parts of one connection.
#[derive(Debug)]
pub(super) struct Wire {
    /// HTTP/1 heads handed to hyper.
    heads: AtomicU64,
    /// HTTP/1: the guard holds part of a head.
    holds_part: AtomicBool,
    /// HTTP/1: which message was refused, counted from 1, and why. At most one: nothing is read after it.
    refusal: Mutex<Option<(u64, Fault)>>,
    /// HTTP/2: requests whose answer has not begun.
    handling: AtomicUsize,
    /// HTTP/2: when something last happened.
    last: Mutex<Instant>,
    /// HTTP/2: told when one of the following begins.
    began: Notify,
    /// HTTP/2: streamed answers that go out.
    outgoing: Mutex<Vec<Weak<Outgoing>>>,
    /// HTTP/2: a refusal was answered; the connection is to take no further streams.
    pub(super) finish: CancellationToken,
}

impl Wire {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            heads: AtomicU64::new(0),
            holds_part: AtomicBool::new(false),
            refusal: Mutex::new(None),
            handling: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
            began: Notify::new(),
            outgoing: Mutex::default(),
            finish: CancellationToken::new(),
        })
    }

    /// The guard's report after each read.
    pub(super) fn report(&self, heads: u64, holds_part: bool) {
        self.heads.store(heads, Ordering::Release);
        self.holds_part.store(holds_part, Ordering::Release);
    }

    /// Whether bytes of a later message than the `nth` have come.
    pub(super) fn has_more_after(&self, nth: u64) -> bool {
        self.holds_part.load(Ordering::Acquire) || self.heads.load(Ordering::Acquire) > nth
    }

    pub(super) fn refuse(&self, nth: u64, fault: Fault) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some((nth, fault));
    }

    /// Why the `nth` message was refused, if it was.
    pub(super) fn refusal_of(&self, nth: u64) -> Option<Fault> {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.as_ref().filter(|(at, _)| *at == nth).map(|(_, fault)| fault.clone())
    }

    /// Something happened just now.
    pub(super) fn touch(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// A streamed answer begins.
    pub(super) fn goes_out(&self, answer: &Arc<Outgoing>) {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(answer));
        self.began.notify_one();
    }

    /// Lets go of streamed answers of which the peer has taken nothing for `patience`, and says when to look again: None
    /// when nothing is streamed, until [`Wire::answer_began`].
    pub(super) fn abandon_stalled(&self, patience: Duration) -> Option<Instant> {
        let now = Instant::now();
        let mut outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        outgoing.retain(|answer| answer.strong_count() > 0);
        let mut next: Option<Instant> = None;
        for answer in outgoing.iter().filter_map(Weak::upgrade) {
            let due = answer.stalled_since().unwrap_or(now) + patience;
            if due <= now {
                answer.abandon();
                continue;
            }
            next = Some(next.map_or(due, |n| n.min(due)));
        }
        next
    }

    /// Waits for a streamed answer to begin.
    pub(super) async fn answer_began(&self) {
        self.began.notified().await;
    }

    /// A request is being handled until the returned value is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Handling {
        self.handling.fetch_add(1, Ordering::AcqRel);
        self.touch();
        Handling(Arc::clone(self))
    }

    /// When nothing will have happened for `patience`, if nothing happens until then.
    pub(super) fn quiet_at(&self, patience: Duration) -> Instant {
        if self.handling.load(Ordering::Acquire) > 0 {
            return Instant::now() + patience;
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) + patience
    }
}

/// One request that is being handled.
#[derive(Debug)]
pub(super) struct Handling(Arc<Wire>);

impl Drop for Handling {
    fn drop(&mut self) {
        self.0.handling.fetch_sub(1, Ordering::AcqRel);
        self.0.touch();
    }
}
