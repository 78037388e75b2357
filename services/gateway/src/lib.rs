//! The front door. A request's way: [`edge`] (bounds, framing, host) → [`gateway`] (rate, route) → [`authenticate`]
//! (signature or session, standing, network, replay) → [`transcode`] (JSON to the request message) → [`forward`] (sealed actor, link)
//! and back. What is worth recording goes to the [`audit`] trail. Routes, access rules and the [`reference`] come from the contract alone: adding an RPC never touches this
//! crate. The gateway owns no data and makes no decision of the business.

pub mod audit;
pub mod authenticate;
pub mod credentials;
pub mod edge;
pub mod forward;
pub mod gateway;
pub mod pages;
pub mod problem;
pub mod rates;
pub mod reference;
pub mod routes;
pub mod sessions;
pub mod settings;
pub mod standings;
pub mod transcode;
pub mod uses;

pub use gateway::Gateway;
pub use settings::GatewaySettings;

use audit::Audit;
use authenticate::Authenticator;
use beem_cache::VerifiedStandings;
use beem_caller::Sealer;
use beem_clock::{Clock, Entropy};
use beem_fault::Fault;
use beem_limits::{Limiter, ReplayStore};
use beem_link::Link;
use beem_proto::Contract;
use beem_runtime::{Ready, Task, task};
use beem_signing::{Origins, TimeRules};
use beem_telemetry::Telemetry;
use beem_whitelist::TrustedProxies;
use pages::{Pages, PublishedKey, WellKnown};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// What the gateway is built from.
pub struct GatewayDeps {
    pub contract: Contract,
    /// By service: identity, authz, and whatever else the contract names as an owner.
    pub links: BTreeMap<String, Link>,
    pub sealer: Sealer,
    pub standings: VerifiedStandings,
    pub limiter: Limiter,
    pub replay: ReplayStore,
    /// sandbox or live. Outside a sandbox what the contract has for one only is not there at all.
    pub environment: String,
    pub public_keys: Vec<PublishedKey>,
    pub ready: Ready,
    pub clock: Clock,
    pub entropy: Entropy,
    pub telemetry: Telemetry,
}

/// The gateway and its background loops. `listen` is the address the edge was really bound to.
///
/// # Errors
/// `validation-failed` naming the setting that cannot be used; `internal` when the contract cannot be routed.
pub fn build(
    settings: &GatewaySettings,
    listen: SocketAddr,
    deps: GatewayDeps,
) -> Result<(Gateway, Vec<Task>), Fault> {
    let origins = origins(settings, listen)?;
    let proxies = TrustedProxies::parse(&settings.trusted_proxies)
        .map_err(|e| Fault::field("gateway.trusted_proxies", e.to_string()))?;
    let link = |name: &str| {
        let link = deps.links.get(name).cloned();
        link.ok_or_else(|| Fault::field("peers", format!("the gateway needs a way to {name}")))
    };
    let identity = link("identity")?;
    let uses = uses::Uses::new(identity.clone());
    let (clock, telemetry) = (deps.clock.clone(), deps.telemetry.clone());
    let audit = Audit::new(link("authz")?, settings.audit.read_sample, clock, deps.entropy, telemetry);
    let contract = deps.contract.of_environment(&deps.environment);
    let well_known = WellKnown {
        version: env!("CARGO_PKG_VERSION"),
        environment: deps.environment,
        origins: origins.iter().map(beem_signing::Origin::url).collect(),
        signature_algorithms: ["ed25519", "rsa-v1_5-sha256", "rsa-pss-sha512", "ecdsa-p256-sha256"],
        public_keys: deps.public_keys,
    };
    let (kept, kept_s) = (settings.credentials_kept, settings.credentials_kept_s);
    let authenticator = Authenticator {
        credentials: credentials::Credentials::new(identity.clone(), kept, kept_s),
        sessions: sessions::Sessions::new(identity, kept, kept_s),
        standings: standings::Standings::new(deps.standings),
        limiter: deps.limiter.clone(),
        principal_rate: rates::rate(settings.rates.client_per_s),
        replay: deps.replay,
    };
    let reporter = uses.clone();
    let mut tasks = vec![task("report-uses", move |cancel| reporter.clone().report(cancel))];
    tasks.extend(audit.tasks());
    let gateway = Gateway {
        routes: routes::Routes::from_contract(&contract).map_err(Fault::internal)?,
        pages: Pages::new(&contract, &well_known, deps.ready),
        origins,
        proxies,
        limiter: deps.limiter,
        address_rate: rates::rate(settings.rates.address_per_s),
        authenticator,
        time_rules: TimeRules {
            past_s: i64::from(settings.signature.past_s),
            future_s: i64::from(settings.signature.future_s),
            ..TimeRules::default()
        },
        forward: forward::Forward::new(deps.links, deps.sealer),
        uses,
        audit,
        deadline: Duration::from_millis(u64::from(settings.deadline_ms)),
        clock: deps.clock,
        telemetry: deps.telemetry,
    };
    Ok((gateway, tasks))
}

fn origins(settings: &GatewaySettings, listen: SocketAddr) -> Result<Origins, Fault> {
    if settings.public_origins.is_empty() {
        return Ok(Origins::for_listen(listen));
    }
    Origins::parse(&settings.public_origins)
        .map_err(|e| Fault::field("gateway.public_origins", e.to_string()))
}
