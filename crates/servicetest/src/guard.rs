//! Who is known to whom: every service of a test has the key that its name makes, and every guard knows all of them. Which of
//! them may call what, the contract says.

use beem_caller::{ActorKey, Issuers, Opener, ServiceIdentity};
use beem_clock::Clock;
use beem_link::{Link, LocalService};
use beem_proto::Contract;
use beem_runtime::{GuardSettings, Service, Task, guarded};
use beem_telemetry::Telemetry;
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;

/// What the gateway seals actors with, for every service.
pub const SEAL: ActorKey = ActorKey([7; 32]);

/// Whoever calls services.
const CALLERS: [&str; 8] =
    ["gateway", "authz", "identity", "ledger", "hooks", "payments", "channels", "admin"];

/// Signs its calls with a key made of its name.
#[must_use]
pub fn service_identity(name: &str, clock: &Clock) -> ServiceIdentity {
    let mut seed = [0; 32];
    for (to, from) in seed.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    ServiceIdentity::new(name, SigningKey::from_bytes(&seed), clock.clone())
}

/// Those of the service's guard.
#[must_use]
pub fn guard_settings(service: &str, clock: &Clock) -> GuardSettings {
    let keys = CALLERS.map(|name| (name.to_owned(), vec![service_identity(name, clock).public_key()]));
    GuardSettings {
        service: service.to_owned(),
        contract: Contract::load().unwrap(),
        issuers: Issuers::new(service, BTreeMap::from(keys)),
        opener: Opener::new(service, vec![SEAL]),
        extra_methods: BTreeMap::new(),
        clock: clock.clone(),
        telemetry: Telemetry::off(),
    }
}

/// The service behind its guard, and its background loops.
#[must_use]
pub fn behind_guard(service: Service, clock: &Clock) -> (LocalService, Vec<Task>) {
    (guarded(service.routes, guard_settings(service.name, clock)), service.tasks)
}

/// The way of one service to another.
#[must_use]
pub fn link(to: &str, service: LocalService, from: &str, clock: &Clock) -> Link {
    Link::local(to, service, service_identity(from, clock), Telemetry::off())
}
