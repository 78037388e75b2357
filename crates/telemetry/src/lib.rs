//! What an installation tells its operators: logs, traces and metrics, and the guard that keeps secrets out of all three.
//!
//! - [`Telemetry`] holds the providers. There is no global one, because two whole clusters run in one test process; only the
//!   `tracing` subscriber is global, and only the binary installs it ([`Telemetry::install_subscriber`]).
//! - [`Meters`] are the instruments, exported over OTLP when configured and always readable as Prometheus text.
//! - [`server_span`], [`http_span`] and [`client_span`] make the spans of requests and carry W3C Trace Context between services,
//!   with OTLP and without it. Without it no OpenTelemetry span is made: an incoming `traceparent` (or a fresh one) rides along
//!   in the `tracing` span and is passed on unchanged, at about a third of the cost of an SDK span that nobody collects.
//! - [`Secret`] and [`redact_url`] keep passwords out of logs, errors and settings dumps.
//!
//! Only request spans made here are exported, never log events, and no header but `traceparent` and `tracestate` is read.

mod context;
mod meters;

mod settings;
mod span;
mod subscriber;
mod telemetry;

pub use beem_settings::{Secret, redact_url};
pub use meters::Meters;
pub use settings::{LogFormat, TelemetrySettings};
pub use span::{
    client_outcome, client_span, http_outcome, http_span, inject, inject_span, server_outcome, server_span,
};
pub use telemetry::{Telemetry, TelemetryError};
