//! What an installation tells the people who run it: probes and metrics on the admin port, one trace over all services, and
//! no secret in any of it.

use beem_tests::collector::{Collector, Seen};
use beem_tests::wire::Wire;
use beem_tests::{Rig, eventually};
use serde_json::json;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test(flavor = "multi_thread")]
async fn one_request_is_one_trace_over_all_services() {
    let collector = Collector::start().await.unwrap();
    let endpoint = collector.endpoint.clone();
    let rig = tokio::task::spawn_blocking(move || {
        Rig::start_clustered(&[("BEEM__TELEMETRY__OTLP_ENDPOINT", &endpoint)])
    });
    let rig = rig.await.unwrap();
    let key = beem_tests::creds::new_key(beem_signing::KeyKind::Ed25519);
    let body = json!({"name": "traced", "publicKey": key.public().pem(), "roles": []});
    let wire = rig.client().forge("POST", "/platform/v1/clients").json(&body).sign();
    let sent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    wire.header("traceparent", sent).send().await.expect(201);
    let ours = |spans: Vec<Seen>| spans.into_iter().filter(|s| s.trace == TRACE).collect::<Vec<_>>();
    let spans = eventually("spans of all three services", || async {
        let spans = ours(collector.spans());
        let all = ["gateway", "identity", "authz"].iter().all(|p| spans.iter().any(|s| s.process == *p));
        all.then_some(spans)
    });
    let spans = spans.await;
    let first = spans
        .iter()
        .find(|s| s.parent == "00f067aa0ba902b7")
        .expect("the gateway's span is the caller's child");
    assert_eq!(first.process, "gateway");
    for span in spans.iter().filter(|s| s.span != first.span) {
        assert!(spans.iter().any(|s| s.span == span.parent), "{span:?} hangs in the air");
    }
    let told = collector.everything();
    for secret in ["beem-service-token", "beem-actor", "PRIVATE KEY", "signature-input"] {
        assert!(!told.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_port_tells_how_a_process_is() {
    let rig = Rig::clustered();
    rig.client().get("/platform/v1/clients").await.expect(200);
    let beem_tests::rig::Shape::Clustered(cluster) = &rig.shape else { panic!("a cluster") };
    for name in ["gateway-1", "gateway-2", "identity", "authz", "hooks"] {
        let admin = cluster.admin_address(name).unwrap();
        assert_eq!(Wire::new(admin, "GET", "/healthz").send().await.status, 200, "{name}");
        assert_eq!(Wire::new(admin, "GET", "/readyz").send().await.text(), "ready\n", "{name}");
        assert_eq!(Wire::new(admin, "GET", "/").send().await.status, 404, "{name}");
        let metrics = Wire::new(admin, "GET", "/metrics").send().await.text();
        let wanted = if name.starts_with("gateway") {
            "http_server_request_duration_seconds"
        } else {
            "rpc_server_call_duration_seconds"
        };
        // The second gateway and hooks may have served nothing yet; what they asked of others they have counted.
        let wanted =
            if ["gateway-2", "hooks"].contains(&name) { "rpc_client_call_duration_seconds" } else { wanted };
        assert!(metrics.contains(&format!("{wanted}_bucket{{")), "{name}: {metrics}");
        assert!(!metrics.contains(&rig.main.client_id), "no caller is a label");
    }
}
