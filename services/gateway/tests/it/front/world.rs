//! identity and authz as the gateway sees them: what they know is the test's to say, and what they were asked is kept.

use beem_cache::SignedEntry;
use beem_caller::{ActorKey, Opener, Subject, metadata};
use beem_clock::Clock;
use beem_fault::Fault;
use beem_gateway::transcode::RawCodec;
use beem_link::LocalService;
use beem_proto::authz::v1::{
    AuditRow, GetStandingRequest, PushAuditRowsRequest, ReportRefusalsRequest, Standing,
};
use beem_proto::identity::v1::{
    Credential, GetClientCredentialRequest, GetSessionRequest, ReportUseRequest, SessionCredential,
};
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use futures::FutureExt;
use futures::future::BoxFuture;
use prost::Message;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use tonic::body::Body;
use tonic::server::UnaryService;
use tonic::{Request, Response, Status};
use tower::service_fn;
use tower::util::BoxCloneSyncService;

/// What the gateway seals for each of the two with.
pub const SEAL: [u8; 32] = [7; 32];

#[derive(Default)]
pub struct State {
    /// By the hash of their token.
    pub sessions: HashMap<Vec<u8>, SessionCredential>,
    /// By clientId.
    pub clients: HashMap<String, Credential>,
    /// By principal.
    pub standings: HashMap<String, Standing>,
    /// Services that do not answer.
    pub away: HashSet<&'static str>,
    /// What RPCs of outside callers are answered with, instead of an empty message.
    pub refusal: Option<Fault>,
    /// RPCs asked for, in order.
    pub calls: Vec<String>,
    /// For whom RPCs of outside callers were called.
    pub subjects: Vec<Subject>,
    pub uses: Vec<ReportUseRequest>,
    pub pushes: Vec<Vec<AuditRow>>,
    /// An action whose rows authz will not take.
    pub refused_action: Option<String>,
    pub reports: Vec<ReportRefusalsRequest>,
    /// authz takes pushes and reports, but its answers are lost.
    pub answers_lost: bool,
}

impl State {
    pub fn called(&self, name: &str) -> usize {
        self.calls.iter().filter(|path| path.ends_with(name)).count()
    }

    /// Every row once, as authz keeps them.
    pub fn rows(&self) -> Vec<AuditRow> {
        let mut kept = BTreeMap::new();
        for (at, row) in self.pushes.iter().flatten().enumerate() {
            kept.entry(row.id.clone()).or_insert((at, row.clone()));
        }
        let mut rows: Vec<_> = kept.into_values().collect();
        rows.sort_by_key(|(at, _)| *at);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// Every count once, as authz keeps them: address, minute, code, count.
    pub fn counts(&self) -> Vec<(String, i64, String, u64)> {
        let mut seen = HashSet::new();
        let reports = self.reports.iter().filter(|report| seen.insert(report.report_id.clone()));
        let counts = reports.flat_map(|report| &report.counts);
        let mut all: Vec<_> =
            counts.map(|c| (c.address.clone(), c.minute_s, c.code.clone(), c.count)).collect();
        all.sort();
        all
    }
}

pub struct World {
    state: Mutex<State>,
    standing_key: SigningKey,
    clock: Clock,
}

impl World {
    pub fn new(standing_key: SigningKey, clock: Clock) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), standing_key, clock })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// One of the two, as a service of this process.
    pub fn service(self: &Arc<Self>, name: &'static str) -> LocalService {
        let world = Arc::clone(self);
        BoxCloneSyncService::new(service_fn(move |request: http::Request<Body>| {
            let part = Part { world: Arc::clone(&world), name, path: request.uri().path().to_owned() };
            async move { Ok(tonic::server::Grpc::new(RawCodec).unary(part, request).await) }
        }))
    }
}

struct Part {
    world: Arc<World>,
    name: &'static str,
    path: String,
}

impl UnaryService<Bytes> for Part {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let answer = self.answer(&request).map(|bytes| Response::new(bytes.into()));
        async move { answer.map_err(Status::from) }.boxed()
    }
}

impl Part {
    fn answer(&self, request: &Request<Bytes>) -> Result<Vec<u8>, Fault> {
        let mut state = self.world.state();
        state.calls.push(self.path.clone());
        if state.away.contains(self.name) {
            return Err(Fault::unavailable("away, as the test says"));
        }
        let bytes = request.get_ref().clone();
        match self.path.as_str() {
            "/beem.identity.v1.Directory/GetSession" => {
                let asked = GetSessionRequest::decode(bytes).unwrap();
                let found = state.sessions.get(&asked.token_hash);
                found.map(Message::encode_to_vec).ok_or_else(|| Fault::not_found("session"))
            }
            "/beem.identity.v1.Directory/GetClientCredential" => {
                let asked = GetClientCredentialRequest::decode(bytes).unwrap();
                let found = state.clients.get(&asked.client_id);
                found.map(Message::encode_to_vec).ok_or_else(|| Fault::not_found("client"))
            }
            "/beem.identity.v1.Directory/ReportUse" => {
                state.uses.push(ReportUseRequest::decode(bytes).unwrap());
                Ok(Vec::new())
            }
            "/beem.authz.v1.Standings/GetStanding" => {
                let asked = GetStandingRequest::decode(bytes).unwrap();
                let standing = state.standings.get(&asked.principal_id);
                let standing = standing.ok_or_else(|| Fault::not_found("principal"))?.clone();
                let now = self.world.clock.now();
                // A short life: what the gateway keeps in its store is over as soon as its own copy is.
                let entry = SignedEntry::issue(&self.world.standing_key, standing, now, 500).unwrap();
                Ok(entry.signed.encode_to_vec())
            }
            "/beem.authz.v1.Audit/PushAuditRows" => push(&mut state, bytes),
            "/beem.authz.v1.Audit/ReportRefusals" => {
                state.reports.push(ReportRefusalsRequest::decode(bytes).unwrap());
                lost(&state)
            }
            _ => {
                let subject = self.subject(request);
                state.subjects.push(subject);
                state.refusal.clone().map_or(Ok(Vec::new()), Err)
            }
        }
    }

    fn subject(&self, request: &Request<Bytes>) -> Subject {
        let bytes = |name| request.metadata().get_bin(name).unwrap().to_bytes().unwrap();
        let opener = Opener::new(self.name, vec![ActorKey(SEAL)]);
        let (actor, seal) = (bytes(metadata::ACTOR), bytes(metadata::ACTOR_SEAL));
        opener.open(&actor, &seal, &self.path, request.get_ref(), self.world.clock.now()).unwrap()
    }
}

fn push(state: &mut State, bytes: Bytes) -> Result<Vec<u8>, Fault> {
    let rows = PushAuditRowsRequest::decode(bytes).unwrap().rows;
    if rows.iter().any(|row| Some(&row.action) == state.refused_action.as_ref()) {
        return Err(Fault::field("rows", "one of them is not as it should be"));
    }
    state.pushes.push(rows);
    lost(state)
}

fn lost(state: &State) -> Result<Vec<u8>, Fault> {
    if state.answers_lost { Err(Fault::unavailable("lost, as the test says")) } else { Ok(Vec::new()) }
}
