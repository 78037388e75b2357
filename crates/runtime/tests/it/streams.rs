//! Answers that are streams, as exports are, in both shapes: no deadline cuts one that flows, one that stops is given up,
//! its reader sets the pace, and a failure in the middle is never a clean end.

use crate::rig::{Rig, Shape};
use beem_fault::{Code, Fault};
use beem_link::{LONGEST_PAUSE, Link};
use beem_proto::events::v1::{SubscribeRequest, SubscribeResponse};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use http::uri::PathAndQuery;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::body::Body;
use tonic::server::{NamedService, ServerStreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

const SHAPES: [Shape; 2] = [Shape::Local, Shape::Remote];
const PATH: &str = "/beem.events.v1.Feed/Subscribe";
const PIECE_BYTES: usize = 16 * 1024;

/// What a stream does after so many pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Ends,
    Fails,
    Panics,
    Stops,
}

/// A service under the path of the feed that answers with a stream: the guard asks for a path and a caller, not for types.
#[derive(Clone)]
pub struct Streams {
    pub pieces: usize,
    /// Before each piece.
    pub pause: Duration,
    pub then: Then,
    pub made: Arc<AtomicUsize>,
    /// Cancelled when the stream is dropped.
    pub dropped: CancellationToken,
}

impl Streams {
    pub fn new(pieces: usize, then: Then) -> Self {
        let (made, dropped) = (Arc::default(), CancellationToken::new());
        Self { pieces, pause: Duration::ZERO, then, made, dropped }
    }

    fn stream(&self) -> BoxStream<'static, Result<SubscribeResponse, Status>> {
        let (this, held) = (self.clone(), self.dropped.clone().drop_guard());
        stream::unfold((0_usize, held), move |(at, held): (usize, DropGuard)| {
            let this = this.clone();
            async move {
                tokio::time::sleep(this.pause).await;
                if at < this.pieces {
                    this.made.fetch_add(1, Ordering::SeqCst);
                    let epoch = "x".repeat(PIECE_BYTES);
                    return Some((Ok(SubscribeResponse { epoch, ..Default::default() }), (at + 1, held)));
                }
                match this.then {
                    Then::Ends => None,
                    Then::Fails => Some((Err(Fault::not_found("row").into()), (at + 1, held))),
                    Then::Panics => panic!("the stream fell over"),
                    Then::Stops => std::future::pending().await,
                }
            }
        })
        .boxed()
    }
}

impl ServerStreamingService<SubscribeRequest> for Streams {
    type Response = SubscribeResponse;
    type ResponseStream = BoxStream<'static, Result<SubscribeResponse, Status>>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: Request<SubscribeRequest>) -> Self::Future {
        std::future::ready(Ok(Response::new(self.stream())))
    }
}

impl NamedService for Streams {
    const NAME: &'static str = "beem.events.v1.Feed";
}

impl tower::Service<http::Request<Body>> for Streams {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<SubscribeResponse, SubscribeRequest>::default();
            Ok(tonic::server::Grpc::new(codec).server_streaming(this, request).await)
        })
    }
}

async fn open(link: Link, timeout: Duration) -> Result<Streaming<SubscribeResponse>, Status> {
    let mut request = Request::new(SubscribeRequest::default());
    request.set_timeout(timeout);
    let mut client = tonic::client::Grpc::new(link);
    client.ready().await.unwrap();
    let codec = ProstCodec::<SubscribeRequest, SubscribeResponse>::default();
    let answer = client.server_streaming(request, PathAndQuery::from_static(PATH), codec).await?;
    Ok(answer.into_inner())
}

async fn opened(rig: &Rig, timeout: Duration) -> Streaming<SubscribeResponse> {
    open(rig.link_as("hooks", 2, "authz"), timeout).await.unwrap()
}

/// How many pieces came, and how it ended.
async fn read(mut answer: Streaming<SubscribeResponse>) -> (usize, Option<Code>) {
    let mut pieces = 0;
    loop {
        match answer.message().await {
            Ok(Some(_)) => pieces += 1,
            Ok(None) => return (pieces, None),
            Err(status) => return (pieces, Some(Fault::from(status).code)),
        }
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it happens soon")
}

#[tokio::test]
async fn a_stream_that_flows_outlives_its_deadline() {
    for shape in SHAPES {
        let pause = Duration::from_millis(50);
        let streams = Streams { pause, ..Streams::new(20, Then::Ends) };
        let rig = Rig::serving(shape, streams.clone()).await;
        let began = tokio::time::Instant::now();
        assert_eq!(soon(read(opened(&rig, Duration::from_millis(300)).await)).await, (20, None), "{shape:?}");
        assert!(began.elapsed() >= pause * 20);
        soon(streams.dropped.cancelled()).await;
    }
}

#[tokio::test]
async fn the_deadline_bounds_the_first_piece() {
    for shape in SHAPES {
        let streams = Streams::new(0, Then::Stops);
        let rig = Rig::serving(shape, streams.clone()).await;
        let outcome = soon(read(opened(&rig, Duration::from_millis(300)).await)).await;
        assert_eq!(outcome, (0, Some(Code::Deadline)), "{shape:?}");
        soon(streams.dropped.cancelled()).await;
    }
}

/// In paused time, which needs a peer without sockets; what bounds the pause is the same for both shapes.
#[tokio::test(start_paused = true)]
async fn a_stream_that_stops_is_given_up() {
    let streams = Streams::new(3, Then::Stops);
    let rig = Rig::serving(Shape::Local, streams.clone()).await;
    let began = tokio::time::Instant::now();
    assert_eq!(read(opened(&rig, Duration::from_secs(1)).await).await, (3, Some(Code::Deadline)));
    assert!(began.elapsed() >= LONGEST_PAUSE && began.elapsed() < LONGEST_PAUSE * 2);
    assert!(streams.dropped.is_cancelled());
}

/// A reader who pauses for an hour finds what it left.
#[tokio::test(start_paused = true)]
async fn a_pause_of_the_reader_does_not_count() {
    let streams = Streams { pause: Duration::from_secs(20), ..Streams::new(4, Then::Ends) };
    let rig = Rig::serving(Shape::Local, streams).await;
    let mut answer = opened(&rig, Duration::from_secs(30)).await;
    answer.message().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(read(answer).await, (3, None));
}

#[tokio::test]
async fn the_reader_sets_the_pace() {
    for shape in SHAPES {
        let streams = Streams::new(usize::MAX, Then::Ends);
        let rig = Rig::serving(shape, streams.clone()).await;
        let mut answer = opened(&rig, Duration::from_secs(5)).await;
        answer.message().await.unwrap().unwrap();
        let made = paused_at(&streams).await;
        // Windows and buffers of both ends: about a megabyte with a network between, else two frames.
        let bound = if shape == Shape::Local { 8 } else { 2 * 1024 * 1024 / PIECE_BYTES };
        assert!(made <= bound, "{shape:?}: {made} pieces ahead of a reader who took one");
        for _ in 0..made + 100 {
            soon(answer.message()).await.unwrap().unwrap();
        }
        assert!(streams.made.load(Ordering::SeqCst) >= made + 100, "{shape:?}: it goes on with its reader");
        assert!(!streams.dropped.is_cancelled());
        drop(answer);
        soon(streams.dropped.cancelled()).await;
    }
}

/// Waits until no more is made; says how much was.
async fn paused_at(streams: &Streams) -> usize {
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let made = streams.made.load(Ordering::SeqCst);
        if made == before {
            return made;
        }
        before = made;
    }
}

/// However many readers pause, others on the same connection are served.
#[tokio::test]
async fn readers_who_pause_leave_room_for_others() {
    let streams = Streams::new(usize::MAX, Then::Ends);
    let rig = Rig::serving(Shape::Remote, streams.clone()).await;
    let link = rig.link_as("hooks", 2, "authz");
    let mut paused = Vec::new();
    for _ in 0..200 {
        let mut answer = soon(open(link.clone(), Duration::from_secs(10))).await.unwrap();
        soon(answer.message()).await.unwrap().unwrap();
        paused.push(answer);
    }
    let mut other = soon(open(link, Duration::from_secs(10))).await.unwrap();
    for _ in 0..200 {
        soon(other.message()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_failure_in_the_middle_arrives_as_what_it_is() {
    for shape in SHAPES {
        for (then, code) in [(Then::Fails, Code::NotFound), (Then::Panics, Code::Internal)] {
            let streams = Streams::new(3, then);
            let rig = Rig::serving(shape, streams.clone()).await;
            let outcome = soon(read(opened(&rig, Duration::from_secs(5)).await)).await;
            assert_eq!(outcome, (3, Some(code)), "{shape:?} {then:?}");
            soon(streams.dropped.cancelled()).await;
        }
    }
}

/// A peer, or what stands before it, that ends a stream without saying how the call ended.
#[tokio::test]
async fn an_answer_without_a_status_is_no_whole_answer() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let peer = beem_runtime::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(socket).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        let mut body = respond.send_response(head, false).unwrap();
        // One empty message, and the end.
        body.send_data(bytes::Bytes::from_static(&[0; 5]), true).unwrap();
        while connection.accept().await.is_some() {}
    });
    let target = beem_link::RemoteTarget { url, name: "authz".into(), tls: None };
    let key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]);
    let identity = beem_caller::ServiceIdentity::new("hooks", key, beem_clock::Clock::System);
    let telemetry = beem_telemetry::Telemetry::off();
    let link = Link::remote("authz", beem_link::connect(&target).unwrap(), identity, telemetry);
    let answer = soon(open(link, Duration::from_secs(5))).await.unwrap();
    assert_eq!(soon(read(answer)).await, (1, Some(Code::Unavailable)));
    peer.abort();
}
