//! The same rules over HTTP/2 with prior knowledge.

use super::rig::{Rig, soon};
use beem_gateway::edge::{Drained, EdgeSettings};
use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A connection; `driver` ends with it.
struct Client {
    sender: http2::SendRequest<Full<Bytes>>,
    driver: JoinSet<Result<(), hyper::Error>>,
}

impl Client {
    async fn of(rig: &Rig) -> Self {
        let socket = TcpStream::connect(rig.address).await.unwrap();
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        Self { sender, driver }
    }

    async fn ask(&mut self, request: Request<Full<Bytes>>) -> Response<Bytes> {
        soon(self.sender.ready()).await.unwrap();
        let (head, body) = soon(self.sender.send_request(request)).await.unwrap().into_parts();
        Response::from_parts(head, soon(body.collect()).await.unwrap().to_bytes())
    }

    /// Waits until the edge has closed it.
    async fn ended(&mut self) {
        let _how = soon(self.driver.join_next()).await.unwrap().unwrap();
    }
}

fn post(uri: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(uri).version(Version::HTTP_2).body(Full::new(body.into())).unwrap()
}

fn code(answer: &Response<Bytes>) -> String {
    let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(answer.headers()["x-request-id"].to_str().unwrap(), problem["requestId"]);
    problem["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn requests_share_a_connection() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let mut client = Client::of(&rig).await;
    for n in 0..3 {
        let answer = client.ask(post(&format!("http://A/{n}?q"), "hi")).await;
        assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
        assert_eq!(answer.body(), format!("POST a /{n}?q hi").as_bytes());
        assert!(answer.headers().contains_key("x-request-id"));
    }
    let head = Request::head("http://a/x").body(Full::default()).unwrap();
    let answer = client.ask(head).await;
    assert_eq!((answer.headers()["content-length"].to_str().unwrap(), answer.body().len()), ("10", 0));
    let pieces = Request::get("http://a/pieces").body(Full::default()).unwrap();
    assert_eq!(client.ask(pieces).await.body(), "one,two,three".as_bytes());
    assert_eq!(rig.meter.accepted(), 1);
}

#[tokio::test]
async fn refusals_are_problems_and_close_the_connection() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let with = |name: &'static str, values: &[&str]| {
        let mut request = post("http://a/", "");
        for value in values {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request
    };
    let many = vec!["y"; 101];
    let (long, longer) = ("y".repeat(16 * 1024), "y".repeat(100_000));
    let cases = [
        (post("http://elsewhere.example/", ""), 421, "misdirected"),
        (with("host", &["b"]), 400, "bad-request"),
        (with("host", &["a", "a"]), 400, "bad-request"),
        (with("x", &many), 431, "headers-too-large"),
        (with("x", &[&long]), 431, "headers-too-large"),
        (with("x", &[&longer]), 431, "headers-too-large"),
        (post(&format!("http://a/{}", "t".repeat(8192)), ""), 414, "target-too-long"),
        (post("http://a/", vec![b'x'; 2 * 1024 * 1024]), 413, "body-too-large"),
        (
            Request::builder().method("TRACE").uri("http://a/").body(Full::default()).unwrap(),
            405,
            "method-not-allowed",
        ),
    ];
    for (request, status, expected) in cases {
        let mut client = Client::of(&rig).await;
        let answer = client.ask(request).await;
        assert_eq!((answer.status().as_u16(), code(&answer).as_str()), (status, expected));
        client.ended().await;
    }
    assert_eq!(rig.echo.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn a_host_that_agrees_is_taken() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let mut request = post("http://a:80/", "");
    request.headers_mut().append("host", "A".parse().unwrap());
    assert_eq!(Client::of(&rig).await.ask(request).await.body(), "POST a / ".as_bytes());
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let rig = Rig::start(EdgeSettings { idle_ms: 100, ..EdgeSettings::default() }).await;
    let mut client = Client::of(&rig).await;
    client.ask(post("http://a/", "")).await;
    client.ended().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_cut_off() {
    let rig = Rig::start(EdgeSettings { idle_ms: 100, write_stall_ms: 100, ..EdgeSettings::default() }).await;
    let mut client = Client::of(&rig).await;
    soon(client.sender.ready()).await.unwrap();
    let endless = Request::get("http://a/endless").body(Full::default()).unwrap();
    // The answer's head is taken; its body never is, so the stream's window stays shut.
    let _answer = soon(client.sender.send_request(endless)).await.unwrap();
    soon(rig.echo.endless_ended.cancelled()).await;
}

/// Also beside streams that are read: what counts is the answer that nobody takes.
#[tokio::test]
async fn an_answer_that_is_not_taken_is_let_go_of_while_others_go_on() {
    let rig = Rig::start(EdgeSettings { write_stall_ms: 300, ..EdgeSettings::default() }).await;
    let mut client = Client::of(&rig).await;
    soon(client.sender.ready()).await.unwrap();
    let endless = Request::get("http://a/endless").body(Full::default()).unwrap();
    let mut stalled = soon(client.sender.send_request(endless)).await.unwrap().into_body();
    soon(async {
        while !rig.echo.endless_ended.is_cancelled() {
            assert_eq!(client.ask(post("http://a/x", "hi")).await.body(), "POST a /x hi".as_bytes());
        }
    })
    .await;
    // Should it be read after all, it breaks off.
    let broken = soon(async {
        loop {
            match stalled.frame().await {
                Some(Ok(_)) => {}
                other => break other,
            }
        }
    });
    assert!(broken.await.is_some_and(|frame| frame.is_err()));
    assert_eq!(client.ask(post("http://a/y", "")).await.status().as_u16(), 200);
}

/// Longer than the stall's time in all, and never that long between two pieces.
#[tokio::test]
async fn an_answer_that_is_taken_slowly_goes_on() {
    let rig = Rig::start(EdgeSettings { write_stall_ms: 1_000, ..EdgeSettings::default() }).await;
    let mut client = Client::of(&rig).await;
    soon(client.sender.ready()).await.unwrap();
    let endless = Request::get("http://a/endless").body(Full::default()).unwrap();
    let mut slow = soon(client.sender.send_request(endless)).await.unwrap().into_body();
    let mut taken = 0;
    for _ in 0..20 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let until = taken + 256 * 1024;
        while taken < until {
            taken += soon(slow.frame()).await.unwrap().unwrap().into_data().unwrap().len();
        }
    }
    assert!(!rig.echo.endless_ended.is_cancelled());
}

#[tokio::test]
async fn a_drain_answers_what_is_in_flight() {
    let mut rig = Rig::start(EdgeSettings::default()).await;
    let mut client = Client::of(&rig).await;
    let mut second = client.sender.clone();
    let mut asked = JoinSet::new();
    for _ in 0..2 {
        soon(second.ready()).await.unwrap();
        asked.spawn(second.send_request(post("http://a/wait", "")));
        soon(rig.echo.waiting.acquire()).await.unwrap().forget();
    }
    rig.drain.cancel();
    rig.echo.permits.add_permits(2);
    while let Some(answer) = soon(asked.join_next()).await {
        let body = soon(answer.unwrap().unwrap().into_body().collect()).await.unwrap().to_bytes();
        assert_eq!(body, "POST a /wait ");
    }
    client.ended().await;
    assert_eq!(rig.drained().await, Drained { cut_off: 0 });
}
