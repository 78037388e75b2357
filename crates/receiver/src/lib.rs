//! A receiver of webhooks for tests: a real server on this machine that keeps every request and answers as it is told, by hand,
//! so that it can misbehave in every way there is.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "only for tests: what is missing ends the test"
)]

mod answer;
mod authority;

pub use answer::Answer;
pub use authority::Authority;

use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// How long one waits for requests.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request, whole.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// When it had come.
    pub at: Instant,
}

impl Received {
    /// Empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// As its header says.
    pub fn event_id(&self) -> &str {
        self.header("webhook-id")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What it answers from now on: one answer to all, or what a function says.
#[derive(Clone)]
pub enum Script {
    Same(Answer),
    By(Arc<dyn Fn(&Received) -> Answer + Send + Sync>),
}

impl From<Answer> for Script {
    fn from(answer: Answer) -> Self {
        Self::Same(answer)
    }
}

impl<F: Fn(&Received) -> Answer + Send + Sync + 'static> From<F> for Script {
    fn from(script: F) -> Self {
        Self::By(Arc::new(script))
    }
}

/// See the module. It goes away when it is dropped.
pub struct Receiver {
    pub address: SocketAddr,
    /// `https://receiver.example`, or with http this machine's address.
    origin: String,
    shared: Arc<Shared>,
    _end: DropGuard,
}

struct Shared {
    state: Mutex<State>,
    /// Told of every request.
    came: Notify,
    released: watch::Sender<()>,
}

struct State {
    script: Script,
    first: VecDeque<Answer>,
    received: Vec<Received>,
    connections: usize,
    under_way: usize,
    most_under_way: usize,
}

impl Receiver {
    pub async fn start(script: impl Into<Script>) -> Self {
        Self::listening(script.into(), None, "http://127.0.0.1").await
    }

    /// With a certificate of the authority for the host, which the rig's resolver has to know.
    pub async fn start_tls(authority: &Authority, host: &str, script: impl Into<Script>) -> Self {
        let acceptor = authority.acceptor(host);
        Self::listening(script.into(), Some(acceptor), &format!("https://{host}")).await
    }

    async fn listening(script: Script, tls: Option<TlsAcceptor>, origin: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            script,
            first: VecDeque::new(),
            received: vec![],
            connections: 0,
            under_way: 0,
            most_under_way: 0,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            came: Notify::new(),
            released: watch::channel(()).0,
        });
        let end = CancellationToken::new();
        let origin = format!("{origin}:{}", address.port());
        drop(beem_runtime::spawn(accept(listener, tls, shared.clone(), end.clone())));
        Self { address, origin, shared, _end: end.drop_guard() }
    }

    /// Where it takes events: by this machine's address, or by its certificate's host.
    pub fn url(&self) -> String {
        format!("{}/events", self.origin)
    }

    /// The same under another host.
    pub fn url_at(&self, host: &str) -> String {
        let scheme = self.origin.split(':').next().unwrap();
        format!("{scheme}://{host}:{}/events", self.address.port())
    }

    /// From now on.
    pub fn answers(&self, script: impl Into<Script>) {
        self.shared.state.lock().unwrap().script = script.into();
    }

    /// To the next requests, one each, before what it answers otherwise.
    pub fn first(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.state.lock().unwrap().first.extend(answers);
    }

    /// Lets go of every request that came so far and is held.
    pub fn release(&self) {
        self.shared.released.send_replace(());
    }

    /// In the order in which they came.
    pub fn received(&self) -> Vec<Received> {
        self.shared.state.lock().unwrap().received.clone()
    }

    /// Waits until at least so many have come.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let came = async {
            loop {
                let next = self.shared.came.notified();
                tokio::pin!(next);
                next.as_mut().enable();
                let received = self.received();
                if received.len() >= count {
                    return received;
                }
                next.await;
            }
        };
        match tokio::time::timeout(PATIENCE, came).await {
            Ok(received) => received,
            Err(_) => panic!("{} of {count} requests within 20 s", self.received().len()),
        }
    }

    /// Connections so far, those that sent nothing too.
    pub fn connections(&self) -> usize {
        self.shared.state.lock().unwrap().connections
    }

    /// Requests that are not answered yet, and whose sender is still there.
    pub fn under_way(&self) -> usize {
        self.shared.state.lock().unwrap().under_way
    }

    /// The most there were at once.
    pub fn most_under_way(&self) -> usize {
        self.shared.state.lock().unwrap().most_under_way
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    end: CancellationToken,
) {
    let open = TaskTracker::new();
    let accepting = async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            shared.state.lock().unwrap().connections += 1;
            let (shared, tls, end) = (shared.clone(), tls.clone(), end.clone());
            open.spawn(async move {
                tokio::select! {
                    () = connected(stream, tls, &shared) => {}
                    () = end.cancelled() => {}
                }
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        () = end.cancelled() => {}
    }
}

async fn connected(mut stream: TcpStream, tls: Option<TlsAcceptor>, shared: &Shared) {
    if shared.is_deaf() {
        // Not a byte is read: whoever waits, waits for us.
        return std::future::pending().await;
    }
    let ended = match tls {
        None => serve(&mut stream, shared).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(mut stream) => serve(&mut stream, shared).await,
            Err(_) => return,
        },
    };
    // The other side may go whenever it likes.
    drop(ended);
}

async fn serve<S>(stream: &mut S, shared: &Shared) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut read = Vec::new();
    while let Some(request) = next_request(stream, &mut read).await? {
        let mut released = shared.released.subscribe();
        let answer = shared.came(request);
        let _under_way = UnderWay(shared);
        if !answer.write(stream, &mut released).await? {
            break;
        }
    }
    Ok(())
}

/// HTTP/1.1 with a content length, as senders write it; what was read beyond it stays in `read`.
async fn next_request(
    stream: &mut (impl AsyncRead + Unpin),
    read: &mut Vec<u8>,
) -> std::io::Result<Option<Received>> {
    let end = loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8(read.drain(..end + 4).collect()).unwrap();
    let mut lines = head.trim_end().lines();
    let mut first = lines.next().unwrap().split(' ').map(str::to_owned);
    let (method, path) = (first.next().unwrap(), first.next().unwrap());
    let headers: HeaderMap = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), value.trim().parse::<HeaderValue>().unwrap())
        })
        .collect();
    let length = headers.get("content-length").map_or(0, |n| n.to_str().unwrap().parse().unwrap());
    while read.len() < length {
        if stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
    let body = read.drain(..length).collect();
    Ok(Some(Received { method, path, headers, body, at: Instant::now() }))
}

impl Shared {
    fn is_deaf(&self) -> bool {
        matches!(self.state.lock().unwrap().script, Script::Same(Answer::Deaf))
    }

    fn came(&self, request: Received) -> Answer {
        let mut state = self.state.lock().unwrap();
        let script = state.script.clone();
        let answer = state.first.pop_front().unwrap_or_else(|| match script {
            Script::Same(answer) => answer,
            Script::By(script) => script(&request),
        });
        state.received.push(request);
        state.under_way += 1;
        state.most_under_way = state.most_under_way.max(state.under_way);
        self.came.notify_waiters();
        answer
    }
}

/// Ends with its answer, or with its sender.
struct UnderWay<'a>(&'a Shared);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().under_way -= 1;
    }
}
