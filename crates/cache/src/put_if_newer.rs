//! Where entries are: `set if newer`, and nothing else ever overwrites one.

use crate::entry::{SignedEntry, Verifier};
use beem_ids::PrincipalId;
use beem_redis::{Away, Redis};
use moka::ops::compute::{CompResult, Op};
use moka::sync::Cache;
use prost::Message;
use redis::Script;
use std::sync::Arc;
use std::time::Duration;

/// How long an entry stays after its end. It grants nothing then, but its version still refuses an older one that a slow
/// fill brings, even when the clocks of Redis and authz are apart.
const GUARD_MS: i64 = 60_000;
const AREA: &str = "standing";

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Stored,
    /// What is there is as new or newer, and stays.
    OlderThanCached,
}

/// A store of signed entries. It is not believed, only asked. Cheap to clone; clones are one store.
#[derive(Clone, Debug)]
pub enum StandingCache {
    /// Of this process: authz and the gateway hold clones of it.
    InProcess(Cache<PrincipalId, Arc<SignedEntry>>),
    InRedis(Redis, Arc<Scripts>),
}

/// Both compare and write in one step.
#[derive(Debug)]
pub struct Scripts {
    put_if_newer: Script,
    discard: Script,
}

impl StandingCache {
    /// For one process; at most `max_principals` entries of about 500 bytes.
    #[must_use]
    pub fn in_process(max_principals: u64) -> Self {
        let guard = Duration::from_millis(GUARD_MS.unsigned_abs());
        Self::InProcess(Cache::builder().max_capacity(max_principals).time_to_live(guard).build())
    }

    /// For all processes on one Redis.
    #[must_use]
    pub fn in_redis(redis: Redis) -> Self {
        let put_if_newer = Script::new(include_str!("put_if_newer.lua"));
        let discard = Script::new(
            "if redis.call('HGET', KEYS[1], 'b') == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0",
        );
        Self::InRedis(redis, Arc::new(Scripts { put_if_newer, discard }))
    }

    /// Puts an entry, unless a higher version, or the same one issued no earlier, is there.
    ///
    /// # Errors
    /// [`Away`]: whether it was stored is unknown.
    pub async fn put_if_newer(&self, entry: &SignedEntry) -> Result<Put, Away> {
        match self {
            Self::InProcess(cache) => Ok(put_in_process(cache, entry)),
            Self::InRedis(redis, scripts) => {
                let mut put = scripts.put_if_newer.key(redis.key(AREA, entry.principal.0.as_bytes()));
                put.arg(entry.version)
                    .arg(entry.issued_at.unix_ms())
                    .arg(entry.signed.encode_to_vec())
                    .arg(entry.not_after.plus_ms(GUARD_MS).unix_ms());
                let stored: bool = redis.script(&put).await?;
                Ok(if stored { Put::Stored } else { Put::OlderThanCached })
            }
        }
    }

    /// [`StandingCache::put_if_newer`] for authz, which knows better: what keeps its entry out must itself be signed and as
    /// new. A store that somebody wrote into may pretend to any version; that is taken out, and the entry put again.
    ///
    /// # Errors
    /// [`Away`]: whether it was stored is unknown.
    pub async fn publish(&self, entry: &SignedEntry, verifier: &Verifier) -> Result<Put, Away> {
        let put = self.put_if_newer(entry).await?;
        if put == Put::Stored {
            return Ok(put);
        }
        match self.get(entry.principal).await? {
            Some(found) if verifier.version_in(&found, entry.principal).is_none_or(|v| v < entry.version) => {
                self.discard(entry.principal, &found).await?;
                self.put_if_newer(entry).await
            }
            // Gone meanwhile, or rightly there.
            None => self.put_if_newer(entry).await,
            Some(_) => Ok(put),
        }
    }

    /// What is there about a principal: an encoded [`SignedStanding`](beem_proto::authz::v1::SignedStanding), or whatever
    /// somebody wrote there.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn get(&self, principal: PrincipalId) -> Result<Option<Vec<u8>>, Away> {
        match self {
            Self::InProcess(cache) => Ok(cache.get(&principal).map(|e| e.signed.encode_to_vec())),
            Self::InRedis(redis, _) => {
                let mut get = redis::cmd("HGET");
                get.arg(redis.key(AREA, principal.0.as_bytes())).arg("b");
                redis.query(&get).await
            }
        }
    }

    /// Takes out `found`, unless something else is there by now: for an entry that turned out false, whose pretended
    /// version would refuse a true one.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn discard(&self, principal: PrincipalId, found: &[u8]) -> Result<(), Away> {
        match self {
            Self::InProcess(cache) => {
                cache.entry(principal).and_compute_with(|there| match there {
                    Some(t) if t.value().signed.encode_to_vec() == found => Op::Remove,
                    Some(_) | None => Op::Nop,
                });
                Ok(())
            }
            Self::InRedis(redis, scripts) => {
                let mut discard = scripts.discard.key(redis.key(AREA, principal.0.as_bytes()));
                discard.arg(found);
                redis.script::<i64>(&discard).await.map(drop)
            }
        }
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn ping(&self) -> Result<(), Away> {
        match self {
            Self::InProcess(_) => Ok(()),
            Self::InRedis(redis, _) => redis.ping().await,
        }
    }
}

fn put_in_process(cache: &Cache<PrincipalId, Arc<SignedEntry>>, entry: &SignedEntry) -> Put {
    let done = cache.entry(entry.principal).and_compute_with(|there| {
        let newer = there.is_none_or(|t| {
            let t = t.into_value();
            (entry.version, entry.issued_at) > (t.version, t.issued_at)
        });
        if newer { Op::Put(Arc::new(entry.clone())) } else { Op::Nop }
    });
    match done {
        CompResult::Inserted(_) | CompResult::ReplacedWith(_) => Put::Stored,
        CompResult::Unchanged(_) | CompResult::StillNone(_) | CompResult::Removed(_) => Put::OlderThanCached,
    }
}
