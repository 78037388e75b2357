//! The straight way of a request: rate of the address, page or route, caller, access, transcoding, call. Everything that
//! refuses ends in one problem document.

use crate::audit::Audit;
use crate::authenticate::{Attempt, Authenticator, Counted, Denied};
use crate::edge::{EdgeBody, Handler, Request};
use crate::forward::{Forward, Refused};
use crate::pages::Pages;
use crate::problem::problem;
use crate::rates;
use crate::routes::{self, Found, Match, Routes};
use crate::transcode;
use crate::uses::Uses;
use beem_caller::{Actor, Call, PrincipalKind, Subject, Visitor};
use beem_clock::Clock;
use beem_fault::{Code, Fault};
use beem_limits::{Limiter, Rate};
use beem_proto::{Access, Method, Verb};
use beem_signing::{Origins, RequestView, TimeRules};
use beem_telemetry::Telemetry;
use beem_whitelist::TrustedProxies;
use http::header::{ALLOW, USER_AGENT};
use http::{HeaderMap, HeaderValue, Response};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;
use tracing::Instrument;

/// Characters of a User-Agent that go inward.
const USER_AGENT_MAX: usize = 200;

/// The gateway behind its edge.
pub struct Gateway {
    pub routes: Routes,
    pub pages: Pages,
    pub origins: Origins,
    pub proxies: TrustedProxies,
    pub limiter: Limiter,
    pub address_rate: Rate,
    pub authenticator: Authenticator,
    pub time_rules: TimeRules,
    pub forward: Forward,
    pub uses: Uses,
    pub audit: Audit,
    pub deadline: Duration,
    pub clock: Clock,
    pub telemetry: Telemetry,
}

/// What is known of a request on its way, for the answer's headers and the metrics.
#[derive(Default)]
struct Progress {
    /// The route's template, never the path: metrics need few names.
    route: String,
    /// What the bucket of the address said, then what the caller's did.
    rate: Counted,
    allow: Option<String>,
    /// The refusal was given before under the same request key.
    replayed: bool,
}

impl Handler for Gateway {
    fn serves(&self, host: &str) -> bool {
        self.origins.matches(host).is_some()
    }

    async fn handle(&self, request: Request) -> Response<EdgeBody> {
        let began = Instant::now();
        let span = beem_telemetry::http_span(request.method.as_str(), "", &request.headers);
        span.record("request.id", tracing::field::display(request.id));
        let mut progress = Progress::default();
        let deadline = began + self.deadline;
        let call = Call { deadline, request: Some(request.id), record: None };
        let work = beem_caller::scope(call, self.judged(&request, &mut progress)).instrument(span);
        let outcome =
            tokio::time::timeout_at(deadline, work).await.unwrap_or_else(|_| Err(Fault::deadline().into()));
        let mut response = match outcome {
            Ok(response) => response,
            Err(Refused { fault, replayed }) => {
                progress.replayed = replayed;
                self.telemetry.meters().counter("beem.gateway.refusals", &[("code", fault.code.as_str())]);
                problem(&fault, &request.id.to_string())
            }
        };
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&request.id.to_string()) {
            headers.insert("x-request-id", id);
        }
        if let Some((rate, of)) = &progress.rate {
            rates::announce(headers, rate, of);
        }
        if progress.replayed {
            headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
        }
        if let Some(allow) = progress.allow.and_then(|a| HeaderValue::from_str(&a).ok()) {
            headers.insert(ALLOW, allow);
        }
        let seconds = began.elapsed().as_secs_f64();
        let route = if progress.route.is_empty() { "other" } else { &progress.route };
        self.telemetry.meters().http_server(
            request.method.as_str(),
            route,
            response.status().as_u16(),
            seconds,
        );
        response
    }
}

impl Gateway {
    async fn judged(
        &self,
        request: &Request,
        progress: &mut Progress,
    ) -> Result<Response<EdgeBody>, Refused> {
        let now = self.clock.now();
        let address = self.address(request);
        let rate = self.limiter.check(&rates::address_key(address), self.address_rate, now).await;
        if !rate.allowed {
            progress.rate = Some((rate, "address"));
            let fault = rates::refused(&rate, "address");
            self.audit.turned_away(address, &fault);
            return Err(fault.into());
        }
        if let Some(page) = self.pages.find(&request.method, request.path()).await {
            progress.route = request.path().to_owned();
            progress.allow = Some("GET, HEAD".to_owned()).filter(|_| page.is_err());
            return page.map_err(Refused::from);
        }
        let found = match self.routes.find(&request.method, request.path()) {
            Match::Found(found) => found,
            Match::WrongMethod(verbs) => {
                progress.allow = Some(routes::allow(&verbs));
                return Err(
                    Fault::new(Code::MethodNotAllowed, "this path has other methods, see Allow").into()
                );
            }
            Match::Nothing => return Err(Fault::new(Code::NotFound, "there is nothing at this path").into()),
        };
        progress.route.clone_from(&found.binding.template);
        let subject = match found.method.access {
            Access::Public => Subject::Visitor(Visitor {
                address,
                request: request.id,
                user_agent: user_agent(&request.headers),
            }),
            Access::AnyOf(_) | Access::SignedIn | Access::Internal(_) => {
                Subject::Actor(self.let_in(request, &found, address, &mut progress.rate).await?)
            }
        };
        if let Subject::Actor(actor) = &subject {
            self.uses.note(actor, now);
        }
        let message = transcode::decode(&found, request.query(), &request.headers, &request.body)?;
        let answer = match (self.forward.call(found.method, &subject, message, now).await, &subject) {
            (Ok(answer), _) => answer,
            (Err(refused), Subject::Visitor(_)) => {
                self.audit.guessed(address, &refused.fault);
                return Err(refused);
            }
            (Err(refused), Subject::Actor(_)) => return Err(refused),
        };
        if found.method.session && found.binding.verb != Verb::Get {
            self.authenticator.forget_session(&request.headers).await;
        }
        if let Subject::Actor(actor) = &subject
            && found.binding.verb == Verb::Get
        {
            self.audit.read(actor, &found.method.name);
        }
        Ok(answer)
    }

    /// The caller, proven and allowed; a refusal is noted for the audit trail.
    async fn let_in(
        &self,
        request: &Request,
        found: &Found<'_, '_>,
        address: IpAddr,
        counted: &mut Counted,
    ) -> Result<Actor, Fault> {
        let outcome = self.authenticate(request, found, address, counted).await;
        let outcome = outcome.and_then(|actor| match allowed(found.method, &actor) {
            Ok(()) => Ok(actor),
            Err(fault) => Err(Denied::of(&actor, fault)),
        });
        outcome.map_err(|Denied { fault, actor }| {
            match actor {
                Some(actor) => self.audit.refused(&actor, &found.method.name, &fault),
                None => self.audit.turned_away(address, &fault),
            }
            fault
        })
    }

    async fn authenticate(
        &self,
        request: &Request,
        found: &Found<'_, '_>,
        address: IpAddr,
        counted: &mut Counted,
    ) -> Result<Actor, Denied> {
        let origin = self.origins.matches(&request.host);
        let origin = origin.ok_or_else(|| Fault::new(Code::Misdirected, "this host is not served here"))?;
        let attempt = Attempt {
            request: RequestView {
                method: &request.method,
                origin,
                path: request.path(),
                query: request.query(),
                headers: &request.headers,
            },
            body: &request.body,
            address,
            id: request.id,
            now: self.clock.now(),
            fresh: found.method.fresh,
            write: found.method.is_write(),
            time_rules: &self.time_rules,
        };
        self.authenticator.authenticate(&attempt, counted).await
    }

    /// The caller's address: the socket's peer, or behind trusted proxies what they say.
    fn address(&self, request: &Request) -> IpAddr {
        let lines = request.headers.get_all("x-forwarded-for").iter();
        let lines: Vec<&str> = lines.map(|v| v.to_str().unwrap_or("")).collect();
        self.proxies.client_address(request.peer.ip(), &lines)
    }
}

/// The access rule, by the roles of the standing. The service's guard judges it once more.
fn allowed(method: &Method, actor: &Actor) -> Result<(), Fault> {
    match &method.access {
        Access::AnyOf(roles) if !actor.roles.meets(*roles) => {
            let names = roles.full_names().join(", ");
            Err(Fault::new(Code::RoleMissing, format!("one of these roles is needed: {names}")))
        }
        Access::AnyOf(_) | Access::SignedIn if method.session && actor.kind != PrincipalKind::User => {
            Err(Fault::new(Code::SessionRequired, "this is for people who signed in"))
        }
        Access::AnyOf(_) | Access::SignedIn | Access::Public => Ok(()),
        Access::Internal(_) => Err(Fault::new(Code::NotFound, "there is nothing at this path")),
    }
}

/// As sent, without what could break out of a line of text, cut to its bound.
fn user_agent(headers: &HeaderMap) -> String {
    let sent = headers.get(USER_AGENT).map_or(&b""[..], HeaderValue::as_bytes);
    String::from_utf8_lossy(sent).chars().filter(|c| !c.is_control()).take(USER_AGENT_MAX).collect()
}
