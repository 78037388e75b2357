//! Every RPC from inside a cluster, over gRPC: what a service does with a call that no gateway and no peer of its own would
//! send. The keys are the cluster's own, from its settings files.

use super::hooks::HookOfTest;
use super::inside_books::Books;
use super::inside_people::People;
use super::inside_rows::{World, all, encode, is_for_actors};
use beem_caller::{Actor, AuthenticatedBy, PrincipalKind, ServiceIdentity, Subject, Visitor, metadata};
use beem_clock::{Clock, Entropy};
use beem_ids::RequestId;
use beem_proto::{Access, Method};
use beem_roles::RoleSet;
use beem_signing::KeyKind;
use beem_tests::cluster_keys::ClusterKeys;
use beem_tests::forge::unique;
use beem_tests::raw_grpc::{Peer, RawCall};
use beem_tests::{Creds, Rig};
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use tonic::Code;

/// The processes of the cluster that have an identity.
const SERVICES: [&str; 8] =
    ["gateway", "identity", "authz", "ledger", "hooks", "admin", "payments", "channels"];

/// The cluster as somebody inside sees it.
pub struct Inside {
    pub keys: ClusterKeys,
    pub peers: BTreeMap<&'static str, Peer>,
    caller: Creds,
    world: World,
}

impl Inside {
    /// With people who only look like some.
    pub async fn new() -> Self {
        Self::with(async |_, _| (People::nobody(), Books::nowhere(), HookOfTest::nowhere())).await
    }

    async fn with(
        fill: impl AsyncFnOnce(&beem_tests::Client, &ClusterKeys) -> (People, Books, HookOfTest),
    ) -> Self {
        let rig = Rig::clustered();
        let keys = ClusterKeys::read(&rig.cluster_folder());
        let owner = rig.as_client(&rig.new_account());
        let target = owner.new_client(&serde_json::json!({})).await;
        let me = owner.get("/platform/v1/me").await.expect(200);
        let caller = Creds { id: me["principalId"].as_str().unwrap().to_owned(), ..owner.creds.clone() };
        let (people, books, hook) = fill(&owner, &keys).await;
        let world = World {
            account: target.account_id.clone(),
            principal: target.id.clone(),
            client_id: target.client_id.clone(),
            key: beem_tests::creds::new_key(KeyKind::Ed25519).public().pem(),
            people,
            books,
            hook,
        };
        let peers = ["identity", "authz", "ledger", "hooks"].map(|name| (name, keys.peer(name)));
        Self { keys, peers: peers.into(), caller, world }
    }

    /// Who is asked. What every service serves is asked of identity.
    fn owner(method: &Method) -> &'static str {
        match method.owner.as_str() {
            "authz" => "authz",
            "ledger" => "ledger",
            "hooks" => "hooks",
            "identity" | "*" => "identity",
            other => panic!("{}: teach this test where {other} is", method.path),
        }
    }

    pub async fn send(&self, method: &Method, call: &RawCall) -> Result<bytes::Bytes, tonic::Status> {
        call.send(&self.peers[Self::owner(method)]).await
    }

    /// Whoever may call it, of those that run here.
    fn allowed(method: &Method) -> &'static str {
        match &method.access {
            Access::Internal(callers) => {
                let found = SERVICES.into_iter().find(|s| callers.iter().any(|c| c == s));
                found.unwrap_or_else(|| panic!("{}: nobody here may call it", method.path))
            }
            Access::AnyOf(_) | Access::SignedIn | Access::Public => "gateway",
        }
    }

    /// The message alone.
    fn bare(&self, method: &Method, row: &super::inside_rows::Row) -> RawCall {
        let call = RawCall::new(&method.path, &encode(method, &(row.message)(&self.world)));
        call.text(metadata::AUDIENCE, Self::owner(method))
    }

    pub fn token(&self, service: &str, audience: &str) -> String {
        self.identity(service).token_for(audience)
    }

    /// Services that are not built yet have no settings.
    fn identity(&self, service: &str) -> ServiceIdentity {
        if beem_tests::environment::INTERNAL.contains(&service) {
            self.keys.internal(service)
        } else {
            self.keys.identity(service)
        }
    }

    fn actor(&self, roles: RoleSet) -> Actor {
        Actor {
            account: self.caller.account_id.parse().unwrap(),
            principal: self.caller.id.parse().unwrap(),
            kind: PrincipalKind::Client,
            authenticated_by: AuthenticatedBy::Signature,
            name: self.caller.client_id.clone(),
            roles,
            standing_version: 1,
            address: "127.0.0.1".parse().unwrap(),
            request: RequestId::draw(Clock::System.now(), &Entropy::System),
            key_fingerprint: String::new(),
            request_key: unique(),
            session: None,
        }
    }

    /// The person, in its session.
    fn person(&self) -> Actor {
        let people = &self.world.people;
        Actor {
            principal: people.id.parse().unwrap(),
            kind: PrincipalKind::User,
            authenticated_by: AuthenticatedBy::Session,
            name: people.email.clone(),
            session: Some(people.session_id.parse().unwrap()),
            ..self.actor(RoleSet::EMPTY)
        }
    }

    /// Whoever the gateway would say calls it.
    fn subject(&self, method: &Method) -> Subject {
        if method.session {
            return Subject::Actor(self.person());
        }
        if is_for_actors(method) {
            return Subject::Actor(self.actor(RoleSet::ALL));
        }
        let request = RequestId::draw(Clock::System.now(), &Entropy::System);
        Subject::Visitor(Visitor {
            address: "127.0.0.1".parse().unwrap(),
            request,
            user_agent: String::new(),
        })
    }

    /// With somebody sealed for `audience`, `path` and `message`.
    fn sealed(&self, call: RawCall, whom: &Subject, audience: &str, path: &str, message: &[u8]) -> RawCall {
        let sealed = self.keys.sealer().seal(whom, audience, path, message, Clock::System.now()).unwrap();
        call.binary(metadata::ACTOR, &sealed.actor).binary(metadata::ACTOR_SEAL, &sealed.seal)
    }

    /// All that the method asks for.
    pub fn proper(&self, method: &Method, row: &super::inside_rows::Row) -> RawCall {
        let call = self.bare(method, row);
        let call = call.text(metadata::SERVICE_TOKEN, self.token(Self::allowed(method), Self::owner(method)));
        if matches!(method.access, Access::Internal(_)) {
            return call;
        }
        let message = call.message.clone();
        self.sealed(call, &self.subject(method), Self::owner(method), &method.path, &message)
    }
}

#[test]
fn every_rpc_has_a_row() {
    assert_eq!(all().len(), super::inside_rows::ROWS.len(), "a row of an RPC that is not there");
}

#[tokio::test]
async fn a_proper_call_is_served() {
    let inside = Inside::with(async |owner, keys| {
        let hook = HookOfTest::make(owner).await;
        (People::gather(Rig::clustered(), owner).await, Books::gather(owner, keys).await, hook)
    })
    .await;
    for (method, row) in all() {
        let answer = inside.send(&method, &inside.proper(&method, row)).await;
        assert!(answer.is_ok(), "{}: {answer:?}", method.path);
    }
}

/// Refused under that code, every method, each in several ways.
pub async fn refused(
    code: Code,
    calls: impl Fn(&Inside, &Method, &super::inside_rows::Row) -> Vec<(&'static str, RawCall)>,
) {
    let inside = Inside::new().await;
    let mut wrong = Vec::new();
    for (method, row) in all() {
        for (what, call) in calls(&inside, &method, row) {
            match inside.send(&method, &call).await {
                Err(status) if status.code() == code => {}
                other => wrong.push(format!("{} {what}: {code:?} expected, {other:?}", method.path)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_call_without_a_good_service_token_is_refused() {
    refused(Code::Unauthenticated, |inside, method, row| {
        let here = Inside::owner(method);
        let elsewhere = if here == "authz" { "identity" } else { "authz" };
        let allowed = Inside::allowed(method);
        let with = |token: String| {
            let mut call = inside.proper(method, row);
            call.metadata.retain(|(name, _)| name != metadata::SERVICE_TOKEN);
            call.text(metadata::SERVICE_TOKEN, token)
        };
        let mut without = with(String::new());
        without.metadata.retain(|(name, _)| name != metadata::SERVICE_TOKEN);
        let forger = |name: &str| {
            let key = SigningKey::from_bytes(&Entropy::System.bytes());
            ServiceIdentity::new(name, key, Clock::System).token_for(here)
        };
        let long_ago = Clock::manual(beem_clock::Moment::from_unix_s(beem_tests::forge::now_s() - 3_600));
        let expired = if beem_tests::environment::INTERNAL.contains(&allowed) {
            ServiceIdentity::new(allowed, beem_tests::environment::internal_key(allowed), long_ago)
                .token_for(here)
        } else {
            inside.keys.identity_at(allowed, long_ago).token_for(here)
        };
        vec![
            ("without a token", without),
            ("empty token", with(String::new())),
            ("token for another audience", with(inside.token(allowed, elsewhere))),
            ("token of a key that is not the service's", with(forger(allowed))),
            ("token of a service nobody knows", with(forger("somebody"))),
            ("token of an hour ago", with(expired)),
            ("token cut short", with(inside.token(allowed, here).chars().take(40).collect())),
        ]
    })
    .await;
}

#[tokio::test]
async fn a_service_that_is_not_among_the_callers_is_refused() {
    refused(Code::PermissionDenied, |inside, method, row| {
        let callers = match &method.access {
            Access::Internal(callers) => callers.clone(),
            Access::Public => vec!["gateway".to_owned()],
            Access::AnyOf(_) | Access::SignedIn => return Vec::new(),
        };
        let others = SERVICES.into_iter().filter(|s| !callers.iter().any(|c| c == s));
        let call = |service| {
            let call = inside.bare(method, row);
            call.text(metadata::SERVICE_TOKEN, inside.token(service, Inside::owner(method)))
        };
        others.map(|service| (service, call(service))).collect()
    })
    .await;
}

#[tokio::test]
async fn a_call_for_an_actor_without_a_proven_one_is_refused() {
    refused(Code::Unauthenticated, |inside, method, row| {
        if !is_for_actors(method) {
            return Vec::new();
        }
        let here = Inside::owner(method);
        let elsewhere = if here == "authz" { "identity" } else { "authz" };
        let call = inside.bare(method, row).text(metadata::SERVICE_TOKEN, inside.token("gateway", here));
        let (whom, message) = (inside.subject(method), call.message.clone());
        let Subject::Actor(actor) = whom.clone() else { unreachable!("it is for actors") };
        let seal = |audience: &str, path: &str, message: &[u8]| {
            inside.sealed(call.clone(), &whom, audience, path, message)
        };
        let now = Clock::System.now();
        let good = inside.keys.sealer().seal(&whom, here, &method.path, &message, now).unwrap();
        let long_ago = now.plus_ms(-60_000);
        let old = inside.keys.sealer().seal(&whom, here, &method.path, &message, long_ago).unwrap();
        let mut forged = good.seal;
        forged[0] ^= 1;
        let with = |actor: &[u8], seal: &[u8]| {
            call.clone().binary(metadata::ACTOR, actor).binary(metadata::ACTOR_SEAL, seal)
        };
        let visitor = Visitor { address: actor.address, request: actor.request, user_agent: String::new() };
        let visitor = Subject::Visitor(visitor);
        let record = prost::Message::encode_to_vec(&actor.to_wire());
        let other_path = "/beem.identity.v1.Clients/Other";
        vec![
            ("without an actor", call.clone()),
            ("an actor for the record only", call.clone().binary(metadata::ACTOR_RECORD, &record)),
            ("an actor without a seal", call.clone().binary(metadata::ACTOR, &good.actor)),
            ("a visitor", inside.sealed(call.clone(), &visitor, here, &method.path, &message)),
            ("a forged seal", with(&good.actor, &forged)),
            ("a seal that is too short", with(&good.actor, &good.seal[..16])),
            ("a seal of a minute ago", with(&old.actor, &old.seal)),
            ("sealed for another audience", seal(elsewhere, &method.path, &message)),
            ("sealed for another method", seal(here, other_path, &message)),
            ("sealed for another request", seal(here, &method.path, b"another")),
        ]
    })
    .await;
}

/// The service judges the access rule once more, whatever the gateway let through.
#[tokio::test]
async fn an_actor_without_the_role_is_refused_by_the_service_too() {
    refused(Code::PermissionDenied, |inside, method, row| {
        let Access::AnyOf(any_of) = &method.access else { return Vec::new() };
        let here = Inside::owner(method);
        let call = inside.bare(method, row).text(metadata::SERVICE_TOKEN, inside.token("gateway", here));
        let others = |actor: Actor| Subject::Actor(Actor { roles: RoleSet::ALL.minus(*any_of), ..actor });
        let (client, person) = (others(inside.actor(RoleSet::ALL)), others(inside.person()));
        let message = call.message.clone();
        let sealed = |whom: &Subject| inside.sealed(call.clone(), whom, here, &method.path, &message);
        vec![("all other roles", sealed(&client)), ("a person with all other roles", sealed(&person))]
    })
    .await;
}

/// So does it judge who is a person.
#[tokio::test]
async fn a_client_is_refused_by_the_service_too_where_a_person_is_asked_for() {
    refused(Code::PermissionDenied, |inside, method, row| {
        if !method.session {
            return Vec::new();
        }
        let here = Inside::owner(method);
        let call = inside.bare(method, row).text(metadata::SERVICE_TOKEN, inside.token("gateway", here));
        let (client, message) = (Subject::Actor(inside.actor(RoleSet::ALL)), call.message.clone());
        vec![("a client", inside.sealed(call, &client, here, &method.path, &message))]
    })
    .await;
}
