//! The way from one service to another. A [`Link`] is a gRPC transport that generated clients and the gateway take as
//! they would a channel; whether the peer sits in this process or behind a network its caller cannot tell. What every
//! call must carry is put on here, once: service token, deadline, request id, the actor's record, trace context; and
//! what a transport would report in its own way (time-out, refused connection, lost peer) is made the same here.

mod answer;
mod remote;
mod send;

pub use answer::LONGEST_PAUSE;
pub use remote::{RemoteError, RemoteTarget, TlsFiles, connect};
pub use send::parse_timeout;

use beem_caller::ServiceIdentity;
use beem_telemetry::Telemetry;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::util::BoxCloneSyncService;

/// A service of this process, behind all its layers.
pub type LocalService = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible>;

/// A call without a deadline of its own, and outside of any call being served, gets this one.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// A way to one service. Cheap to clone.
#[derive(Clone)]
pub struct Link {
    transport: Transport,
    target: Arc<Target>,
}

#[derive(Clone)]
enum Transport {
    Local(LocalService),
    Remote(Channel),
}

struct Target {
    audience: String,
    identity: ServiceIdentity,
    telemetry: Telemetry,
}

impl Link {
    /// To a service of this process. `identity` is the caller's own.
    #[must_use]
    pub fn local(
        audience: &str,
        service: LocalService,
        identity: ServiceIdentity,
        telemetry: Telemetry,
    ) -> Self {
        Self::new(Transport::Local(service), audience, identity, telemetry)
    }

    /// To a service behind a network; see [`connect`].
    #[must_use]
    pub fn remote(audience: &str, channel: Channel, identity: ServiceIdentity, telemetry: Telemetry) -> Self {
        Self::new(Transport::Remote(channel), audience, identity, telemetry)
    }

    fn new(transport: Transport, audience: &str, identity: ServiceIdentity, telemetry: Telemetry) -> Self {
        Self { transport, target: Arc::new(Target { audience: audience.to_owned(), identity, telemetry }) }
    }

    /// The service at the other end.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.target.audience
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link(to {})", self.target.audience)
    }
}

impl tower::Service<http::Request<Body>> for Link {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Readiness is awaited inside the call, under its deadline: a peer that is away must not hold callers for ever.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(send::send(self.clone(), request))
    }
}
