//! The spans of requests: one on the server's side of every call, and, when traces are exported, one on the client's side.
//! All carry the target [`TARGET`], by which the exporting layer and the log filter know them from any other span.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tonic::Code;
use tracing::field::Empty;
use tracing::{Dispatch, Span, span};
use tracing_opentelemetry::{OpenTelemetrySpanExt, get_otel_context};
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

use crate::context;
use crate::meters::code_name;

/// The target of request spans.
pub(crate) const TARGET: &str = "beem::request";

/// The trace a span belongs to while nothing is exported: kept beside the `tracing` span, passed on as it came.
struct Carried(SpanContext);

/// The span of an RPC as its server sees it, the child of the remote `traceparent` in `headers` (none, or a malformed one,
/// begins a new trace). No other header is read.
///
/// `name` is the full method, `beem.identity.v1.Clients/CreateClient` (a leading slash is dropped), and `service` its service,
/// `beem.identity.v1.Clients`: both from the descriptor set, never from the wire, so that their number stays small.
/// `request.id` is empty until recorded with `span.record("request.id", …)`; see [`server_outcome`] for the rest.
#[must_use]
pub fn server_span(name: &str, headers: &HeaderMap, service: &str) -> Span {
    let name = name.trim_start_matches('/');
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "rpc",
        "otel.name" = name,
        "otel.kind" = "server",
        "otel.status_code" = Empty,
        "rpc.system" = "grpc",
        "rpc.service" = service,
        "rpc.method" = name,
        "rpc.response.status_code" = Empty,
        "request.id" = Empty,
    );
    adopt(&span, headers);
    span
}

/// The span of an HTTP request at the edge, like [`server_span`]. `route` is the template, `/platform/v1/clients/{id}`, never
/// the path that was sent; empty when nothing matched.
#[must_use]
pub fn http_span(verb: &str, route: &str, headers: &HeaderMap) -> Span {
    let name = if route.is_empty() { verb.to_owned() } else { format!("{verb} {route}") };
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "http",
        "otel.name" = name,
        "otel.kind" = "server",
        "otel.status_code" = Empty,
        "http.request.method" = verb,
        "http.route" = route,
        "http.response.status_code" = Empty,
        "request.id" = Empty,
    );
    adopt(&span, headers);
    span
}

/// The span of an RPC as its client sees it, the child of the current span; names as in [`server_span`]. Disabled (and free)
/// unless traces are exported: logs have no use for it. Send it on with [`inject_span`], which then falls back to the current
/// span.
#[must_use]
pub fn client_span(name: &str, service: &str) -> Span {
    let name = name.trim_start_matches('/');
    tracing::debug_span!(
        target: TARGET,
        "rpc",
        "otel.name" = name,
        "otel.kind" = "client",
        "otel.status_code" = Empty,
        "rpc.system" = "grpc",
        "rpc.service" = service,
        "rpc.method" = name,
        "rpc.response.status_code" = Empty,
    )
}

/// Writes `traceparent` and `tracestate` of the current span, replacing what stands there. Without a request span in scope
/// (or without a subscriber) nothing is written.
pub fn inject(headers: &mut HeaderMap) {
    if let Some(span) = span_context(&Span::current()) {
        context::write(&span, headers);
    }
}

/// [`inject`] for `span`, or for the current one when `span` is disabled.
pub fn inject_span(span: &Span, headers: &mut HeaderMap) {
    match span_context(span) {
        Some(span) => context::write(&span, headers),
        None => inject(headers),
    }
}

/// Records how a served RPC ended. Only what is the server's fault makes the span an error (OpenTelemetry, gRPC conventions).
pub fn server_outcome(span: &Span, code: Code) {
    span.record("rpc.response.status_code", code_name(code));
    let servers_fault = matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    );
    if servers_fault {
        span.record("otel.status_code", "ERROR");
    }
}

/// Records how a call ended for its client: anything but OK is an error.
pub fn client_outcome(span: &Span, code: Code) {
    span.record("rpc.response.status_code", code_name(code));
    if code != Code::Ok {
        span.record("otel.status_code", "ERROR");
    }
}

/// Records the status of an HTTP answer; 500 and above is an error.
pub fn http_outcome(span: &Span, status: u16) {
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// Makes `span` a child of the remote span in `headers`. Without an exporting layer the remote context, or a fresh one, is
/// kept beside the span instead.
fn adopt(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() {
        return;
    }
    let remote = context::read(headers);
    let parent =
        remote.as_ref().map_or_else(Context::new, |r| Context::new().with_remote_span_context(r.clone()));
    if span.set_parent(parent).is_err() {
        carry(span, Carried(remote.unwrap_or_else(context::fresh)));
    }
}

fn carry(span: &Span, carried: Carried) {
    span.with_subscriber(|(id, dispatch)| {
        let kept = dispatch.downcast_ref::<Registry>().and_then(|registry| registry.span(id));
        if let Some(kept) = kept {
            kept.extensions_mut().insert(carried);
        }
    });
}

/// The nearest trace context at `span` or above it.
fn span_context(span: &Span) -> Option<SpanContext> {
    span.with_subscriber(|(id, dispatch)| context_above(id, dispatch)).flatten()
}

fn context_above(id: &span::Id, dispatch: &Dispatch) -> Option<SpanContext> {
    let registry = dispatch.downcast_ref::<Registry>()?;
    registry.span(id)?.scope().find_map(|span| {
        // The guard of the extensions is dropped here: the exporting layer takes it again.
        let carried = span.extensions().get::<Carried>().map(|carried| carried.0.clone());
        carried.or_else(|| {
            let exported = get_otel_context(&span.id(), dispatch)?;
            let context = exported.span().span_context().clone();
            context.is_valid().then_some(context)
        })
    })
}
