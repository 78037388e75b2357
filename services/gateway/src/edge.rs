//! The public socket: accepts connections, bounds them, and turns bytes into [`Request`]s that cannot be read in two
//! ways. Refusals here are problem+json, after which the connection closes; a refusal is answered behind the answers to
//! earlier requests of its connection. HTTP/1.1, HTTP/1.0 with a Host, and HTTP/2 with prior knowledge; TLS ends in front.
//!
//! - [`settings`] the bounds; `crowd` how many connections from where
//! - `guard` the socket as hyper sees it, `scanner`, `head`, `chunked` the grammar of HTTP/1 it enforces (pure)
//! - `exchange` one request and its answer; `host` which host it is for; `outgoing` an answer over HTTP/2; `wire` what
//!   guard, exchange and driver share
//! - `connection` drives one connection, this file all of them

mod chunked;
mod connection;
mod crowd;
mod exchange;
mod guard;
mod head;
mod host;
mod outgoing;
mod request;
mod scanner;
mod settings;
mod wire;

pub use host::normal_host;
pub use request::{BodyError, EdgeBody, Handler, Request, empty, full, stream};
pub use settings::EdgeSettings;

use beem_clock::{Clock, Entropy};
use crowd::Crowd;
use futures::FutureExt;
use settings::ms;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// After a failed accept, milliseconds: file descriptors are usually short then, and trying at once would only spin.
const ACCEPT_PAUSE_MS: u64 = 50;

/// What has happened at the edge since it was bound; for metrics.
#[derive(Debug, Default)]
pub struct EdgeMeter {
    accepted: AtomicU64,
    turned_away: AtomicU64,
    refused: AtomicU64,
}

impl EdgeMeter {
    /// Connections taken up.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections closed at once because a limit of connections was reached.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// Requests refused before they reached the handler.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// What all connections share.
struct Shared<H> {
    settings: Arc<EdgeSettings>,
    handler: H,
    clock: Clock,
    entropy: Entropy,
    meter: Arc<EdgeMeter>,
    /// Bytes of bodies that may still be taken in.
    bodies: Arc<Semaphore>,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that still had requests in flight when the drain's time was over, and were cut off.
    pub cut_off: usize,
}

/// A bound socket that does not serve yet: connections wait in its backlog.
#[derive(Debug)]
pub struct Edge {
    listener: TcpListener,
    settings: EdgeSettings,
    clock: Clock,
    entropy: Entropy,
    meter: Arc<EdgeMeter>,
}

impl Edge {
    /// Binds `address`. `clock` and `entropy` make the request ids.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(
        address: SocketAddr,
        settings: EdgeSettings,
        clock: Clock,
        entropy: Entropy,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, settings, clock, entropy, meter: Arc::default() })
    }

    /// Where it listens; the port is chosen when 0 was asked for.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Its counts, which go on while it serves.
    #[must_use]
    pub fn meter(&self) -> Arc<EdgeMeter> {
        Arc::clone(&self.meter)
    }

    /// Serves until `drain` is cancelled, then stops accepting, answers every request that has come, closes what is idle
    /// and returns: when all is closed, or cut off after the drain's time. Dropping the future cuts everything off.
    pub async fn serve<H: Handler>(self, handler: H, drain: CancellationToken) -> Drained {
        let Self { listener, settings, clock, entropy, meter } = self;
        let settings = Arc::new(settings);
        let drain_limit = ms(settings.drain_ms);
        let bodies = Arc::new(Semaphore::new(settings.bodies_bytes.min(Semaphore::MAX_PERMITS)));
        let mut door = Door {
            crowd: Crowd::new(settings.connections, settings.connections_per_address),
            shared: Arc::new(Shared { settings, handler, clock, entropy, meter, bodies }),
            drain: drain.clone(),
            connections: JoinSet::new(),
        };
        loop {
            tokio::select! {
                () = drain.cancelled() => break,
                Some(ended) = door.connections.join_next() => report(ended),
                accepted = listener.accept() => door.accepted(accepted).await,
            }
        }
        // Connections that are made already, and perhaps hold a request, wait in the backlog.
        for _ in 0..door.shared.settings.connections {
            match listener.accept().now_or_never() {
                Some(Ok((socket, peer))) => door.admit(socket, peer),
                Some(Err(_)) | None => break,
            }
        }
        drop(listener);
        let all_ended = async {
            while let Some(ended) = door.connections.join_next().await {
                report(ended);
            }
        };
        let in_time = tokio::time::timeout(drain_limit, all_ended).await.is_ok();
        let cut_off = if in_time { 0 } else { door.crowd.open() };
        door.connections.shutdown().await;
        Drained { cut_off }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(reason) = ended {
        tracing::error!(%reason, "connection task failed");
    }
}

/// Lets connections in.
struct Door<H> {
    shared: Arc<Shared<H>>,
    crowd: Arc<Crowd>,
    drain: CancellationToken,
    connections: JoinSet<()>,
}

impl<H: Handler> Door<H> {
    async fn accepted(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        match accepted {
            Ok((socket, peer)) => self.admit(socket, peer),
            // The peer gave up while it waited; the next one may not have.
            Err(reason) if reason.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(reason) => {
                tracing::warn!(%reason, "cannot accept connections");
                tokio::time::sleep(ms(ACCEPT_PAUSE_MS)).await;
            }
        }
    }

    fn admit(&mut self, socket: TcpStream, peer: SocketAddr) {
        let Some(place) = self.crowd.enter(peer.ip()) else {
            let count = self.shared.meter.turned_away.fetch_add(1, Ordering::Relaxed) + 1;
            // A flood must not fill the log: the 1st, 2nd, 4th, 8th … is written.
            if count.is_power_of_two() {
                tracing::warn!(count, open = self.crowd.open(), "connections turned away");
            }
            return;
        };
        self.shared.meter.accepted.fetch_add(1, Ordering::Relaxed);
        // Answers are written whole; without this the last packet of each would wait for an acknowledgement.
        if let Err(reason) = socket.set_nodelay(true) {
            tracing::debug!(%reason, "cannot set TCP_NODELAY");
        }
        let conversation = connection::converse(socket, peer, Arc::clone(&self.shared), self.drain.clone());
        self.connections.spawn(async move {
            conversation.await;
            drop(place);
        });
    }
}
