//! Log lines: the request id in every one of a request, at every level, and no header or library debug output.

use std::io::Write;
use std::sync::{Arc, Mutex};

use beem_telemetry::{LogFormat, Telemetry, TelemetrySettings, server_span};
use http::HeaderMap;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is logged while a request with secrets in its headers is served.
fn logged(log: &str, log_format: LogFormat) -> String {
    let settings = TelemetrySettings { log: log.to_owned(), log_format, ..TelemetrySettings::default() };
    let telemetry = Telemetry::start(&settings, "beem", "one").unwrap();
    let lines = Lines::default();
    let written = lines.clone();
    tracing::dispatcher::with_default(&telemetry.dispatch(move || written.clone()), || {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer hunter2".parse().unwrap());
        let span = server_span("a.B/C", &headers, "a.B");
        span.record("request.id", "req-1");
        span.in_scope(|| {
            tracing::warn!("a warning");
            tracing::debug!(target: "hyper::proto", "authorization: Bearer hunter2");
        });
    });
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_line_carries_its_request_id_at_every_level() {
    for log in ["debug", "info", "warn", "trace,hyper=trace"] {
        for format in [LogFormat::Text, LogFormat::Json] {
            let lines = logged(log, format);
            assert_eq!(lines.lines().count(), 1, "{lines}");
            assert!(lines.contains("a warning") && lines.contains("req-1"), "{lines}");
            assert!(!lines.contains("hunter2"), "{lines}");
        }
    }
}

#[test]
fn a_json_line_is_one_object() {
    let line: serde_json::Value = serde_json::from_str(logged("info", LogFormat::Json).trim()).unwrap();
    assert_eq!((&line["level"], &line["message"]), (&"WARN".into(), &"a warning".into()));
    assert_eq!(line["spans"][0]["request.id"], "req-1");
}

#[test]
fn off_logs_nothing() {
    assert_eq!(logged("off", LogFormat::Text), "");
}

#[test]
fn installing_twice_is_harmless() {
    let telemetry = Telemetry::off();
    telemetry.install_subscriber();
    telemetry.install_subscriber();
}
