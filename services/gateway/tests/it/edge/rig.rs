//! An edge on a port of its own before a handler that tells what it was asked, and a client that writes raw bytes.

use beem_clock::{Clock, Entropy};
use beem_gateway::edge::{Drained, Edge, EdgeBody, EdgeMeter, EdgeSettings, Handler, Request, full, stream};
use bytes::Bytes;
use http::Response;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; only a hanging test reaches it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Fails the test instead of hanging it.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it happens soon")
}

/// Answers `METHOD host target body`, and notes it. Some paths do more.
pub struct Echo {
    pub seen: Mutex<Vec<String>>,
    /// `/wait` takes a permit before it answers.
    pub permits: Semaphore,
    /// Has a permit for every `/wait` that has begun.
    pub waiting: Semaphore,
    /// Closed when the endless stream of `/endless` is dropped.
    pub endless_ended: CancellationToken,
}

impl Echo {
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Handler for Echo {
    fn serves(&self, host: &str) -> bool {
        host == "a" || host.starts_with("127.0.0.1")
    }

    async fn handle(&self, request: Request) -> Response<EdgeBody> {
        let body = match std::str::from_utf8(&request.body) {
            Ok(text) if text.len() < 100 => text.to_owned(),
            _ => format!("{} bytes", request.body.len()),
        };
        let told = format!("{} {} {} {body}", request.method, request.host, request.target);
        self.seen.lock().unwrap().push(told.clone());
        match request.path() {
            "/wait" => {
                self.waiting.add_permits(1);
                self.permits.acquire().await.unwrap().forget();
            }
            "/panic" => panic!("as asked"),
            "/pieces" => {
                let pieces = ["one,", "two,", "three"].map(|p| Ok(Bytes::from_static(p.as_bytes())));
                return Response::new(stream(futures::stream::iter(pieces)));
            }
            "/endless" => {
                let ended = self.endless_ended.clone().drop_guard();
                let piece = Bytes::from(vec![b'x'; 64 * 1024]);
                return Response::new(stream(futures::stream::repeat_with(move || {
                    let _held = &ended;
                    Ok(piece.clone())
                })));
            }
            _ => {}
        }
        Response::new(full(told))
    }
}

/// A serving edge.
pub struct Rig {
    pub address: SocketAddr,
    pub echo: Arc<Echo>,
    pub meter: Arc<EdgeMeter>,
    pub drain: CancellationToken,
    serving: JoinSet<Drained>,
}

impl Rig {
    pub async fn start(settings: EdgeSettings) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let edge = Edge::bind(any, settings, Clock::System, Entropy::System).await.unwrap();
        let address = edge.local_address().unwrap();
        let echo = Arc::new(Echo {
            seen: Mutex::default(),
            permits: Semaphore::new(0),
            waiting: Semaphore::new(0),
            endless_ended: CancellationToken::new(),
        });
        let (meter, drain) = (edge.meter(), CancellationToken::new());
        let mut serving = JoinSet::new();
        serving.spawn(edge.serve(Arc::clone(&echo), drain.clone()));
        Self { address, echo, meter, drain, serving }
    }

    pub async fn raw(&self) -> Raw {
        Raw::to(self.address).await
    }

    /// One connection, these bytes, the answer.
    pub async fn ask(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut raw = self.raw().await;
        raw.send(bytes).await;
        raw.answer().await
    }

    /// Waits for the end of a drain that was begun.
    pub async fn drained(&mut self) -> Drained {
        soon(self.serving.join_next()).await.unwrap().unwrap()
    }
}

/// A connection.
pub struct Raw {
    pub socket: TcpStream,
    read: Vec<u8>,
}

/// An answer as it stood on the wire.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The code of a problem, after checking that it is a whole one that closes the connection.
    pub fn refusal(&self) -> String {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        let code = problem["code"].as_str().unwrap();
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.header("connection"), Some("close"));
        assert_eq!(self.header("x-request-id"), problem["requestId"].as_str());
        assert_eq!(problem["type"], format!("https://beem.dev/problems/{code}"));
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["errors"], serde_json::json!([]));
        assert!(
            !problem["detail"].as_str().unwrap().is_empty() && !problem["title"].as_str().unwrap().is_empty()
        );
        code.to_owned()
    }
}

impl Raw {
    pub async fn to(address: SocketAddr) -> Self {
        Self { socket: soon(TcpStream::connect(address)).await.unwrap(), read: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.socket.write_all(bytes.as_ref())).await.unwrap();
    }

    /// The next answer, delimited by its length or its chunks.
    pub async fn answer(&mut self) -> Answer {
        self.answer_to("GET").await.expect("an answer")
    }

    /// `None` when the connection ended cleanly before it.
    pub async fn answer_to(&mut self, method: &str) -> Option<Answer> {
        let end = loop {
            if let Some(at) = find(&self.read, b"\r\n\r\n") {
                break at;
            }
            if !self.more().await.ok()? {
                assert!(self.read.is_empty(), "half an answer: {:?}", String::from_utf8_lossy(&self.read));
                return None;
            }
        };
        let head = String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        if method == "HEAD" || status < 200 {
            return Some(answer);
        }
        if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().unwrap();
            while self.read.len() < length {
                assert!(self.more().await.unwrap(), "the connection ended within a body");
            }
            answer.body = self.read.drain(..length).collect();
        } else {
            assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
            answer.body = self.chunks().await;
        }
        Some(answer)
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = find(&self.read, b"\r\n") {
                    break at;
                }
                assert!(self.more().await.unwrap(), "the connection ended within a body");
            };
            let size = usize::from_str_radix(std::str::from_utf8(&self.read[..line]).unwrap(), 16).unwrap();
            while self.read.len() < line + 2 + size + 2 {
                assert!(self.more().await.unwrap(), "the connection ended within a body");
            }
            let chunk: Vec<u8> = self.read.drain(..line + 2 + size + 2).collect();
            body.extend_from_slice(&chunk[line + 2..line + 2 + size]);
            if size == 0 {
                return body;
            }
        }
    }

    /// Whether the peer has ended without a further byte.
    pub async fn ended(&mut self) -> bool {
        self.read.is_empty() && !self.more().await.unwrap()
    }

    async fn more(&mut self) -> std::io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let count = soon(self.socket.read(&mut buffer)).await?;
        self.read.extend_from_slice(&buffer[..count]);
        Ok(count > 0)
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
