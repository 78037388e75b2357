//! Exports the whole way: a service behind its guard, a link in either shape, the gateway, the edge, a socket. No deadline
//! cuts one that flows, its reader sets the pace, a failure in the middle is never a clean end, and nothing is made for
//! somebody who has gone.

use super::world::{SEAL, World};
use crate::contracts;
use crate::edge::rig::{Raw, soon};
use beem_cache::{StandingCache, VerifiedStandings, Verifier};
use beem_caller::{ActorKey, Issuers, Opener, Sealer, ServiceIdentity};
use beem_clock::{Clock, Entropy};
use beem_fault::Fault;
use beem_gateway::edge::{Edge, EdgeSettings};
use beem_gateway::standings::FromAuthz;
use beem_gateway::transcode::RawCodec;
use beem_gateway::{GatewayDeps, GatewaySettings};
use beem_limits::{Limiter, ReplayStore};
use beem_link::{Link, LocalService, RemoteTarget, connect};
use beem_proto::google::api::HttpBody;
use beem_runtime::{GuardSettings, guarded, serve_grpc, spawn};
use beem_telemetry::Telemetry;
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, stream};
use prost::Message;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::body::Body;
use tonic::server::{NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};

const PIECE_BYTES: usize = 32 * 1024;
const LINE: &[u8] = b"GET /export HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

const CONTRACT: &str = r#"syntax = "proto3"; package beem.t.v1;
    import "beem/access/v1/access.proto"; import "google/api/annotations.proto"; import "google/api/httpbody.proto";
    message Ask {}
    service Exports {
      option (beem.access.v1.owner) = "t";
      // Exports.
      rpc Export(Ask) returns (stream google.api.HttpBody) {
        option (google.api.http) = { get: "/export" };
        option (beem.access.v1.access) = { public: true };
      }
    }"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Local,
    Remote,
}

const SHAPES: [Shape; 2] = [Shape::Local, Shape::Remote];

/// What an export does after so many pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Ends,
    Fails,
    Panics,
    Stops,
}

#[derive(Clone)]
struct Exports {
    pieces: usize,
    /// Before each piece.
    pause: Duration,
    then: Then,
    made: Arc<AtomicUsize>,
    /// Cancelled when the export is dropped.
    dropped: CancellationToken,
}

impl Exports {
    fn new(pieces: usize, then: Then) -> Self {
        let (made, dropped) = (Arc::default(), CancellationToken::new());
        Self { pieces, pause: Duration::ZERO, then, made, dropped }
    }

    /// Waits until no more is made; says how much was.
    async fn paused_at(&self) -> usize {
        let mut before = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let made = self.made.load(Ordering::SeqCst);
            if made == before {
                return made;
            }
            before = made;
        }
    }
}

impl ServerStreamingService<Bytes> for Exports {
    type Response = Bytes;
    type ResponseStream = BoxStream<'static, Result<Bytes, Status>>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        let (this, held) = (self.clone(), self.dropped.clone().drop_guard());
        let pieces = stream::unfold((0_usize, held), move |(at, held): (usize, DropGuard)| {
            let this = this.clone();
            async move {
                tokio::time::sleep(this.pause).await;
                if at < this.pieces {
                    this.made.fetch_add(1, Ordering::SeqCst);
                    let content_type = if at == 0 { "text/csv" } else { "" };
                    let data = Bytes::from(vec![b'x'; PIECE_BYTES]);
                    let piece = HttpBody { content_type: content_type.into(), data, ..HttpBody::default() };
                    return Some((Ok(piece.encode_to_vec().into()), (at + 1, held)));
                }
                match this.then {
                    Then::Ends => None,
                    Then::Fails => Some((Err(Fault::not_found("wallet").into()), (at + 1, held))),
                    Then::Panics => panic!("the export fell over"),
                    Then::Stops => std::future::pending().await,
                }
            }
        });
        std::future::ready(Ok(Response::new(pieces.boxed())))
    }
}

impl NamedService for Exports {
    const NAME: &'static str = "beem.t.v1.Exports";
}

impl tower::Service<http::Request<Body>> for Exports {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        async move { Ok(tonic::server::Grpc::new(RawCodec).server_streaming(this, request).await) }.boxed()
    }
}

/// A served gateway before a service that exports.
struct Rig {
    address: SocketAddr,
    _stop: tokio_util::sync::DropGuard,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn behind_guard(exports: Exports, clock: &Clock) -> LocalService {
    let settings = GuardSettings {
        service: "t".into(),
        contract: contracts::compiled(CONTRACT),
        issuers: Issuers::new("t", [("gateway".to_owned(), vec![key(1).verifying_key()])].into()),
        opener: Opener::new("t", vec![ActorKey(SEAL)]),
        extra_methods: std::collections::BTreeMap::new(),
        clock: clock.clone(),
        telemetry: Telemetry::off(),
    };
    let mut routes = tonic::service::Routes::builder();
    routes.add_service(exports);
    guarded(routes.routes(), settings)
}

impl Rig {
    async fn new(shape: Shape, exports: Exports, change: impl FnOnce(&mut GatewaySettings)) -> Self {
        let (clock, telemetry, stop) = (Clock::System, Telemetry::off(), CancellationToken::new());
        let identity = ServiceIdentity::new("gateway", key(1), clock.clone());
        let service = behind_guard(exports, &clock);
        let link = match shape {
            Shape::Local => Link::local("t", service, identity.clone(), telemetry.clone()),
            Shape::Remote => {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let url = format!("http://{}", listener.local_addr().unwrap());
                let until = stop.clone();
                spawn(async move { serve_grpc(listener, None, &[], service, until).await.unwrap() });
                let target = RemoteTarget { url, name: "t".into(), tls: None };
                Link::remote("t", connect(&target).unwrap(), identity.clone(), telemetry.clone())
            }
        };
        let world = World::new(key(3), clock.clone());
        let other = |name| Link::local(name, world.service(name), identity.clone(), telemetry.clone());
        let mut settings = GatewaySettings::default();
        change(&mut settings);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let edge = Edge::bind(any, settings.edge.clone(), clock.clone(), Entropy::System).await.unwrap();
        let address = edge.local_address().unwrap();
        settings.public_origins = vec!["http://127.0.0.1".into()];
        let deps = GatewayDeps {
            contract: contracts::compiled(CONTRACT),
            links: [("identity", other("identity")), ("authz", other("authz")), ("t", link)]
                .map(|(name, link)| (name.to_owned(), link))
                .into(),
            sealer: Sealer::new([("t".to_owned(), ActorKey(SEAL))].into()),
            standings: VerifiedStandings::new(
                StandingCache::in_process(10),
                Arc::new(FromAuthz(other("authz"))),
                Verifier::new(vec![key(3).verifying_key()]),
                clock.clone(),
            ),
            limiter: Limiter::in_process(10),
            replay: ReplayStore::in_process(10),
            environment: "live".into(),
            public_keys: Vec::new(),
            ready: Arc::new(|| async { Ok(()) }.boxed()),
            clock,
            entropy: Entropy::System,
            telemetry,
        };
        let (gateway, _loops) = beem_gateway::build(&settings, address, deps).unwrap();
        let drain = stop.clone();
        spawn(async move { edge.serve(gateway, drain).await });
        Self { address, _stop: stop.drop_guard() }
    }

    async fn ask(&self) -> Raw {
        let mut raw = Raw::to(self.address).await;
        raw.send(LINE).await;
        raw
    }
}

/// Everything until the end of the connection, however it ends.
async fn rest(raw: &mut Raw) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = soon(raw.socket.read(&mut buffer)).await {
        all.extend_from_slice(&buffer[..count]);
    }
    all
}

/// Reads and throws away.
async fn take(raw: &mut Raw, bytes: usize) {
    let mut buffer = vec![0; bytes];
    soon(raw.socket.read_exact(&mut buffer)).await.unwrap();
}

#[tokio::test]
async fn an_export_that_flows_outlives_the_deadline_and_is_whole() {
    for shape in SHAPES {
        let pause = Duration::from_millis(50);
        let exports = Exports { pause, ..Exports::new(20, Then::Ends) };
        let rig = Rig::new(shape, exports.clone(), |s| s.deadline_ms = 300).await;
        let answer = rig.ask().await.answer().await;
        assert_eq!((answer.status, answer.body.len()), (200, 20 * PIECE_BYTES), "{shape:?}");
        assert_eq!(answer.header("content-type"), Some("text/csv"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("content-length"), None);
        soon(exports.dropped.cancelled()).await;
    }
}

#[tokio::test]
async fn the_deadline_bounds_the_first_piece_and_its_failure_is_an_answer() {
    for shape in SHAPES {
        let stops = Exports::new(0, Then::Stops);
        let rig = Rig::new(shape, stops.clone(), |s| s.deadline_ms = 300).await;
        let answer = rig.ask().await.answer().await;
        assert_eq!(answer.status, 504, "{shape:?} {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        soon(stops.dropped.cancelled()).await;
        for (then, status) in [(Then::Fails, 404), (Then::Panics, 500)] {
            let rig = Rig::new(shape, Exports::new(0, then), |_| {}).await;
            let answer = rig.ask().await.answer().await;
            assert_eq!(answer.status, status, "{shape:?} {then:?}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
    }
}

#[tokio::test]
async fn a_reader_who_pauses_pauses_the_export() {
    for shape in SHAPES {
        let exports = Exports::new(usize::MAX, Then::Ends);
        let rig = Rig::new(shape, exports.clone(), |_| {}).await;
        let mut raw = rig.ask().await;
        take(&mut raw, PIECE_BYTES).await;
        let made = exports.paused_at().await;
        // Nearly all of it stands in the buffers of the two sockets, which the system makes as large as some megabytes.
        assert!(made * PIECE_BYTES < 32 * 1024 * 1024, "{shape:?}: {made} pieces for a reader who took one");
        take(&mut raw, (made + 100) * PIECE_BYTES).await;
        assert!(exports.made.load(Ordering::SeqCst) >= made + 100, "{shape:?}");
        assert!(!exports.dropped.is_cancelled());
    }
}

#[tokio::test]
async fn a_reader_who_stops_for_good_is_cut_off_and_the_export_ends() {
    for shape in SHAPES {
        let exports = Exports::new(usize::MAX, Then::Ends);
        let edge = EdgeSettings { write_stall_ms: 200, ..EdgeSettings::default() };
        let rig = Rig::new(shape, exports.clone(), |s| s.edge = edge).await;
        let mut raw = rig.ask().await;
        take(&mut raw, PIECE_BYTES).await;
        soon(exports.dropped.cancelled()).await;
    }
}

#[tokio::test]
async fn a_reader_who_goes_away_ends_the_export() {
    for shape in SHAPES {
        let exports = Exports::new(usize::MAX, Then::Ends);
        let rig = Rig::new(shape, exports.clone(), |_| {}).await;
        let mut raw = rig.ask().await;
        take(&mut raw, PIECE_BYTES).await;
        drop(raw);
        soon(exports.dropped.cancelled()).await;
    }
}

#[tokio::test]
async fn a_failure_in_the_middle_is_never_a_clean_end() {
    for shape in SHAPES {
        for then in [Then::Fails, Then::Panics] {
            let exports = Exports { pause: Duration::from_millis(20), ..Exports::new(5, then) };
            let rig = Rig::new(shape, exports.clone(), |_| {}).await;
            let mut raw = rig.ask().await;
            let all = rest(&mut raw).await;
            assert!(all.starts_with(b"HTTP/1.1 200 OK\r\n"), "{shape:?} {then:?}");
            assert!(all.len() > PIECE_BYTES, "{shape:?} {then:?}: some of it came");
            assert!(!all.ends_with(b"0\r\n\r\n"), "{shape:?} {then:?}");
            soon(exports.dropped.cancelled()).await;
        }
    }
}

/// The same over HTTP/2: the stream is reset, the connection goes on.
#[tokio::test]
async fn over_http2_a_failure_in_the_middle_resets_its_stream_only() {
    use http_body_util::{BodyExt, Empty};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let exports = Exports { pause: Duration::from_millis(20), ..Exports::new(5, Then::Fails) };
    let rig = Rig::new(Shape::Local, exports, |_| {}).await;
    let socket = tokio::net::TcpStream::connect(rig.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
    spawn(connection);
    for _ in 0..2 {
        let request = http::Request::get("http://127.0.0.1/export").body(Empty::<Bytes>::new()).unwrap();
        let answer = soon(sender.send_request(request)).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        let reason = soon(answer.into_body().collect()).await.unwrap_err();
        assert!(format!("{reason:?}").contains("Reset"), "{reason:?}");
    }
}

#[tokio::test]
async fn head_asks_for_no_more_than_a_head() {
    let exports = Exports::new(usize::MAX, Then::Ends);
    let rig = Rig::new(Shape::Local, exports.clone(), |_| {}).await;
    let mut raw = Raw::to(rig.address).await;
    raw.socket.write_all(b"HEAD /export HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.unwrap();
    let answer = raw.answer_to("HEAD").await.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/csv")));
    soon(exports.dropped.cancelled()).await;
}
