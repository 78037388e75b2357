//! One authz with its database and cache, called as other services call it; a request in a line.

pub use beem_servicetest::until;

use beem_authz::{AuthzDeps, AuthzSettings, build};
use beem_cache::{StandingCache, Verified, Verifier};
use beem_caller::{Actor, PrincipalKind, Subject, metadata};
use beem_clock::{Clock, Entropy};
use beem_database::{Database, Sql as _};
use beem_fault::{Code, Fault};
use beem_ids::{AccountId, PrincipalId};
use beem_link::Link;
use beem_proto::authz::v1::audit_client::AuditClient;
use beem_proto::authz::v1::standings_client::StandingsClient;
use beem_proto::authz::v1::{
    CommitChangeRequest, CreateStandingRequest, GetStandingRequest, PrepareChangeRequest, PutAccountRequest,
    SignedStanding, Standing,
};
use beem_redis::Redis;
use beem_roles::{Role, RoleSet};
use beem_runtime::{GuardSettings, Task, Tasks, guarded};
use beem_servicetest::{Base, base, guard_settings};
use beem_telemetry::Telemetry;
use ed25519_dalek::SigningKey;
use prost::Message;
use std::collections::BTreeMap;
use std::time::Duration;
use tonic::{Request, Response, Status};

/// Runs each story on both shapes.
#[macro_export]
macro_rules! on_both_shapes {
    ($($story:ident),* $(,)?) => { $(
        mod $story {
            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() {
                super::$story($crate::rig::Rig::start($crate::rig::Shape::Embedded).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn clustered() {
                super::$story($crate::rig::Rig::start($crate::rig::Shape::Clustered).await).await;
            }
        }
    )* };
}

#[derive(Clone, Copy, Debug)]
pub enum Shape {
    Embedded,
    Clustered,
}

/// Where an authz keeps its rows; several may be built on one.
pub struct Place {
    pub database: Database,
    pub clock: Clock,
    pub entropy: Entropy,
    _folder: tempfile::TempDir,
}

impl Place {
    pub async fn new(shape: Shape) -> Self {
        Self::at(shape, Clock::default()).await
    }

    pub async fn at(shape: Shape, clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = match shape {
            Shape::Embedded => Base::Sqlite,
            Shape::Clustered => Base::Postgres,
        };
        let entropy = Entropy::default();
        let database = base::connect(&base.fresh(folder.path(), "authz"), &clock, &entropy).await;
        Self { database, clock, entropy, _folder: folder }
    }
}

/// The cache that goes with the shape.
pub fn cache(shape: Shape) -> StandingCache {
    match shape {
        Shape::Embedded => StandingCache::in_process(1000),
        Shape::Clustered => redis_cache(&beem_testkit::redis::fresh_database()),
    }
}

pub fn redis_cache(url: &str) -> StandingCache {
    // Generous: a loaded machine must not look like Redis being away.
    StandingCache::in_redis(Redis::new(url, "authz-test:", Duration::from_secs(2)).unwrap())
}

/// What authz signs with here.
pub fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// authz as it runs; see the module.
pub struct Rig {
    pub place: Place,
    pub cache: StandingCache,
    pub verifier: Verifier,
    pub link: Link,
    pub account: AccountId,
    tasks: Tasks,
    waiting: Vec<Task>,
}

impl Rig {
    /// With a new account and its tasks running.
    pub async fn start(shape: Shape) -> Self {
        let rig = Self::build(Place::new(shape).await, cache(shape)).await.with_tasks();
        rig.put_account("HELD").await;
        rig
    }

    /// Without tasks. `Place` may have been used before.
    pub async fn build(place: Place, cache: StandingCache) -> Self {
        let signing_key = signing_key();
        let verifier = Verifier::new(vec![signing_key.verifying_key()]);
        let telemetry = Telemetry::off();
        let deps = AuthzDeps {
            database: place.database.clone(),
            cache: cache.clone(),
            signing_key,
            clock: place.clock.clone(),
            entropy: place.entropy.clone(),
            telemetry: telemetry.clone(),
        };
        let service = build(AuthzSettings::default(), deps).await.unwrap();
        (service.ready)().await.unwrap();
        let guard = GuardSettings {
            // Every method of the internal face, so that one caller can tell the whole story.
            extra_methods: BTreeMap::from([(
                "identity".into(),
                ["Standings/BatchCheck", "Audit/ReportRefusals", "Audit/ListAuditHeads", "Audit/VerifyAudit"]
                    .map(|method| format!("/beem.authz.v1.{method}"))
                    .into(),
            )]),
            ..guard_settings("authz", &place.clock)
        };
        let link = beem_servicetest::link("authz", guarded(service.routes, guard), "identity", &place.clock);
        let tasks = Tasks::new(telemetry);
        let account = AccountId::draw(place.clock.now(), &place.entropy);
        Self { place, cache, verifier, link, account, tasks, waiting: service.tasks }
    }

    /// Starts its background loops.
    pub fn with_tasks(mut self) -> Self {
        for task in std::mem::take(&mut self.waiting) {
            self.tasks.supervise(task);
        }
        self
    }

    pub fn audit(&self) -> AuditClient<Link> {
        AuditClient::new(self.link.clone())
    }

    pub fn standings(&self) -> StandingsClient<Link> {
        StandingsClient::new(self.link.clone())
    }

    pub fn new_id(&self) -> PrincipalId {
        PrincipalId::draw(self.place.clock.now(), &self.place.entropy)
    }

    /// A principal as the gateway proved it, without any role.
    pub fn actor(&self, principal: PrincipalId) -> Actor {
        Actor {
            account: self.account,
            principal,
            roles: RoleSet::EMPTY,
            ..beem_servicetest::actor(&self.place.clock, &self.place.entropy)
        }
    }

    /// A request from outside, sealed as the gateway seals it.
    pub fn sealed<T: Message>(&self, actor: &Actor, method: &str, message: T) -> Request<T> {
        let subject = Subject::Actor(actor.clone());
        beem_servicetest::sealed("authz", &subject, method, message, self.place.clock.now())
    }

    pub async fn put_account(&self, policy: &str) {
        let request =
            PutAccountRequest { account_id: self.account.to_string(), role_grant_policy: policy.into() };
        self.standings().put_account(request).await.unwrap();
    }

    /// What the installation makes: no rule is asked.
    pub async fn principal(&self, kind: PrincipalKind, roles: RoleSet) -> PrincipalId {
        let id = self.new_id();
        let request = CreateStandingRequest { kind: kind.to_wire().into(), ..self.creation(id, roles) };
        self.standings().create_standing(request).await.unwrap();
        id
    }

    pub async fn client(&self, roles: RoleSet) -> PrincipalId {
        self.principal(PrincipalKind::Client, roles).await
    }

    pub async fn user(&self, roles: RoleSet) -> PrincipalId {
        self.principal(PrincipalKind::User, roles).await
    }

    /// An enabled client, made by the installation.
    pub fn creation(&self, id: PrincipalId, roles: RoleSet) -> CreateStandingRequest {
        CreateStandingRequest {
            effect_key: format!("create:{id}"),
            account_id: self.account.to_string(),
            principal_id: id.to_string(),
            kind: PrincipalKind::Client.to_wire().into(),
            enabled: true,
            roles: roles.bits(),
            actor_principal_id: String::new(),
            active: true,
        }
    }

    /// A change of `target` by `by` that changes nothing yet.
    pub fn change(&self, key: &str, target: PrincipalId, by: PrincipalId) -> PrepareChangeRequest {
        PrepareChangeRequest {
            effect_key: key.into(),
            account_id: self.account.to_string(),
            principal_id: target.to_string(),
            actor_principal_id: by.to_string(),
            ..PrepareChangeRequest::default()
        }
    }

    pub async fn prepare(&self, request: PrepareChangeRequest) -> Result<Standing, Fault> {
        told(self.standings().prepare_change(request).await)
    }

    pub async fn commit(&self, key: &str) -> Result<Standing, Fault> {
        told(self.standings().commit_change(CommitChangeRequest { effect_key: key.into() }).await)
    }

    /// Prepares and commits.
    pub async fn apply(&self, request: PrepareChangeRequest) -> Standing {
        let key = request.effect_key.clone();
        self.prepare(request).await.unwrap();
        self.commit(&key).await.unwrap()
    }

    /// The standing as the table has it, by its signed answer.
    pub async fn standing(&self, id: PrincipalId) -> Standing {
        let request = GetStandingRequest { principal_id: id.to_string() };
        let signed = self.standings().get_standing(request).await.unwrap().into_inner();
        self.verifier.verify(signed, id, self.place.clock.now()).unwrap().standing
    }

    /// The entry in the cache, verified.
    pub async fn cached(&self, id: PrincipalId) -> Option<Verified> {
        let bytes = self.cache.get(id).await.unwrap()?;
        let signed = SignedStanding::decode(bytes.as_slice()).unwrap();
        Some(self.verifier.verify(signed, id, self.place.clock.now()).unwrap())
    }

    /// Its version; 0 for none.
    pub async fn cached_version(&self, id: PrincipalId) -> u64 {
        self.cached(id).await.map_or(0, |verified| verified.standing.version)
    }

    /// One number out of the database.
    pub async fn count(&self, sql: &str) -> i64 {
        let row = self.place.database.read().row(sql, vec![]).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// Ends everything but the place, as a killed process would.
    pub async fn kill(self) -> Place {
        self.tasks.drain(Duration::from_secs(5)).await;
        self.place
    }
}

pub fn told<T>(answer: Result<Response<T>, Status>) -> Result<T, Fault> {
    answer.map(Response::into_inner).map_err(Fault::from)
}

pub fn code<T: std::fmt::Debug>(answer: Result<T, Fault>) -> Code {
    answer.unwrap_err().code
}

/// Whether an answer says that it was given before.
pub fn replayed<T>(answer: &Response<T>) -> bool {
    answer.metadata().get(metadata::REPLAYED).is_some()
}

pub fn set<const N: usize>(roles: [Role; N]) -> RoleSet {
    roles.into_iter().collect()
}
