//! The instruments of an installation, named after the OpenTelemetry semantic conventions (HTTP: stable; RPC: release
//! candidate, which is the version that counts in seconds). Durations are seconds.
//!
//! Labels have few values, always: methods and routes come from the descriptor set, codes from closed sets, never an id, an
//! address or a path as sent. The SDK folds what passes 2,000 label sets an instrument into one marked `otel.metric.overflow`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};
use tonic::Code;

/// Upper bounds of the histograms' buckets in seconds: 100 µs to 10 s, two or three a decade.
const BUCKETS_S: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The instruments. Cheap to clone; recording works in memory only and never fails.
#[derive(Clone, Debug)]
pub struct Meters {
    shared: Arc<Instruments>,
}

#[derive(Debug)]
struct Instruments {
    meter: Meter,
    rpc_server: Histogram<f64>,
    rpc_client: Histogram<f64>,
    http_server: Histogram<f64>,
    counters: RwLock<HashMap<&'static str, Counter<u64>>>,
    gauges: RwLock<HashMap<&'static str, Gauge<i64>>>,
    histograms: RwLock<HashMap<&'static str, Histogram<f64>>>,
}

impl Meters {
    pub(crate) fn new(meter: Meter) -> Self {
        let seconds = |name: &'static str, description: &'static str| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(BUCKETS_S.to_vec())
                .build()
        };
        let rpc_server = seconds("rpc.server.call.duration", "duration of RPCs served");
        let rpc_client = seconds("rpc.client.call.duration", "duration of RPCs called");
        let http_server = seconds("http.server.request.duration", "duration of HTTP requests served");
        let (counters, gauges, histograms) = (RwLock::default(), RwLock::default(), RwLock::default());
        Self {
            shared: Arc::new(Instruments {
                meter,
                rpc_server,
                rpc_client,
                http_server,
                counters,
                gauges,
                histograms,
            }),
        }
    }

    /// Counts an RPC served (`rpc.server.call.duration`): `method` as `beem.identity.v1.Clients/CreateClient`.
    pub fn rpc_server(&self, method: &str, code: Code, seconds: f64) {
        self.shared.rpc_server.record(seconds, &rpc_labels(method, code));
    }

    /// Counts an RPC called (`rpc.client.call.duration`), as its client saw it.
    pub fn rpc_client(&self, method: &str, code: Code, seconds: f64) {
        self.shared.rpc_client.record(seconds, &rpc_labels(method, code));
    }

    /// Counts an HTTP request served (`http.server.request.duration`). `route` is the template of the route that matched,
    /// empty for none; an unknown `verb` counts as `_OTHER`.
    pub fn http_server(&self, verb: &str, route: &str, status: u16, seconds: f64) {
        let mut labels = Vec::with_capacity(4);
        labels.push(KeyValue::new("http.request.method", known_verb(verb)));
        labels.push(KeyValue::new("http.response.status_code", i64::from(status)));
        if !route.is_empty() {
            labels.push(KeyValue::new("http.route", route.to_owned()));
        }
        if status >= 500 {
            labels.push(KeyValue::new("error.type", status.to_string()));
        }
        self.shared.http_server.record(seconds, &labels);
    }

    /// Adds one to a counter, made at its first use: `counter("beem.gateway.refusals", &[("code", "digest-mismatch")])`.
    /// Names are dotted and without `total`, which Prometheus gets appended.
    pub fn counter(&self, name: &'static str, labels: &[(&'static str, &str)]) {
        let make = || self.shared.meter.u64_counter(name).build();
        instrument(&self.shared.counters, name, make).add(1, &key_values(labels));
    }

    /// Sets a gauge, made at its first use, to `value`.
    pub fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)], value: i64) {
        let make = || self.shared.meter.i64_gauge(name).build();
        instrument(&self.shared.gauges, name, make).record(value, &key_values(labels));
    }

    /// Enters how long something took into a histogram, made at its first use, from 100 µs to 10 s. Names end in
    /// `duration`; Prometheus gets `seconds` appended.
    pub fn seconds(&self, name: &'static str, labels: &[(&'static str, &str)], seconds: f64) {
        let make = || {
            let histogram = self.shared.meter.f64_histogram(name).with_unit("s");
            histogram.with_boundaries(BUCKETS_S.to_vec()).build()
        };
        instrument(&self.shared.histograms, name, make).record(seconds, &key_values(labels));
    }
}

/// The instrument called `name`, made once: the SDK aggregates two of one name apart.
fn instrument<I: Clone>(
    known: &RwLock<HashMap<&'static str, I>>,
    name: &'static str,
    make: impl FnOnce() -> I,
) -> I {
    if let Some(found) = known.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return found.clone();
    }
    known.write().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert_with(make).clone()
}

fn rpc_labels(method: &str, code: Code) -> Vec<KeyValue> {
    let mut labels = Vec::with_capacity(4);
    labels.push(KeyValue::new("rpc.system.name", "grpc"));
    labels.push(KeyValue::new("rpc.method", method.trim_start_matches('/').to_owned()));
    labels.push(KeyValue::new("rpc.response.status_code", code_name(code)));
    if code != Code::Ok {
        labels.push(KeyValue::new("error.type", code_name(code)));
    }
    labels
}

fn key_values(labels: &[(&'static str, &str)]) -> Vec<KeyValue> {
    labels.iter().map(|(key, value)| KeyValue::new(*key, (*value).to_owned())).collect()
}

/// A verb of RFC 9110 or RFC 5789, or `_OTHER`: a stranger must not be able to make up label values.
fn known_verb(verb: &str) -> Cow<'static, str> {
    const KNOWN: [&str; 9] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE"];
    Cow::Borrowed(KNOWN.into_iter().find(|known| *known == verb).unwrap_or("_OTHER"))
}

/// The code's name as in gRPC's status table.
pub(crate) const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
