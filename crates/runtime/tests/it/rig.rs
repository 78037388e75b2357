//! A service that does what the test says, behind its guard, and a link to it in either shape.

use crate::streams::Streams;
use beem_caller::{
    Actor, ActorKey, AuthenticatedBy, Caller, Opener, PrincipalKind, Sealer, ServiceIdentity, Subject,
};
use beem_caller::{Issuers, metadata};
use beem_clock::{Clock, Entropy};
use beem_fault::{Code, Fault};
use beem_ids::{AccountId, PrincipalId, RequestId};
use beem_link::{Link, LocalService, RemoteTarget};
use beem_proto::Contract;
use beem_proto::authz::v1::roles_client::RolesClient;
use beem_proto::authz::v1::roles_server::{Roles, RolesServer};
use beem_proto::authz::v1::{ListRolesRequest, ListRolesResponse, Role};
use beem_proto::events::v1::feed_client::FeedClient;
use beem_proto::events::v1::feed_server::{Feed, FeedServer};
use beem_proto::events::v1::{SubscribeRequest, SubscribeResponse};
use beem_roles::RoleSet;
use beem_runtime::{GuardSettings, guarded, serve_grpc, spawn};
use beem_telemetry::Telemetry;
use ed25519_dalek::SigningKey;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::metadata::BinaryMetadataValue;
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status};

pub const LIST_ROLES: &str = "/beem.authz.v1.Roles/ListRoles";

/// What the handler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    Answers,
    Sleeps,
    Panics,
    Refuses,
}

#[derive(Clone)]
pub struct Probe {
    pub does: Arc<Mutex<Does>>,
    /// The caller the last handler saw, and the call it was part of.
    pub seen: Arc<Mutex<Option<(Caller, beem_caller::Call)>>>,
}

impl Probe {
    async fn act<T>(&self, request: &Request<T>) -> Result<(), Status> {
        *self.seen.lock().unwrap() = Some((beem_runtime::caller(request)?, beem_caller::current().unwrap()));
        let does = *self.does.lock().unwrap();
        match does {
            Does::Answers => Ok(()),
            Does::Sleeps => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                Ok(())
            }
            Does::Panics => panic!("the handler fell over"),
            Does::Refuses => {
                Err(Fault::field_as(Code::CurrencyUnknown, "amount.currency", "no such thing").into())
            }
        }
    }
}

#[tonic::async_trait]
impl Roles for Probe {
    async fn list_roles(
        &self,
        request: Request<ListRolesRequest>,
    ) -> Result<Response<ListRolesResponse>, Status> {
        self.act(&request).await?;
        Ok(Response::new(ListRolesResponse { roles: vec![Role::default()], bundles: vec![] }))
    }
}

#[tonic::async_trait]
impl Feed for Probe {
    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<SubscribeResponse>, Status> {
        self.act(&request).await?;
        Ok(Response::new(SubscribeResponse::default()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Local,
    Remote,
}

pub struct Rig {
    pub probe: Probe,
    pub service: LocalService,
    pub sealer: Sealer,
    pub clock: Clock,
    shape: Shape,
    url: String,
    _stop: tokio_util::sync::DropGuard,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

impl Rig {
    /// A service `authz` that knows the issuers gateway (key 1), hooks (2), reporting (3).
    pub async fn new(shape: Shape) -> Self {
        Self::with(shape, |routes, probe| {
            routes.add_service(RolesServer::new(probe.clone())).add_service(FeedServer::new(probe.clone()));
        })
        .await
    }

    /// The same with a stream where the feed is.
    pub async fn serving(shape: Shape, streams: Streams) -> Self {
        Self::with(shape, |routes, _| {
            routes.add_service(streams);
        })
        .await
    }

    async fn with(shape: Shape, add: impl FnOnce(&mut RoutesBuilder, &Probe)) -> Self {
        let clock = Clock::System;
        let probe = Probe { does: Arc::new(Mutex::new(Does::Answers)), seen: Arc::default() };
        let issuers = [("gateway", 1), ("hooks", 2), ("reporting", 3)];
        let issuers = issuers.map(|(name, seed)| (name.to_owned(), vec![key(seed).verifying_key()]));
        let settings = GuardSettings {
            service: "authz".into(),
            contract: Contract::load().unwrap(),
            issuers: Issuers::new("authz", issuers.into()),
            opener: Opener::new("authz", vec![ActorKey([7; 32])]),
            extra_methods: [("reporting".into(), vec!["/beem.events.v1.Feed/Subscribe".into()])].into(),
            clock: clock.clone(),
            telemetry: Telemetry::off(),
        };
        let mut routes = tonic::service::Routes::builder();
        add(&mut routes, &probe);
        let service = guarded(routes.routes(), settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let (serve, until) = (service.clone(), stop.clone());
        spawn(
            async move { serve_grpc(listener, None, &["beem.authz.v1.Roles"], serve, until).await.unwrap() },
        );
        let sealer = Sealer::new(BTreeMap::from([("authz".to_owned(), ActorKey([7; 32]))]));
        Self { probe, service, sealer, clock, shape, url, _stop: stop.drop_guard() }
    }

    pub fn does(&self, does: Does) {
        *self.probe.does.lock().unwrap() = does;
    }

    /// A link to `audience` as the issuer of that name and key.
    pub fn link_as(&self, name: &str, seed: u8, audience: &str) -> Link {
        let identity = ServiceIdentity::new(name, key(seed), self.clock.clone());
        match self.shape {
            Shape::Local => Link::local(audience, self.service.clone(), identity, Telemetry::off()),
            Shape::Remote => {
                let target = RemoteTarget { url: self.url.clone(), name: "authz".into(), tls: None };
                Link::remote(audience, beem_link::connect(&target).unwrap(), identity, Telemetry::off())
            }
        }
    }

    pub fn roles(&self) -> RolesClient<Link> {
        RolesClient::new(self.link_as("gateway", 1, "authz"))
    }

    pub fn feed_as(&self, name: &str, seed: u8) -> FeedClient<Link> {
        FeedClient::new(self.link_as(name, seed, "authz"))
    }

    /// A request whose actor is sealed for this method and message.
    pub fn sealed<T: Message>(&self, message: T, method: &str) -> Request<T> {
        let bytes = message.encode_to_vec();
        let sealed =
            self.sealer.seal(&Subject::Actor(actor()), "authz", method, &bytes, self.clock.now()).unwrap();
        let mut request = Request::new(message);
        let values = request.metadata_mut();
        values.insert_bin(metadata::ACTOR, BinaryMetadataValue::from_bytes(&sealed.actor));
        values.insert_bin(metadata::ACTOR_SEAL, BinaryMetadataValue::from_bytes(&sealed.seal));
        request
    }
}

pub fn actor() -> Actor {
    let (entropy, now) = (Entropy::seeded(5), beem_clock::Moment::from_unix_s(1_800_000_000));
    Actor {
        account: AccountId::draw(now, &entropy),
        principal: PrincipalId::draw(now, &entropy),
        kind: PrincipalKind::Client,
        authenticated_by: AuthenticatedBy::Signature,
        name: "c".into(),
        roles: RoleSet::ALL,
        standing_version: 1,
        address: "192.0.2.1".parse().unwrap(),
        request: RequestId::draw(now, &entropy),
        key_fingerprint: "ab".into(),
        request_key: String::new(),
        session: None,
    }
}
