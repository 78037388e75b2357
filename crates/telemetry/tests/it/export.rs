//! What reaches an OTLP collector: one trace over nested services, metrics in seconds, no secrets.

use std::collections::HashSet;

use beem_telemetry::{
    Secret, Telemetry, TelemetrySettings, client_outcome, client_span, http_outcome, http_span, inject,
    inject_span, server_outcome, server_span,
};
use http::HeaderMap;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use tonic::Code;
use tracing::Instrument;
use tracing::instrument::WithSubscriber;

use crate::collector::{Collector, attribute};

const METHOD: &str = "beem.identity.v1.Clients/CreateClient";
const SERVICE: &str = "beem.identity.v1.Clients";
const REMOTE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn exporting_to(collector: &Collector) -> TelemetrySettings {
    let authorization = Secret::new("Bearer collector-secret".to_owned());
    TelemetrySettings {
        log: "off".to_owned(),
        otlp_endpoint: Some(collector.endpoint.clone()),
        otlp_headers: [("authorization".to_owned(), authorization)].into(),
        ..TelemetrySettings::default()
    }
}

/// A gateway that serves a request and calls one service, which answers `code`.
async fn gateway(headers: HeaderMap, code: Code) {
    let edge = http_span("POST", "/platform/v1/clients", &headers);
    async {
        tracing::Span::current().record("request.id", "req-1");
        let call = client_span(METHOD, SERVICE);
        let mut inward = HeaderMap::new();
        inject_span(&call, &mut inward);
        identity(inward, code).instrument(call.clone()).await;
        client_outcome(&call, code);
        http_outcome(&tracing::Span::current(), 503);
    }
    .instrument(edge)
    .await;
}

async fn identity(headers: HeaderMap, code: Code) {
    let span = server_span(&format!("/{METHOD}"), &headers, SERVICE);
    async {
        tokio::task::yield_now().await;
        tracing::error!(password = "hunter2", "an event, which is not exported");
        server_outcome(&tracing::Span::current(), code);
    }
    .instrument(span)
    .await;
}

#[tokio::test]
async fn one_trace_spans_two_nested_services() {
    let collector = Collector::start().await;
    let telemetry = Telemetry::start(&exporting_to(&collector), "beem", "one").unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", REMOTE.parse().unwrap());
    headers.insert("tracestate", "vendor=1".parse().unwrap());
    gateway(headers, Code::Unavailable).with_subscriber(telemetry.dispatch(std::io::sink)).await;
    telemetry.shutdown().await;

    let spans = collector.spans();
    let kinds: HashSet<_> = spans.iter().map(|span| (span.name.as_str(), span.kind)).collect();
    // OTLP: 2 is server, 3 is client.
    assert_eq!(kinds, HashSet::from([("POST /platform/v1/clients", 2), (METHOD, 3), (METHOD, 2)]));
    for span in &spans {
        assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.trace_state, "vendor=1");
        assert_eq!(span.status.as_ref().unwrap().code, 2, "{} failed", span.name);
        assert!(span.events.is_empty());
    }
    let of = |name: &str, kind: i32| spans.iter().find(|s| s.name == name && s.kind == kind).unwrap();
    let (edge, call, served) = (of("POST /platform/v1/clients", 2), of(METHOD, 3), of(METHOD, 2));
    assert_eq!(hex(&edge.parent_span_id), "b7ad6b7169203331");
    assert_eq!(call.parent_span_id, edge.span_id);
    assert_eq!(served.parent_span_id, call.span_id);
    assert_eq!(attribute(&served.attributes, "rpc.system").unwrap(), "grpc");
    assert_eq!(attribute(&served.attributes, "rpc.service").unwrap(), SERVICE);
    assert_eq!(attribute(&served.attributes, "rpc.method").unwrap(), METHOD);
    assert_eq!(attribute(&served.attributes, "rpc.response.status_code").unwrap(), "UNAVAILABLE");
    assert_eq!(attribute(&edge.attributes, "request.id").unwrap(), "req-1");
    let resource = collector.resource_of_spans();
    assert_eq!(attribute(&resource, "service.name").unwrap(), "beem");
    assert_eq!(attribute(&resource, "service.instance.id").unwrap(), "one");
    assert!(collector.authorizations().iter().all(|value| value == "Bearer collector-secret"));
    assert!(!collector.authorizations().is_empty());
}

#[tokio::test]
async fn no_header_but_the_trace_headers_is_recorded() {
    let collector = Collector::start().await;
    let telemetry = Telemetry::start(&exporting_to(&collector), "beem", "one").unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", REMOTE.parse().unwrap());
    for name in [
        "authorization",
        "cookie",
        "signature",
        "signature-input",
        "x-forwarded-for",
        "user-agent",
        "baggage",
    ] {
        headers.insert(name, format!("secret-of-{name}").parse().unwrap());
    }
    gateway(headers, Code::Ok).with_subscriber(telemetry.dispatch(std::io::sink)).await;
    telemetry.meters().http_server("POST", "/platform/v1/clients", 201, 0.001);
    telemetry.shutdown().await;

    assert_eq!(collector.spans().len(), 3);
    let everything = collector.everything();
    for secret in ["secret-of", "hunter2", "collector-secret"] {
        assert!(!everything.contains(secret), "{secret} was exported");
    }
}

#[tokio::test]
async fn a_callers_decision_not_to_sample_holds_and_travels_on() {
    let collector = Collector::start().await;
    let telemetry = Telemetry::start(&exporting_to(&collector), "beem", "one").unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", REMOTE.replace("-01", "-00").parse().unwrap());
    let onward = async {
        let mut onward = HeaderMap::new();
        async { inject(&mut onward) }.instrument(server_span(METHOD, &headers, SERVICE)).await;
        onward
    }
    .with_subscriber(telemetry.dispatch(std::io::sink))
    .await;
    telemetry.shutdown().await;
    let parent = onward.get("traceparent").unwrap().to_str().unwrap();
    assert!(
        parent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && parent.ends_with("-00"),
        "{parent}"
    );
    assert!(collector.spans().is_empty());
}

#[tokio::test]
async fn metrics_are_exported_in_seconds() {
    let collector = Collector::start().await;
    let telemetry = Telemetry::start(&exporting_to(&collector), "beem", "one").unwrap();
    let meters = telemetry.meters();
    meters.rpc_server(METHOD, Code::Ok, 0.0002);
    meters.rpc_client(METHOD, Code::NotFound, 0.002);
    meters.http_server("GET", "/platform/v1/clients", 200, 0.02);
    meters.counter("beem.gateway.refusals", &[("code", "digest-mismatch")]);
    telemetry.shutdown().await;

    let metrics = collector.metrics();
    for name in ["rpc.server.call.duration", "rpc.client.call.duration", "http.server.request.duration"] {
        let metric = metrics.iter().find(|metric| metric.name == name).unwrap();
        assert_eq!(metric.unit, "s", "{name}");
        let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{name} is a histogram") };
        let bounds = &histogram.data_points[0].explicit_bounds;
        assert_eq!((bounds[0], bounds[bounds.len() - 1]), (0.0001, 10.0));
    }
    assert!(metrics.iter().any(|metric| metric.name == "beem.gateway.refusals"));
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_nothing_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = TelemetrySettings {
        log: "off".to_owned(),
        otlp_endpoint: Some(format!("http://{}", silent.local_addr().unwrap())),
        ..TelemetrySettings::default()
    };
    let telemetry = Telemetry::start(&settings, "beem", "one").unwrap();
    gateway(HeaderMap::new(), Code::Ok).with_subscriber(telemetry.dispatch(std::io::sink)).await;
    let begun = tokio::time::Instant::now();
    telemetry.shutdown().await;
    assert!(begun.elapsed() < std::time::Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[test]
fn exporting_needs_a_runtime() {
    let settings = TelemetrySettings {
        otlp_endpoint: Some("http://127.0.0.1:1".to_owned()),
        ..TelemetrySettings::default()
    };
    assert!(Telemetry::start(&settings, "beem", "one").unwrap_err().to_string().contains("runtime"));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
