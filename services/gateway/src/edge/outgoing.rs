//! The body of an answer over HTTP/2, and who does not take it. In HTTP/1 an answer that is not taken is a write that
//! stalls, which the guard sees. Here a peer may read the connection and leave one stream's window shut: hyper then asks
//! for no further piece, and whatever makes them would be held for as long as the peer likes. The driver of the connection
//! looks for such streams and lets go of what makes them; the peer, should it read on, finds its stream broken off.

use super::request::{BodyError, EdgeBody};
use super::wire::Wire;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::time::Instant;

/// What an answer that goes out and its watcher share.
#[derive(Debug)]
pub(super) struct Outgoing(Mutex<State>);

#[derive(Debug)]
struct State {
    /// None once it was let go of.
    body: Option<EdgeBody>,
    /// When a piece was handed over that was not followed by the wish for another; None while it is the peer who waits.
    handed: Option<Instant>,
}

impl Outgoing {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when the peer has taken nothing, if it is the one who is awaited.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        self.state().handed
    }

    /// Lets go of what makes the body.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        let body = state.body.take();
        state.handed = None;
        drop(state);
        // What a body does when it ends is its own, and must not happen under the lock.
        drop(body);
    }
}

/// Puts an answer under the eyes of its connection.
pub(super) fn watched(body: EdgeBody, wire: &Arc<Wire>) -> EdgeBody {
    let outgoing = Arc::new(Outgoing(Mutex::new(State { body: Some(body), handed: None })));
    // What is whole already costs nothing to keep, and needs no watcher.
    let whole = outgoing.state().body.as_ref().is_some_and(|body| body.size_hint().exact().is_some());
    if !whole {
        wire.goes_out(&outgoing);
    }
    Watched { outgoing, wire: Arc::clone(wire) }.boxed_unsync()
}

struct Watched {
    outgoing: Arc<Outgoing>,
    wire: Arc<Wire>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.wire.touch();
        let mut state = self.outgoing.state();
        let Some(body) = &mut state.body else {
            return Poll::Ready(Some(Err("the peer took nothing for too long".into())));
        };
        let polled = Pin::new(body).poll_frame(cx);
        state.handed = matches!(polled, Poll::Ready(Some(Ok(_)))).then(Instant::now);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.outgoing.state().body.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.outgoing.state().body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}
