//! The Prometheus text, checked line by line against the exposition format 0.0.4.

use std::collections::HashMap;

use beem_telemetry::Telemetry;
use tonic::Code;

/// Samples by name and sorted labels; panics on a line that is not of the format or a family without a type before it.
fn parse(text: &str) -> (HashMap<String, f64>, HashMap<String, String>) {
    let (mut samples, mut types) = (HashMap::new(), HashMap::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} has one type");
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) =
                series.split_once('{').map_or((series, ""), |(n, l)| (n, l.strip_suffix('}').unwrap()));
            assert!(plain(name), "{line}");
            for (label, value) in pairs(labels) {
                assert!(plain(&label) && !value.contains('\n'), "{line}");
            }
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix).filter(|family| types.contains_key(*family)))
                .unwrap_or(name);
            assert!(types.contains_key(family), "{line} has no type");
            assert!(
                samples.insert(series.to_owned(), value.parse().unwrap()).is_none(),
                "{line} stands twice"
            );
        }
    }
    (samples, types)
}

fn plain(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// `a="b",c="d"` with `\\`, `\"` and `\n` escaped.
fn pairs(labels: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = labels;
    while let Some((name, after)) = rest.split_once("=\"") {
        let (mut value, mut characters) = (String::new(), after.chars());
        loop {
            match characters.next().expect("a closing quote") {
                '"' => break,
                '\\' => value.push(characters.next().unwrap()),
                other => value.push(other),
            }
        }
        pairs.push((name.to_owned(), value));
        rest = characters.as_str().trim_start_matches(',');
    }
    assert!(rest.is_empty(), "{labels}");
    pairs
}

#[test]
fn the_text_parses_and_holds_cumulative_histograms() {
    let telemetry = Telemetry::off();
    let meters = telemetry.meters();
    for seconds in [0.000_05, 0.003, 0.003, 99.0] {
        meters.rpc_server("/a.B/C", Code::Ok, seconds);
    }
    meters.rpc_client("a.B/C", Code::Unavailable, 0.5);
    meters.http_server("GET", "/platform/v1/clients/{id}", 500, 0.01);
    let (samples, types) = parse(&telemetry.prometheus_text());

    assert_eq!(types["rpc_server_call_duration_seconds"], "histogram");
    let labels = r#"rpc_method="a.B/C",rpc_response_status_code="OK",rpc_system_name="grpc""#;
    let bucket =
        |le: &str| samples[&format!("rpc_server_call_duration_seconds_bucket{{{labels},le=\"{le}\"}}")];
    assert_eq!((bucket("0.0001"), bucket("0.0025"), bucket("0.005")), (1.0, 1.0, 3.0));
    assert_eq!((bucket("10"), bucket("+Inf")), (3.0, 4.0));
    assert_eq!(samples[&format!("rpc_server_call_duration_seconds_count{{{labels}}}")], 4.0);
    assert!(
        samples
            .keys()
            .any(|s| s.starts_with("rpc_client_call_duration_seconds") && s.contains("UNAVAILABLE"))
    );
    assert!(
        samples.keys().any(|s| s.starts_with("http_server_request_duration_seconds") && s.contains("{id}"))
    );
    assert!(samples.keys().any(|s| s.starts_with("target_info") && s.contains(r#"service_name="beem""#)));
}

#[test]
fn counters_gauges_and_histograms_are_made_once_and_escape_their_labels() {
    let telemetry = Telemetry::off();
    let meters = telemetry.meters().clone();
    for _ in 0..3 {
        meters.counter("beem.gateway.refusals", &[("code", "digest-mismatch")]);
    }
    meters.gauge("beem.connections", &[("kind", "a \"quoted\\\" name\n")], 7);
    meters.gauge("beem.connections", &[("kind", "a \"quoted\\\" name\n")], 5);
    for seconds in [0.002, 0.2, 20.0] {
        meters.seconds("beem.ledger.group.duration", &[("outcome", "committed")], seconds);
    }
    let (samples, types) = parse(&telemetry.prometheus_text());
    assert_eq!(types["beem_ledger_group_duration_seconds"], "histogram");
    let of = |rest: &str| samples[&format!("beem_ledger_group_duration_seconds{rest}")];
    assert_eq!(of(r#"_count{outcome="committed"}"#), 3.0);
    assert_eq!(of(r#"_bucket{outcome="committed",le="0.25"}"#), 2.0);
    assert_eq!(samples[r#"beem_gateway_refusals_total{code="digest-mismatch"}"#], 3.0);
    assert_eq!(types["beem_connections"], "gauge");
    assert_eq!(samples.iter().find(|(series, _)| series.starts_with("beem_connections{")).unwrap().1, &5.0);
}

#[test]
fn a_verb_made_up_by_a_stranger_makes_no_series() {
    let telemetry = Telemetry::off();
    for verb in ["BREW", "get", "PROPFIND"] {
        telemetry.meters().http_server(verb, "", 405, 0.0001);
    }
    let (samples, _) = parse(&telemetry.prometheus_text());
    let counts: Vec<_> =
        samples.iter().filter(|(s, _)| s.starts_with("http_server_request_duration_seconds_count")).collect();
    assert_eq!(counts.len(), 1, "{counts:?}");
    assert!(counts[0].0.contains("_OTHER") && *counts[0].1 == 3.0);
}

#[test]
fn two_installations_in_one_process_count_apart() {
    let (one, other) = (Telemetry::off(), Telemetry::off());
    one.meters().counter("beem.cache.standing", &[("result", "hit")]);
    assert!(one.prometheus_text().contains("beem_cache_standing_total"));
    assert!(!other.prometheus_text().contains("beem_cache_standing_total"));
}
