//! The real authz, for the audit rows of others.

use crate::{base, behind_guard};
use beem_authz::{AuthzDeps, AuthzSettings};
use beem_cache::StandingCache;
use beem_clock::{Clock, Entropy};
use beem_link::LocalService;
use beem_telemetry::Telemetry;
use ed25519_dalek::SigningKey;

/// On a database of its own, behind its guard. None of its loops runs.
pub async fn authz(url: &str, clock: &Clock, entropy: &Entropy) -> LocalService {
    let deps = AuthzDeps {
        database: base::connect(url, clock, entropy).await,
        cache: StandingCache::in_process(1_000),
        signing_key: SigningKey::from_bytes(&[9; 32]),
        clock: clock.clone(),
        entropy: entropy.clone(),
        telemetry: Telemetry::off(),
    };
    let authz = beem_authz::build(AuthzSettings::default(), deps).await.unwrap();
    behind_guard(authz, clock).0
}
