//! The `tracing` subscriber of an installation: log lines through the filter of the settings, request spans to the exporter.
//! Each layer has its own filter, so that a quiet log does not end the traces and a loud one does not swell them.

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Dispatch, Level};
use tracing_subscriber::filter::{Directive, EnvFilter, LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use crate::settings::{LogFormat, TelemetrySettings};
use crate::span::TARGET;

/// Libraries whose debug output shows headers or what a collector answered: never below these levels in a log, unless a filter
/// names one of their modules.
const QUIET: [&str; 6] = [
    "h2=info",
    "hyper=info",
    "hyper_util=info",
    "tonic=info",
    "opentelemetry_otlp=info",
    "opentelemetry_sdk=info",
];

pub(crate) fn dispatch<W>(
    settings: &TelemetrySettings,
    traces: Option<&SdkTracerProvider>,
    coloured: bool,
    writer: W,
) -> Dispatch
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let mut layers = vec![log_layer(settings, coloured, writer)];
    if let Some(traces) = traces {
        layers.push(export_layer(traces));
    }
    Dispatch::new(tracing_subscriber::registry().with(layers))
}

fn log_layer<W>(
    settings: &TelemetrySettings,
    coloured: bool,
    writer: W,
) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = log_filter(settings);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match settings.log_format {
        LogFormat::Text => lines.with_ansi(coloured).with_filter(filter).boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_filter(filter).boxed()
        }
    }
}

/// The settings' filter, plus: request spans are always kept (a span prints nothing, but carries the request id into every
/// line below it and the trace from hop to hop), and [`QUIET`] libraries stay quiet in a debugging log.
fn log_filter(settings: &TelemetrySettings) -> EnvFilter {
    let mut filter = settings.log_filter().unwrap_or_default();
    let debugging = filter.max_level_hint().is_none_or(|level| level > LevelFilter::INFO);
    let quiet = if debugging { QUIET.as_slice() } else { &[] };
    let spans = format!("{TARGET}=info");
    for directive in quiet.iter().copied().chain([spans.as_str()]) {
        if let Ok(directive) = directive.parse::<Directive>() {
            filter = filter.add_directive(directive);
        }
    }
    filter
}

/// Request spans and nothing else: no log event, no span of a library.
fn export_layer(traces: &SdkTracerProvider) -> Box<dyn Layer<Registry> + Send + Sync> {
    tracing_opentelemetry::layer()
        .with_tracer(traces.tracer("beem"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        // Parents come from the tracing span and from headers; attaching a second context at every poll costs and adds nothing.
        .with_context_activation(false)
        .with_filter(Targets::new().with_target(TARGET, Level::DEBUG))
        .boxed()
}
