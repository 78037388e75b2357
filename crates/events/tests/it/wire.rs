//! A service with a feed behind its guard, and the link by which `hooks` follows it, in the same process or over a network.

use beem_caller::{ActorKey, Issuers, Opener, ServiceIdentity};
use beem_clock::{Clock, Moment};
use beem_fault::Fault;
use beem_link::{Link, LocalService, RemoteTarget};
use beem_proto::Contract;
use beem_proto::events::v1::feed_server::{Feed, FeedServer};
use beem_runtime::{GuardSettings, guarded, serve_grpc};
use beem_telemetry::Telemetry;
use ed25519_dalek::SigningKey;
use std::convert::Infallible;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Local,
    Remote,
}

/// The peer `ledger`, which can be away.
pub struct Peer {
    pub link: Link,
    away: watch::Sender<bool>,
    _stop: DropGuard,
}

impl Peer {
    /// Calls that are under way break off.
    pub fn go_down(&self) {
        self.away.send_replace(true);
    }

    pub fn come_back(&self) {
        self.away.send_replace(false);
    }

    /// Serves the feed to `hooks`.
    pub async fn serving<F: Feed>(shape: Shape, feed: FeedServer<F>) -> Self {
        let hooks = identity("hooks");
        let away = watch::Sender::new(false);
        let service = gated(behind_guard(feed), away.subscribe());
        let stop = CancellationToken::new();
        let link = match shape {
            Shape::Local => Link::local("ledger", service, hooks, Telemetry::off()),
            Shape::Remote => {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let url = format!("http://{}", listener.local_addr().unwrap());
                let until = stop.clone();
                tokio::spawn(async move { serve_grpc(listener, None, &[], service, until).await.unwrap() });
                let target = RemoteTarget { url, name: "ledger".into(), tls: None };
                Link::remote("ledger", beem_link::connect(&target).unwrap(), hooks, Telemetry::off())
            }
        };
        Self { link, away, _stop: stop.drop_guard() }
    }
}

fn clock() -> Clock {
    Clock::manual(Moment::from_unix_s(1_700_000_000))
}

fn identity(name: &str) -> ServiceIdentity {
    ServiceIdentity::new(name, SigningKey::from_bytes(&[5; 32]), clock())
}

fn behind_guard<F: Feed>(feed: FeedServer<F>) -> LocalService {
    let settings = GuardSettings {
        service: "ledger".into(),
        contract: Contract::load().unwrap(),
        issuers: Issuers::new("ledger", [("hooks".to_owned(), vec![identity("hooks").public_key()])].into()),
        opener: Opener::new("ledger", vec![ActorKey([7; 32])]),
        extra_methods: [].into(),
        clock: clock(),
        telemetry: Telemetry::off(),
    };
    guarded(Routes::new(feed), settings)
}

fn gated(service: LocalService, away: watch::Receiver<bool>) -> LocalService {
    BoxCloneSyncService::new(tower::service_fn(move |request| {
        let (service, mut away) = (service.clone(), away.clone());
        async move {
            let gone = async move { drop(away.wait_for(|away| *away).await) };
            let answer = tokio::select! {
                biased;
                () = gone => tonic::Status::from(Fault::unavailable("the peer is away")).into_http(),
                answer = service.oneshot(request) => answer.unwrap(),
            };
            Ok::<_, Infallible>(answer)
        }
    }))
}
