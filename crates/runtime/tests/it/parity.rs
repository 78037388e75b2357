//! Each rule, over a local and over a remote link.

use crate::rig::{Does, LIST_ROLES, Rig, Shape, actor};
use beem_caller::Call;
use beem_fault::{Code, Fault};
use beem_proto::authz::v1::ListRolesRequest;
use beem_proto::events::v1::SubscribeRequest;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Request;

const SHAPES: [Shape; 2] = [Shape::Local, Shape::Remote];

fn code<T>(outcome: Result<T, tonic::Status>) -> Code {
    Fault::from(outcome.err().expect("a refusal")).code
}

#[tokio::test]
async fn a_sealed_actor_reaches_the_handler_with_its_call() {
    for shape in SHAPES {
        let rig = Rig::new(shape).await;
        rig.roles().list_roles(rig.sealed(ListRolesRequest {}, LIST_ROLES)).await.unwrap();
        let (caller, call) = rig.probe.seen.lock().unwrap().take().unwrap();
        assert_eq!(caller.service, "gateway", "{shape:?}");
        assert_eq!(caller.actor, Some(actor()));
        assert_eq!((call.request, call.record), (Some(actor().request), Some(actor())));
    }
}

#[tokio::test]
async fn who_is_not_proven_is_refused() {
    for shape in SHAPES {
        let rig = Rig::new(shape).await;
        assert_eq!(
            code(rig.roles().list_roles(ListRolesRequest {}).await),
            Code::CallerUnproven,
            "{shape:?}"
        );
        let other = rig.sealed(ListRolesRequest {}, "/beem.authz.v1.Roles/Other");
        assert_eq!(code(rig.roles().list_roles(other).await), Code::CallerUnproven, "{shape:?}");
        for (name, seed, audience) in
            [("gateway", 9, "authz"), ("nobody", 1, "authz"), ("gateway", 1, "identity")]
        {
            let link = rig.link_as(name, seed, audience);
            let mut roles = beem_proto::authz::v1::roles_client::RolesClient::new(link);
            let outcome = roles.list_roles(rig.sealed(ListRolesRequest {}, LIST_ROLES)).await;
            assert_eq!(code(outcome), Code::CallerUnproven, "{shape:?} {name} {seed} {audience}");
        }
        assert!(rig.probe.seen.lock().unwrap().is_none(), "no handler ran");
    }
}

#[tokio::test]
async fn only_named_services_call_an_internal_method() {
    for shape in SHAPES {
        let rig = Rig::new(shape).await;
        let ask = SubscribeRequest::default;
        rig.feed_as("hooks", 2).subscribe(ask()).await.unwrap();
        rig.feed_as("reporting", 3).subscribe(ask()).await.unwrap();
        assert_eq!(code(rig.feed_as("gateway", 1).subscribe(ask()).await), Code::RoleMissing, "{shape:?}");
    }
}

#[tokio::test]
async fn deadlines_are_kept_and_reported_alike() {
    for shape in SHAPES {
        let rig = Rig::new(shape).await;
        rig.does(Does::Sleeps);
        let mut request = rig.sealed(ListRolesRequest {}, LIST_ROLES);
        request.set_timeout(Duration::from_millis(50));
        assert_eq!(code(rig.roles().list_roles(request).await), Code::Deadline, "{shape:?}");
        // What is left of the call being served bounds every onward call.
        let call = Call { deadline: Instant::now() + Duration::from_millis(50), request: None, record: None };
        let request = rig.sealed(ListRolesRequest {}, LIST_ROLES);
        let outcome = beem_caller::scope(call, async { rig.roles().list_roles(request).await }).await;
        assert_eq!(code(outcome), Code::Deadline, "{shape:?}");
        rig.does(Does::Answers);
        let mut late = rig.sealed(ListRolesRequest {}, LIST_ROLES);
        late.set_timeout(Duration::ZERO);
        assert_eq!(code(rig.roles().list_roles(late).await), Code::Deadline, "{shape:?}");
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_fault_and_the_service_goes_on() {
    for shape in SHAPES {
        let rig = Rig::new(shape).await;
        rig.does(Does::Panics);
        let outcome = rig.roles().list_roles(rig.sealed(ListRolesRequest {}, LIST_ROLES)).await;
        let fault = Fault::from(outcome.err().unwrap());
        assert_eq!(fault.code, Code::Internal, "{shape:?}");
        assert!(!fault.detail.contains("fell over"));
        rig.does(Does::Answers);
        rig.roles().list_roles(rig.sealed(ListRolesRequest {}, LIST_ROLES)).await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_arrives_whole() {
    for shape in SHAPES {
        let rig = Rig::new(shape).await;
        rig.does(Does::Refuses);
        let outcome = rig.roles().list_roles(rig.sealed(ListRolesRequest {}, LIST_ROLES)).await;
        let fault = Fault::from(outcome.err().unwrap());
        assert_eq!(fault.code, Code::CurrencyUnknown, "{shape:?}");
        assert_eq!(fault.fields[0].field, "amount.currency");
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_alike() {
    for shape in SHAPES {
        let rig = Rig::new(shape).await;
        let epoch = "x".repeat(beem_runtime::MAX_REQUEST_BYTES + 1);
        let request = SubscribeRequest { epoch, ..SubscribeRequest::default() };
        assert_eq!(code(rig.feed_as("hooks", 2).subscribe(request).await), Code::BodyTooLarge, "{shape:?}");
    }
}

#[tokio::test]
async fn a_peer_that_is_away_is_unavailable_and_one_that_comes_back_is_found() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let rig = Rig::new(Shape::Local).await;
    let target =
        beem_link::RemoteTarget { url: format!("http://{address}"), name: "authz".into(), tls: None };
    let key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]);
    let identity = beem_caller::ServiceIdentity::new("hooks", key, rig.clock.clone());
    let telemetry = beem_telemetry::Telemetry::off();
    let link = beem_link::Link::remote("authz", beem_link::connect(&target).unwrap(), identity, telemetry);
    let mut feed = beem_proto::events::v1::feed_client::FeedClient::new(link);
    assert_eq!(code(feed.subscribe(SubscribeRequest::default()).await), Code::Unavailable);
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let (service, until) = (rig.service.clone(), tokio_util::sync::CancellationToken::new());
    let stop = until.clone();
    let served =
        beem_runtime::spawn(
            async move { beem_runtime::serve_grpc(listener, None, &[], service, until).await },
        );
    feed.subscribe(SubscribeRequest::default()).await.unwrap();
    stop.cancel();
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_peer_that_dies_in_the_middle_of_its_answer_is_unavailable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let peer = beem_runtime::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(socket).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        let body = respond.send_response(head, false).unwrap();
        // The head goes out while the connection is driven; then the process is gone, with everything it held.
        let _ = tokio::time::timeout(Duration::from_millis(100), connection.accept()).await;
        drop(connection);
        drop(body);
    });
    let target = beem_link::RemoteTarget { url, name: "authz".into(), tls: None };
    let key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]);
    let identity = beem_caller::ServiceIdentity::new("hooks", key, beem_clock::Clock::System);
    let telemetry = beem_telemetry::Telemetry::off();
    let link = beem_link::Link::remote("authz", beem_link::connect(&target).unwrap(), identity, telemetry);
    let mut feed = beem_proto::events::v1::feed_client::FeedClient::new(link);
    assert_eq!(code(feed.subscribe(SubscribeRequest::default()).await), Code::Unavailable);
    peer.await.unwrap();
}

#[tokio::test]
async fn health_and_reflection_need_no_caller() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let rig = Rig::new(Shape::Remote).await;
    let mut health = HealthClient::new(rig.link_as("nobody", 9, "authz"));
    let request = Request::new(HealthCheckRequest { service: "beem.authz.v1.Roles".into() });
    assert_eq!(health.check(request).await.unwrap().into_inner().status, 1);
}
