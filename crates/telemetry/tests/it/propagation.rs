//! The trace context between services while nothing is exported.

use beem_telemetry::{Telemetry, client_span, inject, inject_span, server_span};
use http::HeaderMap;

const METHOD: &str = "beem.authz.v1.Authz/Check";
const SERVICE: &str = "beem.authz.v1.Authz";
const REMOTE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What a service that was called with `headers` sends onward.
fn onward(headers: &HeaderMap) -> HeaderMap {
    let mut onward = HeaderMap::new();
    let served = server_span(METHOD, headers, SERVICE);
    served.in_scope(|| {
        let call = client_span(METHOD, SERVICE);
        inject_span(&call, &mut onward);
    });
    onward
}

fn quiet<T>(work: impl FnOnce() -> T) -> T {
    tracing::dispatcher::with_default(&Telemetry::off().dispatch(std::io::sink), work)
}

fn parent(headers: &HeaderMap) -> String {
    headers.get("traceparent").unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_traceparent_is_passed_on_as_it_came() {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", REMOTE.parse().unwrap());
    headers.insert("tracestate", "vendor=1".parse().unwrap());
    let sent = quiet(|| onward(&onward(&headers)));
    assert_eq!(parent(&sent), REMOTE);
    assert_eq!(sent.get("tracestate").unwrap(), "vendor=1");
    assert_eq!(sent.len(), 2);
}

#[test]
fn a_request_without_one_gets_a_trace_that_stays_the_same() {
    quiet(|| {
        let first = onward(&HeaderMap::new());
        assert_eq!(parent(&onward(&first)), parent(&first));
        assert!(parent(&first).ends_with("-00"), "nobody records it: {}", parent(&first));
        assert_ne!(parent(&onward(&HeaderMap::new())), parent(&first));
    });
}

#[test]
fn a_malformed_traceparent_is_ignored() {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", REMOTE.replace("0af7", "ZZZZ").parse().unwrap());
    headers.insert("tracestate", "vendor=1".parse().unwrap());
    let sent = quiet(|| onward(&headers));
    assert!(!parent(&sent).contains("ZZZZ") && !parent(&sent).contains("651916cd43dd8448eb211c80319c"));
    assert!(sent.get("tracestate").is_none(), "the state belongs to the trace that was dropped");
}

#[test]
fn inner_spans_find_the_request_they_belong_to() {
    quiet(|| {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", REMOTE.parse().unwrap());
        let served = server_span(METHOD, &headers, SERVICE).entered();
        let _inner = tracing::error_span!("a span of some library").entered();
        let mut sent = HeaderMap::new();
        inject(&mut sent);
        drop(served);
        assert_eq!(parent(&sent), REMOTE);
    });
}

#[test]
fn outside_a_request_nothing_is_written() {
    let mut headers = HeaderMap::new();
    quiet(|| inject(&mut headers));
    inject(&mut headers);
    assert!(headers.is_empty());
}
