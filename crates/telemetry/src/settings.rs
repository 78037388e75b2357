//! The `[telemetry]` section of the settings: what is logged, how, and where traces and metrics go.

use std::collections::BTreeMap;

use http::Uri;
use serde::{Deserialize, Serialize};
use tonic::metadata::{AsciiMetadataKey, MetadataMap, MetadataValue};
use tracing_subscriber::EnvFilter;

use crate::telemetry::TelemetryError;
use beem_settings::{Secret, redact_url};

/// How a log line is written to the standard error stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// What is logged, how, and where traces and metrics go.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// Log filter in the syntax of `tracing_subscriber::EnvFilter`, for example `info,beem_gateway=debug`. Default `info`.
    pub log: String,
    /// Default `text`.
    pub log_format: LogFormat,
    /// The OTLP collector's gRPC address, `http://host:4317` or `https://…`. Without it nothing is exported.
    pub otlp_endpoint: Option<String>,
    /// Headers sent with every export, such as `authorization`. Names in lower case.
    pub otlp_headers: BTreeMap<String, Secret<String>>,
    /// Seconds between two exports of metrics, 1 to 3600. Default 15.
    pub metrics_interval_s: u32,
    /// The part of new traces that is exported, 0 to 1. Default 1. A caller's own sampling decision (the flag in its
    /// `traceparent`) goes before it, so that a trace is exported by all services or by none.
    pub trace_sample_ratio: f64,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            otlp_endpoint: None,
            otlp_headers: BTreeMap::new(),
            metrics_interval_s: 15,
            trace_sample_ratio: 1.0,
        }
    }
}

impl TelemetrySettings {
    /// Checks every field.
    ///
    /// # Errors
    /// [`TelemetryError::Setting`] naming the first field that cannot be used; the text holds no secret.
    pub fn validate(&self) -> Result<(), TelemetryError> {
        self.log_filter()?;
        if let Some(endpoint) = &self.otlp_endpoint {
            check_endpoint(endpoint)?;
        }
        self.otlp_metadata()?;
        if !(1..=3600).contains(&self.metrics_interval_s) {
            return Err(refused("metrics_interval_s", "must be 1 to 3600 seconds"));
        }
        if !(0.0..=1.0).contains(&self.trace_sample_ratio) {
            return Err(refused("trace_sample_ratio", "must be 0 to 1"));
        }
        Ok(())
    }

    /// The parsed log filter.
    pub(crate) fn log_filter(&self) -> Result<EnvFilter, TelemetryError> {
        EnvFilter::try_new(&self.log).map_err(|e| refused("log", &format!("is not a log filter: {e}")))
    }

    /// The headers of every export, marked sensitive.
    pub(crate) fn otlp_metadata(&self) -> Result<MetadataMap, TelemetryError> {
        let mut metadata = MetadataMap::new();
        for (name, value) in &self.otlp_headers {
            let known = AsciiMetadataKey::from_bytes(name.as_bytes())
                .map_err(|_| refused("otlp_headers", &format!("`{name}` is not a header name")))?;
            let mut held = MetadataValue::try_from(value.expose()).map_err(|_| {
                refused("otlp_headers", &format!("the value of `{name}` is not visible ascii"))
            })?;
            held.set_sensitive(true);
            metadata.insert(known, held);
        }
        Ok(metadata)
    }
}

/// A collector's address is scheme, host and port; credentials belong into `otlp_headers`, where they are kept secret.
fn check_endpoint(endpoint: &str) -> Result<(), TelemetryError> {
    let shown = redact_url(endpoint);
    let address: Uri =
        endpoint.parse().map_err(|_| refused("otlp_endpoint", &format!("`{shown}` is not a url")))?;
    if !matches!(address.scheme_str(), Some("http" | "https")) {
        return Err(refused("otlp_endpoint", &format!("`{shown}` must begin with http:// or https://")));
    }
    let authority = address.authority().map_or("", http::uri::Authority::as_str);
    if authority.is_empty() || authority.contains('@') {
        return Err(refused("otlp_endpoint", "must name a host, without credentials: use otlp_headers"));
    }
    Ok(())
}

fn refused(field: &'static str, problem: &str) -> TelemetryError {
    TelemetryError::Setting { field, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> TelemetrySettings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_defaults_are_valid_and_survive_a_round_trip() {
        let written = serde_json::to_string(&TelemetrySettings::default()).unwrap();
        let read = settings(&written);
        read.validate().unwrap();
        assert_eq!(read.log, "info");
        assert_eq!(serde_json::to_string(&read).unwrap(), written);
    }

    #[test]
    fn a_field_that_cannot_be_used_is_named_without_its_secret() {
        for (json, field) in [
            (r#"{"log": "beem=loud"}"#, "log"),
            (r#"{"otlp_endpoint": "collector:4317"}"#, "otlp_endpoint"),
            (r#"{"otlp_endpoint": "ftp://collector"}"#, "otlp_endpoint"),
            (r#"{"otlp_endpoint": "http://user:hunter2@collector:4317"}"#, "otlp_endpoint"),
            (r#"{"otlp_endpoint": "not a url with hunter2"}"#, "otlp_endpoint"),
            (r#"{"otlp_headers": {"Bad Name": "x"}}"#, "otlp_headers"),
            (r#"{"otlp_headers": {"authorization": "hunter2\n"}}"#, "otlp_headers"),
            (r#"{"metrics_interval_s": 0}"#, "metrics_interval_s"),
            (r#"{"trace_sample_ratio": 1.5}"#, "trace_sample_ratio"),
        ] {
            let error = settings(json).validate().expect_err(json).to_string();
            assert!(error.contains(field), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(serde_json::from_str::<TelemetrySettings>(r#"{"otlp_endpiont": "http://x"}"#).is_err());
    }

    #[test]
    fn headers_do_not_show_in_debug_output() {
        let held = settings(r#"{"otlp_headers": {"authorization": "Bearer hunter2"}}"#);
        let metadata = held.otlp_metadata().unwrap();
        assert_eq!(metadata.get("authorization").unwrap(), "Bearer hunter2");
        assert!(!format!("{held:?} {metadata:?}").contains("hunter2"));
    }
}
