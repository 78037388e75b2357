//! The body of an answer as it leaves the guard. A stream is made while it is read, long after its handler returned: what
//! the guard does for handlers (the span, a panic that becomes a fault) is done here for each of its pieces.

use beem_fault::Fault;
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tracing::Span;

/// See the module.
struct Answer {
    inner: Body,
    span: Span,
    ended: bool,
}

/// Guards the pieces of an answer.
pub fn guarded_body(answer: Response<Body>, span: Span) -> Response<Body> {
    answer.map(|inner| Body::new(Answer { inner, span, ended: false }))
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let polled = this.span.in_scope(|| {
            let inner = &mut this.inner;
            catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll_frame(cx)))
        });
        polled.unwrap_or_else(|_panic| {
            this.ended = true;
            this.inner = Body::empty();
            let _entered = this.span.enter();
            // As trailers, not as an error of the body: a network would report that in its own way.
            let status = Status::from(Fault::internal("an answer panicked on its way"));
            let mut trailers = HeaderMap::new();
            Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
