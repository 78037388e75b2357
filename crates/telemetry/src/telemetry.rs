//! [`Telemetry`]: the providers of traces and metrics of one installation, started from settings and passed around.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::sync::oneshot;
use tonic::transport::ClientTlsConfig;
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::meters::Meters;
use crate::settings::TelemetrySettings;
use crate::subscriber;

/// What [`Telemetry::shutdown`] may take.
const FLUSH_S: u64 = 5;
/// What one export may take.
const EXPORT_S: u64 = 4;

/// Why telemetry did not start. No text here holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A setting cannot be used.
    #[error("telemetry.{field} {problem}")]
    Setting { field: &'static str, problem: String },
    /// Exporting was asked for outside a Tokio runtime, on which the exporter's connection lives.
    #[error("telemetry with an otlp endpoint must start inside a tokio runtime")]
    NoRuntime,
    /// The exporter could not be built, for example because no root certificate was found.
    #[error("the otlp exporter could not be built")]
    Exporter(#[source] Box<ExporterBuildError>),
    /// The Prometheus reader could not be built.
    #[error("the metrics reader could not be built")]
    Metrics(#[source] OTelSdkError),
}

/// The providers of one installation. Cheap to clone; all clones are the same.
#[derive(Clone, Debug)]
pub struct Telemetry {
    shared: Arc<Providers>,
}

#[derive(Debug)]
struct Providers {
    settings: TelemetrySettings,
    /// `None` while nothing is exported.
    traces: Option<SdkTracerProvider>,
    metrics: SdkMeterProvider,
    meters: Meters,
    registry: prometheus::Registry,
}

impl Telemetry {
    /// Starts what `settings` ask for. `service_name` and `instance` become the resource's `service.name` and
    /// `service.instance.id`. The collector is not waited for: while it is away, spans are dropped and metrics wait.
    ///
    /// # Errors
    /// [`TelemetryError`], when a setting cannot be used or exporting is asked for outside a Tokio runtime.
    pub fn start(
        settings: &TelemetrySettings,
        service_name: &str,
        instance: &str,
    ) -> Result<Self, TelemetryError> {
        settings.validate()?;
        let resource = Resource::builder()
            .with_service_name(service_name.to_owned())
            .with_attributes([
                KeyValue::new("service.instance.id", instance.to_owned()),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            .build();
        let registry = prometheus::Registry::new();
        let scraped = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(TelemetryError::Metrics)?;
        let metrics = SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(scraped);
        let (traces, metrics) = match settings.otlp_endpoint.as_deref() {
            None => (None, metrics),
            Some(endpoint) => {
                if tokio::runtime::Handle::try_current().is_err() {
                    return Err(TelemetryError::NoRuntime);
                }
                let pushed = PeriodicReader::builder(metric_exporter(settings, endpoint)?)
                    .with_interval(Duration::from_secs(u64::from(settings.metrics_interval_s)))
                    .build();
                (Some(tracer_provider(settings, endpoint, resource)?), metrics.with_reader(pushed))
            }
        };
        let metrics = metrics.build();
        let meters = Meters::new(metrics.meter("beem"));
        let settings = settings.clone();
        Ok(Self { shared: Arc::new(Providers { settings, traces, metrics, meters, registry }) })
    }

    /// Telemetry that exports and logs nothing; its meters count and can be read as text. For tests.
    #[must_use]
    pub fn off() -> Self {
        let settings = TelemetrySettings { log: "off".to_owned(), ..TelemetrySettings::default() };
        #[expect(clippy::expect_used, reason = "fixed settings that a test of this crate starts with")]
        Self::start(&settings, "beem", "off").expect("telemetry without an exporter starts")
    }

    /// The instruments.
    #[must_use]
    pub fn meters(&self) -> &Meters {
        &self.shared.meters
    }

    /// Makes this telemetry's subscriber the process's: logs to the standard error stream, request spans to the collector.
    /// For the binary alone. The first call of a process counts; a later one changes nothing.
    pub fn install_subscriber(&self) {
        let coloured = std::io::stderr().is_terminal();
        let dispatch = self.dispatch_to(coloured, std::io::stderr);
        if dispatch.try_init().is_err() {
            tracing::debug!("a tracing subscriber is installed already");
        }
    }

    /// The subscriber, with log lines going to `writer`: for tests that look at logs, or that run two installations apart.
    #[must_use]
    pub fn dispatch<W>(&self, writer: W) -> Dispatch
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        self.dispatch_to(false, writer)
    }

    fn dispatch_to<W>(&self, coloured: bool, writer: W) -> Dispatch
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        subscriber::dispatch(&self.shared.settings, self.shared.traces.as_ref(), coloured, writer)
    }

    /// All metrics in Prometheus' text format 0.0.4, for an admin port. Names as in OpenTelemetry's mapping:
    /// `rpc_server_call_duration_seconds`, `beem_gateway_refusals_total`.
    #[must_use]
    pub fn prometheus_text(&self) -> String {
        prometheus::TextEncoder::new().encode_to_string(&self.shared.registry.gather()).unwrap_or_else(
            |error| {
                tracing::error!(%error, "metrics could not be written");
                String::new()
            },
        )
    }

    /// Sends what has not been sent and ends both exporters; at most 5 s. Metrics cannot be read after it. Without an exporter
    /// there is nothing to do. Dropping an exporting telemetry without it blocks the dropping thread instead.
    pub async fn shutdown(&self) {
        let Some(traces) = self.shared.traces.clone() else { return };
        let metrics = self.shared.metrics.clone();
        let limit = Duration::from_secs(FLUSH_S);
        // Threads of their own: both calls block, neither is sure to end in time, and the runtime's blocking threads would
        // hold up its end. They wait for the exporters' connection, which lives on this runtime.
        let flushes = [
            flush("flush-traces", move || traces.shutdown_with_timeout(limit)),
            flush("flush-metrics", move || metrics.shutdown_with_timeout(limit)),
        ];
        let ended = async {
            for flush in flushes {
                if let Ok(Err(error)) = flush.await {
                    tracing::warn!(%error, "telemetry was not flushed");
                }
            }
        };
        if tokio::time::timeout(limit, ended).await.is_err() {
            tracing::warn!(limit_s = FLUSH_S, "telemetry was not flushed in time");
        }
    }
}

/// Runs a blocking `flush` on a thread of its own. The receiver fails at once when there is no thread to be had.
fn flush(
    name: &str,
    flush: impl FnOnce() -> OTelSdkResult + Send + 'static,
) -> oneshot::Receiver<OTelSdkResult> {
    let (done, ended) = oneshot::channel();
    let work = move || {
        // Nobody waits any longer when the receiver is gone.
        let _unheard = done.send(flush());
    };
    if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::warn!(%error, "telemetry was not flushed");
    }
    ended
}

fn tracer_provider(
    settings: &TelemetrySettings,
    endpoint: &str,
    resource: Resource,
) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(Duration::from_secs(EXPORT_S))
        .with_metadata(settings.otlp_metadata()?);
    let exporter = if is_https(endpoint) { exporter.with_tls_config(system_roots()) } else { exporter };
    let exporter = exporter.build().map_err(|error| TelemetryError::Exporter(Box::new(error)))?;
    let ratio = Sampler::TraceIdRatioBased(settings.trace_sample_ratio);
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(ratio)))
        .with_resource(resource)
        .build())
}

fn metric_exporter(settings: &TelemetrySettings, endpoint: &str) -> Result<MetricExporter, TelemetryError> {
    let exporter = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(Duration::from_secs(EXPORT_S))
        .with_metadata(settings.otlp_metadata()?);
    let exporter = if is_https(endpoint) { exporter.with_tls_config(system_roots()) } else { exporter };
    exporter.build().map_err(|error| TelemetryError::Exporter(Box::new(error)))
}

/// Validated settings hold only `http` and `https`, in any case.
fn is_https(endpoint: &str) -> bool {
    endpoint.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
}

/// Trusts the machine's root certificates. Only for https: a machine without any may still export in the clear.
fn system_roots() -> ClientTlsConfig {
    ClientTlsConfig::new().with_enabled_roots()
}
