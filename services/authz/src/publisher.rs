//! The way of a standing from the table to the cache. Every write goes through before it is answered; what did not get
//! there (the cache was away, the process was killed in between) is found in the table, by its version, and published by
//! [`Publisher::run`] at every start and from then on. So the cache may lose all it has, and never lags for long.

use crate::domain::Standing;
use crate::{store, wire};
use beem_cache::{SignedEntry, StandingCache, Verifier};
use beem_clock::{Clock, Moment};
use beem_database::Database;
use beem_fault::{Fault, Result};
use beem_ids::PrincipalId;
use beem_telemetry::Telemetry;
use ed25519_dalek::SigningKey;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Standings published in one go.
const BATCH: u64 = 500;
/// The pause while something waits to be published.
const BEHIND_PAUSE: Duration = Duration::from_millis(200);
/// The pause otherwise: finds what another process of authz left behind when it was killed.
const IDLE_PAUSE: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Publisher {
    database: Database,
    cache: StandingCache,
    key: SigningKey,
    /// Of the same key: what the cache holds is believed no more here than at a gateway.
    verifier: Verifier,
    clock: Clock,
    /// How long an entry may be used.
    life_ms: i64,
    telemetry: Telemetry,
    behind: Notify,
}

impl Publisher {
    pub(crate) fn new(
        database: Database,
        cache: StandingCache,
        key: SigningKey,
        clock: Clock,
        life_ms: i64,
        telemetry: Telemetry,
    ) -> Self {
        let verifier = Verifier::new(vec![key.verifying_key()]);
        Self { database, cache, key, verifier, clock, life_ms, telemetry, behind: Notify::new() }
    }

    /// Now, as entries count it: taken before the table is read, so that an entry never outlives what it says.
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The standing as read after `issued_at`, signed.
    pub(crate) fn sign(&self, standing: &Standing, issued_at: Moment) -> Result<SignedEntry> {
        SignedEntry::issue(&self.key, wire::standing(standing), issued_at, self.life_ms)
            .map_err(Fault::internal)
    }

    /// Publishes what is in the table about a principal, unless that was published. The write itself stands whether
    /// this succeeds or not: entries end within seconds, and [`Publisher::run`] tries again.
    pub(crate) async fn write_through(&self, principal: PrincipalId) {
        if let Err(fault) = self.publish_of(principal).await {
            tracing::debug!(%principal, ?fault, "a standing was not written through, it will be published later");
            self.telemetry.meters().counter("beem.authz.write_through.failures", &[]);
            self.behind.notify_one();
        }
    }

    async fn publish_of(&self, principal: PrincipalId) -> Result<()> {
        let issued_at = self.now();
        match store::standing_of_any_account(self.database.read(), principal).await? {
            Some((standing, published)) if published < standing.version => {
                self.publish(&standing, issued_at).await
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The answer "there is a newer one" is as good: then a later change has passed this one by.
    async fn publish(&self, standing: &Standing, issued_at: Moment) -> Result<()> {
        let entry = self.sign(standing, issued_at)?;
        self.cache.publish(&entry, &self.verifier).await.map_err(Fault::unavailable)?;
        self.database.write(|tx| Box::pin(store::mark_published(tx, standing))).await
    }

    /// Publishes until nothing is left behind; stops at the first failure.
    pub(crate) async fn catch_up(&self) -> Result<()> {
        loop {
            let issued_at = self.now();
            let left = store::unpublished_of_any_account(self.database.read(), BATCH).await?;
            if left.is_empty() {
                return Ok(());
            }
            for standing in &left {
                self.publish(standing, issued_at).await?;
            }
            tracing::info!(count = left.len(), "published standings that had not reached the cache");
        }
    }

    /// Catches up, again and again, until cancelled.
    pub(crate) async fn run(&self, cancel: CancellationToken) {
        let mut was_behind = false;
        loop {
            let outcome = self.catch_up().await;
            if let (Err(fault), false) = (&outcome, was_behind) {
                tracing::warn!(?fault, "standings cannot be published, trying again");
            }
            was_behind = outcome.is_err();
            let wake = async {
                // While behind, more of the same news must not shorten the pause.
                if was_behind { std::future::pending().await } else { self.behind.notified().await }
            };
            tokio::select! {
                () = tokio::time::sleep(if was_behind { BEHIND_PAUSE } else { IDLE_PAUSE }) => {}
                () = wake => {}
                () = cancel.cancelled() => return,
            }
        }
    }
}
