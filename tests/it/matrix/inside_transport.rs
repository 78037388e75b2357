//! What a service does with time that is up, and with peers that have no certificate.

use super::inside::{Inside, refused};
use super::inside_rows::{all, encode};
use beem_caller::metadata;
use beem_proto::events::v1::SubscribeResponse;
use beem_tests::raw_grpc::RawCall;
use tonic::Code;

#[tokio::test]
async fn a_call_whose_deadline_has_passed_is_refused() {
    refused(Code::DeadlineExceeded, |inside, method, row| {
        ["0m", "1n", "0S"]
            .map(|timeout| (timeout, inside.proper(method, row).text("grpc-timeout", timeout)))
            .into()
    })
    .await;
}

/// Not before the call, but while it waits: a service says itself that time is up, and does not leave it to a library to
/// call it something else.
#[tokio::test]
async fn a_deadline_that_passes_under_way_is_told_as_such() {
    let inside = Inside::new().await;
    let (method, _) = all().into_iter().find(|(method, _)| method.name == "Subscribe").unwrap();
    let ask = |after: u64, epoch: &str, wait_ms: u32, timeout: &str| {
        let message = serde_json::json!({ "epoch": epoch, "after": after, "max": 500, "waitMs": wait_ms });
        let call = RawCall::new(&method.path, &encode(&method, &message));
        let call = call.text(metadata::AUDIENCE, "identity").text("grpc-timeout", timeout);
        call.text(metadata::SERVICE_TOKEN, inside.token("admin", "identity"))
    };
    let read = |bytes: bytes::Bytes| <SubscribeResponse as prost::Message>::decode(bytes).unwrap();
    let first = read(inside.send(&method, &ask(0, "", 0, "30S")).await.unwrap());
    let mut after = first.events.last().map_or(0, |e| e.position);
    let mut late = 0;
    while late < 5 {
        match inside.send(&method, &ask(after, &first.epoch, 20_000, "150m")).await {
            // Other tests make events, too.
            Ok(answer) => after = read(answer).events.last().map_or(after, |e| e.position),
            Err(status) => {
                assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
                late += 1;
            }
        }
    }
}

/// What only certificates keep out: mutual TLS, on every service.
#[tokio::test]
async fn a_peer_without_a_certificate_of_the_cluster_is_refused() {
    let inside = Inside::new().await;
    for peer in inside.peers.values() {
        assert!(inside.keys.knock_without_certificate(peer).await.is_err(), "{}", peer.name);
    }
}
