//! One request and its answer. Here the rules that do not depend on bytes are judged, for both protocols alike: bounds,
//! method, target, host; then the body is read whole and the handler asked. Every refusal is a problem, after which the
//! connection closes.

use super::head::{body_too_large, content_length, headers_too_large, malformed, target_too_long};
use super::outgoing::watched;
use super::request::{EdgeBody, Handler, Request, empty};
use super::settings::ms;
use super::wire::Wire;
use super::{Shared, host};
use crate::problem::{X_REQUEST_ID, problem};
use beem_fault::{Code, Fault};
use beem_ids::RequestId;
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, HeaderValue};
use http::{HeaderMap, Method, Response, Version, request};
use http_body::Body;
use http_body_util::BodyExt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Methods that pass the edge; which of them a path takes is the handler's to say.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// The requests of one connection.
pub(super) struct Exchange<H> {
    shared: Arc<Shared<H>>,
    wire: Arc<Wire>,
    peer: SocketAddr,
    drain: CancellationToken,
    /// Requests hyper has delivered. HTTP/1 delivers them in the order of their heads.
    delivered: AtomicU64,
}

impl<H: Handler> Exchange<H> {
    pub(super) fn new(
        shared: Arc<Shared<H>>,
        wire: Arc<Wire>,
        peer: SocketAddr,
        drain: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self { shared, wire, peer, drain, delivered: AtomicU64::new(0) })
    }

    /// The answer to one request. Must be called in the order of delivery.
    pub(super) fn answer<B>(
        self: &Arc<Self>,
        request: http::Request<B>,
    ) -> impl Future<Output = Response<EdgeBody>> + Send + use<B, H>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::fmt::Display,
    {
        let nth = self.delivered.fetch_add(1, Ordering::AcqRel) + 1;
        let this = Arc::clone(self);
        async move {
            let handling = this.wire.begin();
            let response = this.answer_nth(nth, request).await;
            drop(handling);
            response
        }
    }

    async fn answer_nth<B>(&self, nth: u64, request: http::Request<B>) -> Response<EdgeBody>
    where
        B: Body<Data = Bytes> + Send + Unpin,
        B::Error: std::fmt::Display,
    {
        let id = RequestId::draw(self.shared.clock.now(), &self.shared.entropy);
        let (version, method) = (request.version(), request.method().clone());
        let (mut response, refused) = match self.judge(nth, id, request).await {
            // What the body holds of the bound on all bodies is given back when the handler is done with it.
            Ok((request, held)) => {
                let response = self.ask(request).await;
                drop(held);
                (response, false)
            }
            Err(fault) => (self.refusal(&fault, id), true),
        };
        if version == Version::HTTP_2 {
            if refused {
                self.wire.finish.cancel();
            }
        } else if refused || (self.drain.is_cancelled() && !self.wire.has_more_after(nth)) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if !response.headers().contains_key(X_REQUEST_ID)
            && let Ok(id) = HeaderValue::from_str(&id.to_string())
        {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        if method == Method::HEAD && !refused {
            response = without_body(response);
        }
        if version == Version::HTTP_2 {
            response = response.map(|body| watched(body, &self.wire));
        }
        response
    }

    fn refusal(&self, fault: &Fault, id: RequestId) -> Response<EdgeBody> {
        self.shared.meter.refused();
        tracing::debug!(code = %fault.code, detail = fault.detail, request_id = %id, "request refused at the edge");
        let mut response = problem(fault, &id.to_string());
        if fault.code == Code::MethodNotAllowed {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
        }
        response
    }

    /// The handler's answer; a panic is a bug, logged, and answered like one.
    async fn ask(&self, request: Request) -> Response<EdgeBody> {
        let id = request.id;
        let handled = AssertUnwindSafe(async { self.shared.handler.handle(request).await });
        handled.catch_unwind().await.unwrap_or_else(|_panic| {
            tracing::error!(request_id = %id, "handler panicked");
            problem(&Fault::internal("the handler panicked"), &id.to_string())
        })
    }

    async fn judge<B>(
        &self,
        nth: u64,
        id: RequestId,
        request: http::Request<B>,
    ) -> Result<(Request, Held), Fault>
    where
        B: Body<Data = Bytes> + Send + Unpin,
        B::Error: std::fmt::Display,
    {
        let (head, body) = request.into_parts();
        if head.version != Version::HTTP_2
            && let Some(fault) = self.wire.refusal_of(nth)
        {
            return Err(fault);
        }
        let target = self.target(&head)?;
        self.bounded(&head, &target)?;
        let host = host::agreed(&head.uri, &head.headers)?;
        if !self.shared.handler.serves(&host) {
            return Err(Fault::new(Code::Misdirected, "this host is not served here"));
        }
        let (body, held) = self.whole(nth, body, head.version).await?;
        let request = Request {
            id,
            peer: self.peer,
            version: head.version,
            method: head.method,
            host,
            target,
            headers: head.headers,
            body,
        };
        Ok((request, held))
    }

    /// Path and query, of the origin form or the absolute form; the other forms belong to proxies (RFC 9112 3.2).
    fn target(&self, head: &request::Parts) -> Result<String, Fault> {
        if head.method == Method::CONNECT || head.method == Method::TRACE {
            return Err(Fault::new(Code::MethodNotAllowed, format!("{} is not served", head.method)));
        }
        let scheme = head.uri.scheme_str().map(str::to_ascii_lowercase);
        let is_web = matches!(scheme.as_deref(), None | Some("http" | "https"));
        let target = head.uri.path_and_query().map(http::uri::PathAndQuery::as_str);
        match target {
            Some(text) if is_web && text.starts_with('/') => Ok(text.to_owned()),
            // `http://host?query`: the path is empty, and its normal form is `/` (RFC 9110 4.2.3).
            Some(text) if is_web && text.starts_with('?') => Ok(format!("/{text}")),
            _ => Err(malformed("the request target is neither a path nor an http or https URI")),
        }
    }

    /// The bounds once more, for HTTP/2, whose frames the guard does not read.
    fn bounded(&self, head: &request::Parts, target: &str) -> Result<(), Fault> {
        let settings = &self.shared.settings;
        if target.len() > settings.target_bytes {
            return Err(target_too_long(settings.target_bytes));
        }
        if head.headers.len() > settings.header_fields {
            let most = settings.header_fields;
            return Err(Fault::new(Code::HeadersTooLarge, format!("more than {most} header fields")));
        }
        if field_bytes(&head.headers) > settings.header_bytes {
            return Err(headers_too_large(settings.header_bytes));
        }
        let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
        match (lengths.next(), lengths.next()) {
            (Some(_), Some(_)) => Err(malformed("more than one Content-Length")),
            (Some(length), None) => content_length(length.as_bytes(), settings.body_bytes).map(|_| ()),
            (None, _) => Ok(()),
        }
    }

    /// The whole body, in its time and size.
    async fn whole<B>(&self, nth: u64, body: B, version: Version) -> Result<(Bytes, Held), Fault>
    where
        B: Body<Data = Bytes> + Send + Unpin,
        B::Error: std::fmt::Display,
    {
        if body.is_end_stream() {
            return Ok((Bytes::new(), None));
        }
        let settings = &self.shared.settings;
        let within = tokio::time::timeout(
            ms(settings.body_ms),
            collected(body, settings.body_bytes, &self.shared.bodies),
        );
        match within.await {
            Err(_) => {
                let detail = format!("the body did not arrive within {} ms", settings.body_ms);
                Err(Fault::new(Code::RequestTimeout, detail))
            }
            Ok(Ok(held)) => Ok(held),
            Ok(Err(Unread::Full)) => {
                Err(Fault::new(Code::Unavailable, "too many bodies at one time, try again").retry_after_s(1))
            }
            Ok(Err(Unread::TooLarge)) => Err(body_too_large(settings.body_bytes)),
            Ok(Err(Unread::Broken(reason))) => {
                let by_guard = if version == Version::HTTP_2 { None } else { self.wire.refusal_of(nth) };
                Err(by_guard.unwrap_or_else(|| malformed("the body ended early").caused_by(reason)))
            }
        }
    }
}

/// Why a body was not read to its end.
enum Unread {
    TooLarge,
    /// The bound on all bodies is reached.
    Full,
    Broken(String),
}

/// The part of the bound on all bodies that one body holds; given back when it is dropped.
type Held = Option<OwnedSemaphorePermit>;

async fn collected<B>(mut body: B, most: usize, bodies: &Arc<Semaphore>) -> Result<(Bytes, Held), Unread>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut held: Held = None;
    while let Some(frame) = body.frame().await {
        // Trailers are dropped.
        let Ok(piece) = frame.map_err(|e| Unread::Broken(e.to_string()))?.into_data() else { continue };
        if first.len() + all.len() + piece.len() > most {
            return Err(Unread::TooLarge);
        }
        let bytes = u32::try_from(piece.len()).map_err(|_| Unread::TooLarge)?;
        let more = Arc::clone(bodies).try_acquire_many_owned(bytes).map_err(|_| Unread::Full)?;
        match &mut held {
            Some(held) => held.merge(more),
            None => held = Some(more),
        }
        // Most bodies are one piece, which need not be copied.
        if first.is_empty() && all.is_empty() {
            first = piece;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&piece);
        }
    }
    Ok((if all.is_empty() { first } else { all.freeze() }, held))
}

/// As they would be written in HTTP/1.
fn field_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
}

/// The answer to HEAD: the length that GET would have had, and no body.
fn without_body(response: Response<EdgeBody>) -> Response<EdgeBody> {
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    Response::from_parts(head, empty())
}
