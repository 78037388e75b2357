//! What passes inward and outward: a request whose head is judged and whose body is whole, and the body type of answers.

use beem_ids::RequestId;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderMap, Method, Response, Version};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use std::net::SocketAddr;
use std::sync::Arc;

/// What may go wrong while an answer is sent: the connection is then cut, so that half an answer never looks whole.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer: whole bytes or a stream.
pub type EdgeBody = UnsyncBoxBody<Bytes, BodyError>;

/// A body of known bytes.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> EdgeBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// No body.
#[must_use]
pub fn empty() -> EdgeBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is sent as its pieces come, each asked for once the one before it has found its place in a buffer of the
/// connection. An error breaks the answer off. How long to wait for a piece is the stream's own to say.
pub fn stream<S>(pieces: S) -> EdgeBody
where
    S: Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
{
    StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync()
}

/// A request as it passes inward: within every bound, unambiguous in its framing and host, the body whole.
#[derive(Clone, Debug)]
pub struct Request {
    /// Drawn by the edge; every answer carries it as `X-Request-Id`.
    pub id: RequestId,
    /// The other end of the socket.
    pub peer: SocketAddr,
    pub version: Version,
    /// Never CONNECT or TRACE.
    pub method: Method,
    /// The one host the request names: lower-case, IPv6 in brackets, with its port unless that is 80 or 443.
    pub host: String,
    /// Path and query exactly as written (percent-encoding kept), beginning with `/`.
    pub target: String,
    pub headers: HeaderMap,
    /// Decoded from its framing, otherwise as sent. Trailers are dropped.
    pub body: Bytes,
}

impl Request {
    /// The path as written, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// What follows the first `?`, as written; `None` without one.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }
}

/// Who answers. The edge calls it for every request it lets in; a panic in it becomes a 500.
pub trait Handler: Send + Sync + 'static {
    /// Whether this host (as in [`Request::host`]) is served here; others are 421.
    fn serves(&self, host: &str) -> bool;

    /// The answer. It is dropped midway only when the drain's time is over, or an HTTP/2 stream
    /// or connection is lost; an HTTP/1 peer that went away is noticed when the answer is written.
    fn handle(&self, request: Request) -> impl Future<Output = Response<EdgeBody>> + Send;
}

impl<H: Handler> Handler for Arc<H> {
    fn serves(&self, host: &str) -> bool {
        self.as_ref().serves(host)
    }

    fn handle(&self, request: Request) -> impl Future<Output = Response<EdgeBody>> + Send {
        self.as_ref().handle(request)
    }
}
