//! A scripted authz, a cache and a gateway that reads from both.

use beem_cache::{Fetch, SignedEntry, StandingCache, StandingSource, Verified, VerifiedStandings, Verifier};
use beem_clock::{Clock, Entropy};
use beem_fault::{Code, Fault};
use beem_ids::PrincipalId;
use beem_proto::authz::v1::{SignedStanding, Standing};
use beem_redis::Redis;
use beem_testkit::redis::Server;
use ed25519_dalek::SigningKey;
use futures::FutureExt;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub const LIFE_MS: i64 = 10_000;

/// authz: a table, a key, and switches.
pub struct Authz {
    pub key: SigningKey,
    pub clock: Clock,
    table: Mutex<HashMap<PrincipalId, Standing>>,
    away: AtomicBool,
    fetches: AtomicU64,
    /// Answers wait here after the table was read: a fill can be as slow as a test likes.
    gate: Semaphore,
    /// What it answers instead, when set.
    pub lie: Mutex<Option<SignedStanding>>,
}

impl Authz {
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            key: SigningKey::from_bytes(&[1; 32]),
            clock,
            table: Mutex::default(),
            away: AtomicBool::new(false),
            fetches: AtomicU64::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            lie: Mutex::default(),
        })
    }

    /// Commits a standing; nothing is published.
    pub fn commit(&self, principal: PrincipalId, version: u64, roles: u32) -> SignedEntry {
        let standing = Standing {
            principal_id: principal.to_string(),
            enabled: true,
            roles,
            version,
            ..Standing::default()
        };
        self.table.lock().unwrap().insert(principal, standing.clone());
        self.sign(standing)
    }

    pub fn sign(&self, standing: Standing) -> SignedEntry {
        SignedEntry::issue(&self.key, standing, self.clock.now(), LIFE_MS).unwrap()
    }

    pub fn fetched(&self) -> u64 {
        self.fetches.load(Ordering::SeqCst)
    }

    /// From here on answers wait, after the table was read.
    pub fn close_gate(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub fn open_gate(&self) {
        self.gate.add_permits(1000);
    }

    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }
}

impl StandingSource for Authz {
    fn fetch(&self, principal: PrincipalId) -> Fetch<'_> {
        async move {
            self.fetches.fetch_add(1, Ordering::SeqCst);
            if self.away.load(Ordering::SeqCst) {
                return Err(Fault::unavailable("authz is away"));
            }
            let read = self.table.lock().unwrap().get(&principal).cloned();
            let signed = read.map(|standing| self.sign(standing).signed);
            let _pass = self.gate.acquire().await.unwrap();
            Ok(self.lie.lock().unwrap().clone().or(signed))
        }
        .boxed()
    }
}

pub struct Rig {
    pub authz: Arc<Authz>,
    pub clock: Clock,
    pub cache: StandingCache,
    pub gateway: VerifiedStandings,
    pub principal: PrincipalId,
}

/// Starts at the real moment, because Redis forgets by its own clock; moves only when told.
pub fn rig(cache: StandingCache) -> Rig {
    let clock = Clock::manual(Clock::System.now());
    let authz = Authz::new(clock.clone());
    let gateway = gateway(&authz, &cache);
    let principal = PrincipalId::draw(clock.now(), &Entropy::System);
    Rig { authz, clock, cache, gateway, principal }
}

/// One more gateway with a memory of its own.
pub fn gateway(authz: &Arc<Authz>, cache: &StandingCache) -> VerifiedStandings {
    let verifier = Verifier::new(vec![authz.key.verifying_key()]);
    VerifiedStandings::new(cache.clone(), authz.clone(), verifier, authz.clock.clone())
}

/// Generous: on a loaded machine a slow answer would test something else.
pub fn in_redis(server: &Server) -> StandingCache {
    StandingCache::in_redis(Redis::new(&server.url(), "beem:", Duration::from_secs(5)).unwrap())
}

/// The cache as it is configured in production.
pub fn in_redis_bounded(server: &Server) -> StandingCache {
    StandingCache::in_redis(Redis::new(&server.url(), "beem:", Duration::from_millis(100)).unwrap())
}

pub fn roles(outcome: Result<Option<Arc<Verified>>, Fault>) -> u32 {
    outcome.unwrap().unwrap().standing.roles
}

pub fn is_unavailable(outcome: &Result<Option<Arc<Verified>>, Fault>) -> bool {
    outcome.as_ref().is_err_and(|f| f.code == Code::Unavailable)
}

/// Polls for a condition; the longest wait of a failing test.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < end, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
