//! Receivers on a thread of their own: each a port, all of them as little as HTTP/1.1 allows. A body holds when its event was
//! committed, so that the time to its first attempt is known when it comes.

use crate::measure::as_f64;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Before the microseconds in a body.
pub const COMMITTED: &str = "\"committedUs\":\"";

/// No request for so long: everything has come.
const QUIET: Duration = Duration::from_millis(300);

/// See the module.
pub struct Receivers {
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    _end: DropGuard,
}

#[derive(Default)]
struct Shared {
    received: AtomicUsize,
    /// Microseconds from commit to arrival.
    times_us: Mutex<Vec<u64>>,
}

/// Times from commit to arrival.
pub struct Seen(Vec<u64>);

impl Seen {
    /// Milliseconds.
    pub fn percentile(&self, hundredths: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * hundredths).div_ceil(100).saturating_sub(1);
        sorted.get(at).map_or(f64::NAN, |us| as_f64(*us) / 1e3)
    }
}

pub fn now_us() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "two threads of this program compare it")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

impl Receivers {
    pub fn start(count: usize) -> Result<Self, String> {
        let (shared, end) = (Arc::new(Shared::default()), CancellationToken::new());
        let (give, take) = std::sync::mpsc::channel();
        let (theirs, ended) = (Arc::clone(&shared), end.clone());
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                let mut addresses = Vec::new();
                for _ in 0..count {
                    let Ok(listener) = TcpListener::bind("127.0.0.1:0").await else { return };
                    addresses.extend(listener.local_addr());
                    drop(beem_runtime::spawn(accept(listener, Arc::clone(&theirs))));
                }
                let _ = give.send(addresses);
                ended.cancelled().await;
            });
        });
        let addresses = take.recv().map_err(|_| "no receivers")?;
        Ok(Self { addresses, shared, _end: end.drop_guard() })
    }

    pub fn count(&self) -> usize {
        self.addresses.len()
    }

    pub fn urls(&self) -> Vec<String> {
        self.addresses.iter().map(|address| format!("http://{address}/events")).collect()
    }

    /// Where nobody listens.
    pub fn dead_url(&self) -> Result<String, String> {
        let address = beem_testkit::cluster::free_addresses(1)?.remove(0);
        Ok(format!("http://{address}/events"))
    }

    pub fn received(&self) -> usize {
        self.shared.received.load(Ordering::Relaxed)
    }

    /// Times since the last call.
    pub fn take(&self) -> Seen {
        Seen(self.shared.times_us.lock().map(|mut times| std::mem::take(&mut *times)).unwrap_or_default())
    }

    /// Until nothing comes any more.
    pub async fn settled(&self) {
        loop {
            let before = self.received();
            sleep(QUIET).await;
            if self.received() == before {
                return;
            }
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        drop(beem_runtime::spawn(async move { drop(serve(stream, &shared).await) }));
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(16 * 1024, stream);
    let mut request = Vec::new();
    loop {
        request.clear();
        let head = loop {
            if let Some(at) = request.windows(4).position(|end| end == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        };
        let text = String::from_utf8_lossy(request.get(..head).unwrap_or_default()).to_ascii_lowercase();
        let length = text.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: usize = length.and_then(|digits| digits.trim().parse().ok()).unwrap_or(0);
        while request.len() < head + length {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        let now = now_us();
        let body = String::from_utf8_lossy(request.get(head..).unwrap_or_default());
        let committed =
            body.split(COMMITTED).nth(1).and_then(|rest| rest.split('"').next()?.parse::<u64>().ok());
        if let (Some(committed), Ok(mut times)) = (committed, shared.times_us.lock()) {
            times.push(now.saturating_sub(committed));
        }
        shared.received.fetch_add(1, Ordering::Relaxed);
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
    }
}
