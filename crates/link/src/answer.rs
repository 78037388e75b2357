//! The body of an answer, on its way to the caller. The call's deadline bounds the time to its first piece; a body that
//! flows (an export) may then take as long as it takes, but a peer that stops in the middle is given up. Nothing is held
//! here: the peer is asked for more only when the caller is, and dropping the body ends the peer's work.

use crate::send::{away, late};
use bytes::Bytes;
use http::Response;
use http_body::Frame;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;

/// Between two pieces of an answer, while its reader waits. The time in which nobody asks for more does not count.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// See the module.
struct Answer {
    inner: Body,
    /// Something has come; before that the deadline counts.
    flows: bool,
    deadline: Instant,
    /// Runs while the reader waits.
    patience: Option<Pin<Box<Sleep>>>,
    /// How the call ended was told, in the head or in trailers.
    has_status: bool,
    ended: bool,
}

/// Puts the bounds on an answer whose head has come.
pub(crate) fn bounded(answer: Response<Body>, deadline: Instant) -> Response<Body> {
    let has_status = answer.headers().contains_key("grpc-status");
    answer.map(|inner| {
        let body = Answer { inner, flows: false, deadline, patience: None, has_status, ended: false };
        Body::new(body)
    })
}

impl Answer {
    /// Nothing more comes; what the peer still does for it ends with its body.
    fn end(&mut self) {
        self.ended = true;
        self.inner = Body::empty();
        self.patience = None;
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (flows, deadline) = (self.flows, self.deadline);
        let patience = self.patience.get_or_insert_with(|| {
            let until = if flows { Instant::now() + LONGEST_PAUSE } else { deadline };
            Box::pin(sleep_until(until))
        });
        patience.as_mut().poll(cx)
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.flows = true;
                this.patience = None;
                this.has_status |= frame.is_trailers();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(status))) => {
                this.end();
                Poll::Ready(Some(Err(status)))
            }
            // An answer ends in a status (gRPC over HTTP/2, "Responses"). One that just ends was cut off on its way, and must
            // not pass for a whole one.
            Poll::Ready(None) => {
                this.end();
                Poll::Ready(if this.has_status { None } else { Some(Err(away())) })
            }
            Poll::Pending => {
                ready!(this.poll_patience(cx));
                this.end();
                Poll::Ready(Some(Err(late())))
            }
        }
    }
}
