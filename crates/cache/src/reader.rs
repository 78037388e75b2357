//! How a gateway reads standings: its copy, the cache, the source; and what it does when they are wrong or away.

use crate::entry::{Flaw, Verified, Verifier};
use crate::known::{COPY_LIFE, Known};
use crate::put_if_newer::StandingCache;
use beem_clock::Clock;
use beem_fault::Fault;
use beem_ids::PrincipalId;
use beem_proto::authz::v1::SignedStanding;
use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};
use prost::Message;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long the source may take.
const SOURCE_LIMIT: Duration = Duration::from_secs(2);
/// How often the source is asked when its answer is older than what was seen meanwhile.
const SOURCE_ATTEMPTS: u32 = 2;
/// Principals remembered, at about 700 bytes.
const KNOWN_MAX: u64 = 100_000;

/// What a fetch gives: the signed standing, or that there is no such principal.
pub type Fetch<'a> = BoxFuture<'a, Result<Option<SignedStanding>, Fault>>;

/// Where the truth is asked: authz.
pub trait StandingSource: Send + Sync + 'static {
    /// The standing from the table, freshly signed.
    fn fetch(&self, principal: PrincipalId) -> Fetch<'_>;
}

type Outcome = Result<Option<Arc<Verified>>, Fault>;

/// The standings as one gateway knows them. Cheap to clone; clones share what they know.
#[derive(Clone)]
pub struct VerifiedStandings {
    shared: Arc<Inner>,
}

struct Inner {
    cache: StandingCache,
    source: Arc<dyn StandingSource>,
    verifier: Verifier,
    clock: Clock,
    known: Known,
    /// Reads under way. Weak: when nobody waits any more a read ends, and cannot answer somebody long after.
    reads: Mutex<HashMap<PrincipalId, UnderWay>>,
    counted: Counted,
}

/// A read, and when it began.
struct UnderWay {
    began: Instant,
    read: WeakShared<BoxFuture<'static, Outcome>>,
}

#[derive(Default)]
struct Counted {
    copies: AtomicU64,
    cached: AtomicU64,
    asked: AtomicU64,
    flawed: AtomicU64,
}

/// How often what happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answered from a verified copy of this process.
    pub copies: u64,
    /// Answered from the cache.
    pub cached: u64,
    /// The source was asked.
    pub asked: u64,
    /// Entries of the cache or the source that were not believed.
    pub flawed: u64,
}

impl VerifiedStandings {
    #[must_use]
    pub fn new(
        cache: StandingCache,
        source: Arc<dyn StandingSource>,
        verifier: Verifier,
        clock: Clock,
    ) -> Self {
        let (known, reads, counted) = (Known::new(KNOWN_MAX), Mutex::default(), Counted::default());
        Self { shared: Arc::new(Inner { cache, source, verifier, clock, known, reads, counted }) }
    }

    /// The standing of a principal, at most half a second old as long as authz reaches the cache, and never past the end
    /// that authz set. Nothing when there is no such principal; that is asked anew each time.
    ///
    /// # Errors
    /// `unavailable` when nobody who can be believed answers.
    pub async fn get(&self, principal: PrincipalId) -> Outcome {
        if let Some(copy) = self.shared.known.young(principal, self.shared.clock.now()) {
            count(&self.shared.counted.copies);
            return Ok(Some(copy));
        }
        self.shared.read_together(principal).await
    }

    /// The standing as authz has it now, past every cache; these are filled with it.
    ///
    /// # Errors
    /// `unavailable` when authz does not answer, whatever a cache would say.
    pub async fn fresh(&self, principal: PrincipalId) -> Outcome {
        self.shared.ask_source(principal).await
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        let Counted { copies, cached, asked, flawed } = &self.shared.counted;
        let [copies, cached, asked, flawed] =
            [copies, cached, asked, flawed].map(|n| n.load(Ordering::Relaxed));
        Counts { copies, cached, asked, flawed }
    }
}

impl Inner {
    /// One read for all who miss at the same time. A read that began longer ago than a copy lives is not joined: what it
    /// brings may be older than whoever comes now may believe.
    fn read_together(self: &Arc<Self>, principal: PrincipalId) -> Shared<BoxFuture<'static, Outcome>> {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = reads.get(&principal)
            && under_way.began.elapsed() < COPY_LIFE
            && let Some(read) = under_way.read.upgrade()
            && read.peek().is_none()
        {
            return read;
        }
        let inner = self.clone();
        let read = async move { inner.read(principal).await }.boxed().shared();
        if let Some(weak) = read.downgrade() {
            reads.insert(principal, UnderWay { began: Instant::now(), read: weak });
        }
        read
    }

    async fn read(&self, principal: PrincipalId) -> Outcome {
        let outcome = match self.look_in_cache(principal).await {
            Some(found) => Ok(Some(found)),
            None => self.ask_source(principal).await,
        };
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.retain(|id, under_way| *id != principal && under_way.read.upgrade().is_some());
        outcome
    }

    /// What the cache has, when it can be believed.
    async fn look_in_cache(&self, principal: PrincipalId) -> Option<Arc<Verified>> {
        let asked_at = Instant::now();
        let found = self.cache.get(principal).await.ok().flatten()?;
        let signed = SignedStanding::decode(found.as_slice()).map_err(|_| Flaw::Malformed);
        match signed.and_then(|signed| self.believe(signed, principal, asked_at)) {
            Ok(verified) => {
                count(&self.counted.cached);
                Some(verified)
            }
            // The ordinary end of an entry. It stays where it is: its version still refuses an older one.
            Err(Flaw::Outlived) => None,
            Err(flaw) => {
                count(&self.counted.flawed);
                tracing::warn!(%principal, %flaw, "a cached standing was not believed");
                if flaw != Flaw::FromTheFuture {
                    let _ = self.cache.discard(principal, &found).await;
                }
                None
            }
        }
    }

    async fn ask_source(&self, principal: PrincipalId) -> Outcome {
        let mut flaw = Flaw::RolledBack;
        for _ in 0..SOURCE_ATTEMPTS {
            count(&self.counted.asked);
            let asked_at = Instant::now();
            let answer = timeout(SOURCE_LIMIT, self.source.fetch(principal)).await;
            let Some(signed) = answer.map_err(Fault::unavailable)?? else { return Ok(None) };
            match self.believe(signed, principal, asked_at) {
                Ok(verified) => {
                    // Away, or something newer came meanwhile: either way the cache is as good as it gets.
                    let _ = self.cache.put_if_newer(&verified.entry).await;
                    return Ok(Some(verified));
                }
                Err(found) => flaw = found,
            }
            count(&self.counted.flawed);
            tracing::warn!(%principal, %flaw, "a standing from authz was not believed");
            if flaw != Flaw::RolledBack {
                break;
            }
        }
        Err(Fault::unavailable(flaw))
    }

    fn believe(
        &self,
        signed: SignedStanding,
        asked: PrincipalId,
        asked_at: Instant,
    ) -> Result<Arc<Verified>, Flaw> {
        let verified = self.verifier.verify(signed, asked, self.clock.now())?;
        self.known.keep(verified, asked_at)
    }
}

impl std::fmt::Debug for VerifiedStandings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedStandings").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
