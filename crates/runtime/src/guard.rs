//! The guard: what stands between a transport and a service's handlers, the same for an in-process link and a network
//! listener. In order: trace span, known method, service token, size, access rule with the sealed actor, deadline,
//! handler with panics caught. Nothing about a caller is taken from where it connects from. The deadline is the handler's:
//! a stream that it answers with flows until its reader has it all or drops it.

use crate::answer::guarded_body;
use crate::frame;
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use beem_caller::{Actor, Call, Caller, Issuers, Opener, PrincipalKind, Subject, metadata};
use beem_clock::Clock;
use beem_fault::{Code, Fault};
use beem_proto::{Access, Contract, Method};
use beem_telemetry::Telemetry;
use bytes::Bytes;
use futures::FutureExt;
use http::HeaderMap;
use http_body_util::Full;
use prost::Message;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code as GrpcCode, Status};
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt, service_fn};
use tracing::Instrument;

/// One request message: a public body of 1 MiB, decoded, with room for what the gateway adds.
pub const MAX_REQUEST_BYTES: usize = 2 * 1024 * 1024;

/// No call is served longer than this, whatever its caller asks for.
const LONGEST_CALL: Duration = Duration::from_secs(60);

/// The transport's own server ends a call at its deadline, too, and calls it cancelled: the guard is there first. A caller
/// with less time left than this has none.
const AHEAD: Duration = Duration::from_millis(2);

/// Binary metadata is base64, padded or not (gRPC over HTTP/2, "Binary-Header").
const BINARY: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a guard judges by.
#[derive(Clone)]
pub struct GuardSettings {
    /// The service's name: the audience of tokens and seals.
    pub service: String,
    pub contract: Contract,
    pub issuers: Issuers,
    pub opener: Opener,
    /// An installation's own services: which methods (gRPC paths) each may call beyond what the contract names.
    pub extra_methods: BTreeMap<String, Vec<String>>,
    pub clock: Clock,
    pub telemetry: Telemetry,
}

/// See the module.
pub struct Guard {
    settings: GuardSettings,
}

/// A service's routes behind a guard.
#[must_use]
pub fn guarded(
    routes: Routes,
    settings: GuardSettings,
) -> BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible> {
    let guard = Arc::new(Guard { settings });
    let routes = routes.prepare();
    BoxCloneSyncService::new(service_fn(move |request: http::Request<Body>| {
        let (guard, routes) = (Arc::clone(&guard), routes.clone());
        async move { Ok(guard.serve(routes, request).await) }
    }))
}

impl Guard {
    async fn serve(&self, routes: Routes, request: http::Request<Body>) -> http::Response<Body> {
        let began = Instant::now();
        let path = request.uri().path();
        if path.starts_with("/grpc.health.v1.") || path.starts_with("/grpc.reflection.") {
            return into_infallible(routes.oneshot(request).await);
        }
        // Names of spans and metrics are the contract's, never a caller's.
        let path = self.settings.contract.method(path).map_or("/unknown", |m| m.path.as_str());
        let service = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let span = beem_telemetry::server_span(path, request.headers(), service);
        let answer = self.judged(routes, request, began).instrument(span.clone()).await;
        let answer = answer.unwrap_or_else(|fault| {
            if fault.code == Code::CallerUnproven {
                tracing::warn!(parent: &span, reason = ?fault, "a call was refused: its caller is not proven");
            }
            Status::from(fault).into_http()
        });
        let code = Status::from_header_map(answer.headers()).map_or(GrpcCode::Ok, |s| s.code());
        beem_telemetry::server_outcome(&span, code);
        self.settings.telemetry.meters().rpc_server(path, code, began.elapsed().as_secs_f64());
        guarded_body(answer, span)
    }

    async fn judged(
        &self,
        routes: Routes,
        request: http::Request<Body>,
        began: Instant,
    ) -> Result<http::Response<Body>, Fault> {
        let (mut parts, body) = request.into_parts();
        let method = self.settings.contract.method(parts.uri.path());
        let method = method.filter(|m| m.owner == self.settings.service || m.owner == "*");
        let method = method.ok_or_else(|| Fault::new(Code::MethodNotAllowed, "no such method here"))?;
        let deadline = deadline(&parts.headers, began);
        if deadline <= began {
            return Err(Fault::deadline());
        }
        let service = self.service(&parts.headers)?;
        let read = timeout_at(deadline, frame::read_one(body, MAX_REQUEST_BYTES)).await;
        let body = read.map_err(|_| Fault::deadline())??;
        let caller = self.caller(method, &service, &parts.headers, &body)?;
        let request_id = caller.actor.as_ref().or(caller.record.as_ref()).map(|a| a.request);
        let request_id = request_id.or(caller.visitor.as_ref().map(|v| v.request));
        let request_id = request_id.or_else(|| text(&parts.headers, metadata::REQUEST_ID)?.parse().ok());
        if let Some(id) = request_id {
            tracing::Span::current().record("request.id", tracing::field::display(id));
        }
        let call =
            Call { deadline, request: request_id, record: caller.actor.clone().or(caller.record.clone()) };
        parts.extensions.insert(caller);
        let request = http::Request::from_parts(parts, Body::new(Full::new(body)));
        let work = AssertUnwindSafe(beem_caller::scope(call, routes.oneshot(request))).catch_unwind();
        match timeout_at(deadline, work).await {
            Err(_) => Err(Fault::deadline()),
            Ok(Err(_)) => Err(Fault::internal(format!("{} panicked", method.name))),
            Ok(Ok(answer)) => Ok(into_infallible(answer)),
        }
    }

    /// The calling service, from its token.
    fn service(&self, headers: &HeaderMap) -> Result<Arc<str>, Fault> {
        let token = text(headers, metadata::SERVICE_TOKEN);
        let token =
            token.ok_or_else(|| Fault::new(Code::CallerUnproven, "a call names its calling service"))?;
        self.settings.issuers.verify(token, self.settings.clock.now())
    }

    /// The caller, when the access rule lets it through.
    fn caller(
        &self,
        method: &Method,
        service: &str,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Caller, Fault> {
        let caller = |actor, record, visitor| Caller { service: service.to_owned(), actor, record, visitor };
        let roles = match &method.access {
            Access::Internal(callers) => {
                let extra = self.settings.extra_methods.get(service);
                let named = callers.iter().any(|c| c == service)
                    || extra.is_some_and(|methods| methods.contains(&method.path));
                if !named {
                    return Err(Fault::new(Code::RoleMissing, "this service may not call this method"));
                }
                return Ok(caller(None, record(headers)?, None));
            }
            Access::Public => None,
            Access::SignedIn => Some(None),
            Access::AnyOf(roles) => Some(Some(*roles)),
        };
        let (actor, visitor) = match self.subject(method, headers, body)? {
            Some(Subject::Actor(actor)) => (Some(actor), None),
            Some(Subject::Visitor(visitor)) => (None, Some(visitor)),
            None => (None, None),
        };
        match (roles, &actor) {
            (None, _) if service != "gateway" => {
                Err(Fault::new(Code::RoleMissing, "public methods are called by the gateway"))
            }
            (Some(_), None) => Err(Fault::new(Code::CallerUnproven, "a caller is needed")),
            (Some(Some(any_of)), Some(actor)) if !actor.roles.meets(any_of) => {
                let names = any_of.full_names().join(", ");
                Err(Fault::new(Code::RoleMissing, format!("one of these roles is needed: {names}")))
            }
            (Some(_), Some(actor)) if method.session && actor.kind != PrincipalKind::User => {
                Err(Fault::new(Code::SessionRequired, "this is for people who signed in"))
            }
            _ => Ok(caller(actor, None, visitor)),
        }
    }

    /// Whom the gateway sealed for this request, if anybody.
    fn subject(&self, method: &Method, headers: &HeaderMap, body: &Bytes) -> Result<Option<Subject>, Fault> {
        let Some(actor) = binary(headers, metadata::ACTOR)? else { return Ok(None) };
        let seal = binary(headers, metadata::ACTOR_SEAL)?.unwrap_or_default();
        let message = frame::message(body)?;
        let now = self.settings.clock.now();
        self.settings.opener.open(&actor, &seal, &method.path, &message, now).map(Some)
    }
}

fn deadline(headers: &HeaderMap, began: Instant) -> Instant {
    let asked = text(headers, "grpc-timeout").and_then(beem_link::parse_timeout);
    began + asked.unwrap_or(beem_link::DEFAULT_DEADLINE).min(LONGEST_CALL).saturating_sub(AHEAD)
}

fn record(headers: &HeaderMap) -> Result<Option<Actor>, Fault> {
    let Some(bytes) = binary(headers, metadata::ACTOR_RECORD)? else { return Ok(None) };
    let actor = beem_proto::access::v1::Actor::decode(bytes.as_slice()).map_err(Fault::internal)?;
    Actor::from_wire(&actor).map(Some)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn binary(headers: &HeaderMap, name: &str) -> Result<Option<Vec<u8>>, Fault> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let bytes = BINARY.decode(value.as_bytes());
    bytes
        .map(Some)
        .map_err(|e| Fault::new(Code::CallerUnproven, "the caller could not be proven").caused_by(e))
}

fn into_infallible<T>(outcome: Result<T, Infallible>) -> T {
    match outcome {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
