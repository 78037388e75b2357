//! Tries counted, in buckets whose keys are hashes: whether an address that was tried belongs to anybody is not to be read
//! here. A try is counted before it is judged; who was right gives it back.

use crate::domain::attempts::{FORGOTTEN_MS, Pace, Tries, another_reset_mail};
use beem_clock::Moment;
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::{Code, Fault, Result};
use sea_orm::QueryResult;
use sha2::{Digest as _, Sha256};

/// Names a bucket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BucketKey([u8; 32]);

impl BucketKey {
    /// What is counted, and of what.
    #[must_use]
    pub fn of(label: &str, values: &[&str]) -> Self {
        let mut hash = Sha256::new();
        hash.update(label.as_bytes());
        for value in values {
            hash.update([0]);
            hash.update(value.as_bytes());
        }
        Self(hash.finalize().into())
    }

    fn value(self) -> sea_orm::Value {
        self.0.to_vec().into()
    }
}

/// Counts one more try, or says that it comes too early.
///
/// # Errors
/// `rate-limited` with the seconds to wait: then nothing is counted.
pub async fn reserve(tx: &Tx<'_>, key: BucketKey, pace: Pace) -> Result<()> {
    let tries = locked(tx, key).await?;
    let counted = pace.reserve(Some(tries), tx.now()).map_err(|wait_ms| {
        let seconds = u32::try_from(wait_ms.saturating_add(999) / 1000).unwrap_or(u32::MAX);
        Fault::new(Code::RateLimited, "too many attempts, wait before the next one").retry_after_s(seconds)
    })?;
    write(tx, key, counted).await
}

/// One try less: it was right. The next one need not wait.
///
/// # Errors
/// As the database says.
pub async fn give_back(tx: &Tx<'_>, key: BucketKey) -> Result<()> {
    let sql = "UPDATE attempts SET failures = failures - 1, next_ms = 0 WHERE key = $1 AND failures > 0";
    tx.run(sql, vec![key.value()]).await.map(drop)
}

/// No tries: it was right, and nobody else tries here.
///
/// # Errors
/// As the database says.
pub async fn forget(tx: &Tx<'_>, key: BucketKey) -> Result<()> {
    tx.run("DELETE FROM attempts WHERE key = $1", vec![key.value()]).await.map(drop)
}

/// Counts one more reset mail; false when there were enough for this hour.
///
/// # Errors
/// As the database says.
pub async fn another_mail(tx: &Tx<'_>, key: BucketKey) -> Result<bool> {
    let sent = locked(tx, key).await?;
    match another_reset_mail(Some(sent), tx.now()) {
        None => Ok(false),
        Some(counted) => write(tx, key, counted).await.map(|()| true),
    }
}

/// The bucket, made if it was not there, and locked: two tries at once are counted one after the other.
async fn locked(tx: &Tx<'_>, key: BucketKey) -> Result<Tries> {
    let sql = "INSERT INTO attempts (key, failures, next_ms, updated_ms) VALUES ($1, 0, 0, $2)
               ON CONFLICT (key) DO UPDATE SET updated_ms = attempts.updated_ms
               RETURNING failures, next_ms, updated_ms";
    let row = tx.row(sql, vec![key.value(), tx.now().unix_ms().into()]).await?;
    read(&row.ok_or_else(|| Fault::internal("a bucket was neither made nor found"))?)
}

fn read(row: &QueryResult) -> Result<Tries> {
    let moment = |name: &str| row.try_get("", name).or_fault().map(Moment::from_unix_ms);
    Ok(Tries {
        count: row.try_get("", "failures").or_fault()?,
        next: moment("next_ms")?,
        updated: moment("updated_ms")?,
    })
}

async fn write(tx: &Tx<'_>, key: BucketKey, tries: Tries) -> Result<()> {
    let sql = "UPDATE attempts SET failures = $2, next_ms = $3, updated_ms = $4 WHERE key = $1";
    let values =
        vec![key.value(), tries.count.into(), tries.next.unix_ms().into(), tries.updated.unix_ms().into()];
    tx.run(sql, values).await.map(drop)
}

/// Forgets at most `max` buckets that nobody has tried for a day; how many it was.
///
/// # Errors
/// As the database says.
pub async fn purge(db: &Database, max: u32) -> Result<u64> {
    let sql = "DELETE FROM attempts WHERE key IN (SELECT key FROM attempts WHERE updated_ms <= $1 LIMIT $2)";
    super::purge(db, sql, FORGOTTEN_MS, max).await
}
