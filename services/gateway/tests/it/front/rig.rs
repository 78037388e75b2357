//! A gateway without sockets: requests go in as the edge would hand them on.

use super::world::{SEAL, State, World};
use beem_cache::{StandingCache, VerifiedStandings, Verifier};
use beem_caller::{Actor, ActorKey, Sealer, ServiceIdentity, Subject, Visitor};
use beem_clock::{Clock, Entropy, Moment};
use beem_gateway::edge::{Handler, Request};
use beem_gateway::standings::FromAuthz;
use beem_gateway::{Gateway, GatewayDeps, GatewaySettings};
use beem_ids::RequestId;
use beem_limits::{Limiter, ReplayStore};
use beem_link::Link;
use beem_proto::Contract;
use beem_proto::access::v1::PrincipalKind;
use beem_proto::authz::v1::Standing;
use beem_proto::identity::v1::{Credential, CredentialKey, SessionCredential};
use beem_proto::to_timestamp;
use beem_roles::RoleSet;
use beem_runtime::Tasks;
use beem_signing::{KeyKind, Origin, OutgoingRequest, PrivateKey, Signer};
use beem_telemetry::Telemetry;
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

pub const ORIGIN: &str = "http://127.0.0.1:8080";
const MINUTE_MS: i64 = 60_000;

pub struct Rig {
    pub world: Arc<World>,
    pub clock: Clock,
    pub entropy: Entropy,
    pub telemetry: Telemetry,
    pub authz: Link,
    gateway: Gateway,
    tasks: Tasks,
}

/// Somebody who signed in.
#[derive(Clone)]
pub struct Person {
    pub token: String,
    pub principal: String,
    pub session: String,
}

/// A client and its key.
pub struct Program {
    pub principal: String,
    pub signer: Signer,
}

/// A request to be sent.
pub struct Ask<'r> {
    rig: &'r Rig,
    request: Request,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub json: Value,
    pub request: RequestId,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut GatewaySettings)) -> Self {
        Self::of("sandbox", change)
    }

    /// In this environment.
    pub fn of(environment: &str, change: impl FnOnce(&mut GatewaySettings)) -> Self {
        let (clock, entropy) = (Clock::manual(Moment::from_unix_s(1_800_000_000)), Entropy::seeded(11));
        let telemetry = Telemetry::off();
        let standing_key = SigningKey::from_bytes(&[3; 32]);
        let world = World::new(standing_key.clone(), clock.clone());
        let identity = ServiceIdentity::new("gateway", SigningKey::from_bytes(&[1; 32]), clock.clone());
        let link = |name| Link::local(name, world.service(name), identity.clone(), telemetry.clone());
        let standings = VerifiedStandings::new(
            StandingCache::in_process(1_000),
            Arc::new(FromAuthz(link("authz"))),
            Verifier::new(vec![standing_key.verifying_key()]),
            clock.clone(),
        );
        let mut settings = GatewaySettings::default();
        change(&mut settings);
        let deps = GatewayDeps {
            contract: Contract::load().unwrap(),
            links: ["identity", "authz"].map(|name| (name.to_owned(), link(name))).into(),
            sealer: Sealer::new(["identity", "authz"].map(|n| (n.to_owned(), ActorKey(SEAL))).into()),
            standings,
            limiter: Limiter::in_process(1_000),
            replay: ReplayStore::in_process(1_000),
            environment: environment.into(),
            public_keys: Vec::new(),
            ready: Arc::new(|| async { Ok(()) }.boxed()),
            clock: clock.clone(),
            entropy: entropy.clone(),
            telemetry: telemetry.clone(),
        };
        let authz = link("authz");
        let (gateway, loops) =
            beem_gateway::build(&settings, "127.0.0.1:8080".parse().unwrap(), deps).unwrap();
        let tasks = Tasks::new(telemetry.clone());
        loops.into_iter().for_each(|task| tasks.supervise(task));
        Self { world, clock, entropy, telemetry, authz, gateway, tasks }
    }

    pub fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.world.state())
    }

    /// An enabled user with these roles and a session that has just begun.
    pub fn person(&self, roles: RoleSet) -> Person {
        let now = self.clock.now();
        let uuid = || beem_ids::draw(now, &self.entropy).to_string();
        let token = base64::Engine::encode(
            &base64::engine::general_purpose::URL_SAFE_NO_PAD,
            self.entropy.bytes::<32>(),
        );
        let person = Person { token, principal: uuid(), session: uuid() };
        let session = SessionCredential {
            session_id: person.session.clone(),
            principal_id: person.principal.clone(),
            account_id: uuid(),
            name: "ada@example.com".into(),
            network_whitelist: vec!["0.0.0.0/0".into()],
            version: 1,
            expires_at: Some(to_timestamp(now.plus_ms(720 * MINUTE_MS).unix_ms())),
            idle_until: Some(to_timestamp(now.plus_ms(30 * MINUTE_MS).unix_ms())),
        };
        self.stands(&person.principal, &session.account_id, PrincipalKind::User, roles);
        self.state(|s| s.sessions.insert(hash(&person.token), session));
        person
    }

    /// An enabled client with these roles and a key.
    pub fn program(&self, roles: RoleSet) -> Program {
        let uuid = || beem_ids::draw(self.clock.now(), &self.entropy).to_string();
        let (principal, client, account) = (uuid(), uuid(), uuid());
        let key = PrivateKey::generate(KeyKind::Ed25519, &self.entropy).unwrap();
        let public = key.public();
        let credential = Credential {
            principal_id: principal.clone(),
            account_id: account.clone(),
            kind: PrincipalKind::Client.into(),
            keys: vec![CredentialKey {
                public_key: public.pem(),
                fingerprint: public.fingerprint(),
                not_after: None,
            }],
            network_whitelist: vec!["0.0.0.0/0".into()],
            version: 1,
            name: "billing".into(),
        };
        self.stands(&principal, &account, PrincipalKind::Client, roles);
        self.state(|s| s.clients.insert(client.clone(), credential));
        Program { principal, signer: Signer::new(client, key) }
    }

    fn stands(&self, principal: &str, account: &str, kind: PrincipalKind, roles: RoleSet) {
        let standing = Standing {
            principal_id: principal.to_owned(),
            account_id: account.to_owned(),
            kind: kind.into(),
            enabled: true,
            roles: roles.bits(),
            version: 1,
            credential_version: 1,
            active: true,
            ..Standing::default()
        };
        self.state(|s| s.standings.insert(principal.to_owned(), standing));
    }

    /// Changes a standing, as authz would: under the next version.
    pub fn restand(&self, principal: &str, change: impl FnOnce(&mut Standing)) {
        self.state(|s| {
            let standing = s.standings.get_mut(principal).unwrap();
            standing.version += 1;
            change(standing);
        });
    }

    /// Changes what identity has of a session.
    pub fn resession(&self, person: &Person, change: impl FnOnce(&mut SessionCredential)) {
        self.state(|s| change(s.sessions.get_mut(&hash(&person.token)).unwrap()));
    }

    /// Ends a session in identity.
    pub fn end(&self, person: &Person) {
        self.state(|s| s.sessions.remove(&hash(&person.token)).unwrap());
    }

    /// Lets time pass, for the gateway's clock and for its timers.
    pub async fn later(&self, ms: i64) {
        self.clock.advance_ms(ms);
        tokio::time::advance(Duration::from_millis(ms.unsigned_abs())).await;
    }

    /// `GET /platform/v1/me`.
    pub fn ask(&self, line: &str) -> Ask<'_> {
        let (method, target) = line.split_once(' ').unwrap();
        let request = Request {
            id: RequestId::draw(self.clock.now(), &self.entropy),
            peer: "203.0.113.7:50000".parse().unwrap(),
            version: http::Version::HTTP_11,
            method: method.parse().unwrap(),
            host: "127.0.0.1:8080".into(),
            target: target.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        Ask { rig: self, request }
    }

    /// `GET /platform/v1/me` with this token.
    pub async fn me(&self, person: &Person) -> Answer {
        self.ask("GET /platform/v1/me").bearer(&person.token).send().await
    }

    /// Waits, for virtual minutes at most.
    pub async fn until(&self, what: &str, held: impl Fn(&State) -> bool) {
        for _ in 0..20_000 {
            if self.state(|s| held(s)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never: {what}");
    }

    /// Whom the last RPC was called for.
    pub fn last_subject(&self) -> Subject {
        self.state(|s| s.subjects.last().unwrap().clone())
    }

    pub fn last_actor(&self) -> Actor {
        match self.last_subject() {
            Subject::Actor(actor) => actor,
            Subject::Visitor(visitor) => panic!("{visitor:?}"),
        }
    }

    pub fn last_visitor(&self) -> Visitor {
        match self.last_subject() {
            Subject::Visitor(visitor) => visitor,
            Subject::Actor(actor) => panic!("{actor:?}"),
        }
    }

    /// Ends the loops, as a process that drains does.
    pub async fn drain(&self) {
        assert!(self.tasks.drain(Duration::from_secs(10)).await, "every loop ends in time");
    }
}

impl Ask<'_> {
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = HeaderValue::from_bytes(value.as_ref()).unwrap();
        self.request.headers.append(HeaderName::try_from(name).unwrap(), value);
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub fn json(mut self, body: &str) -> Self {
        self.request.body = body.to_owned().into();
        self.header("content-type", "application/json")
    }

    pub fn from(mut self, peer: &str) -> Self {
        self.request.peer = std::net::SocketAddr::new(peer.parse().unwrap(), 50_000);
        self
    }

    pub fn signed(mut self, program: &Program) -> Self {
        let origin = Origin::parse(ORIGIN).unwrap();
        let id = self.request.id.to_string();
        let (method, path): (Method, _) = (self.request.method.clone(), self.request.path().to_owned());
        let outgoing = OutgoingRequest {
            method: &method,
            origin: &origin,
            path: &path,
            query: self.request.query(),
            body: &self.request.body,
            idempotency_key: None,
            nonce: Some(&id),
            now: self.rig.clock.now(),
        };
        let signed = program.signer.sign(&outgoing).unwrap();
        self.request.headers.extend(signed.headers);
        self
    }

    pub async fn send(self) -> Answer {
        let request = self.request.id;
        let (head, body) = self.rig.gateway.handle(self.request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Answer { status: head.status.as_u16(), headers: head.headers, json, request }
    }
}

impl Ask<'_> {
    /// The body, as a text.
    pub async fn text(self) -> String {
        let body = self.rig.gateway.handle(self.request).await.into_body();
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }
}

impl Answer {
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or("")
    }

    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.json);
    }

    #[track_caller]
    pub fn fine(&self) {
        assert_eq!(self.status, 200, "{}", self.json);
    }
}

/// What identity knows a token by.
pub fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}
