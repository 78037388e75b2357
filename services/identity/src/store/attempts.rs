//! Tries counted, in buckets whose keys are hashes: whether an address that was tried belongs to anybody is not to be read
//! here. A try is counted before it is judged; who was right gives it back.

use crate::domain::attempts::{
    FORGOTTEN_MS, INVITATION_MAILS, Pace, Tries, another_mail as another_mail_of, another_reset_mail,
};
use beem_clock::Moment;
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::{Code, Fault, Result};
use sea_orm::{ConnectionTrait, QueryResult};
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

/// What is counted, and how it slows down.
#[derive(Clone, Copy)]
pub struct Bucket {
    pub key: BucketKey,
    pub pace: Pace,
}

/// A try that was counted.
#[derive(Clone, Copy)]
pub struct Counted {
    key: BucketKey,
    before: Tries,
    after: Tries,
}

/// That a try would not come too early. Only reads: what is refused here costs no transaction that writes.
///
/// # Errors
/// `rate-limited` with the seconds to wait.
pub async fn check(on: &impl ConnectionTrait, bucket: Bucket, now: Moment) -> Result<()> {
    let sql = "SELECT failures, next_ms, updated_ms FROM attempts WHERE key = $1";
    let row = on.row(sql, vec![bucket.key.value()]).await?;
    let tries = row.as_ref().map(read).transpose()?;
    Pace::wait(tries, now).map_err(too_early)
}

/// Counts one more try, or says that it comes too early.
///
/// # Errors
/// As [`check`]: then nothing is counted.
pub async fn reserve(tx: &Tx<'_>, bucket: Bucket) -> Result<Counted> {
    let before = locked(tx, bucket.key).await?;
    let after = bucket.pace.reserve(Some(before), tx.now()).map_err(too_early)?;
    write(tx, bucket.key, after).await?;
    Ok(Counted { key: bucket.key, before, after })
}

fn too_early(wait_ms: i64) -> Fault {
    let seconds = u32::try_from(wait_ms.saturating_add(999) / 1000).unwrap_or(u32::MAX);
    Fault::new(Code::RateLimited, "too many attempts, wait before the next one").retry_after_s(seconds)
}

/// As if the try had not been: it was right, or was not judged. Whoever waits because of others goes on waiting.
///
/// # Errors
/// As the database says.
pub async fn undo(tx: &Tx<'_>, counted: &Counted) -> Result<()> {
    let Counted { key, before, after } = counted;
    if locked(tx, *key).await? == *after {
        return write(tx, *key, *before).await;
    }
    give_back(tx, *key).await
}

/// One try less: it was right. What the others wait for stays.
///
/// # Errors
/// As the database says.
pub async fn give_back(tx: &Tx<'_>, key: BucketKey) -> Result<()> {
    let sql = "UPDATE attempts SET failures = failures - 1 WHERE key = $1 AND failures > 0";
    tx.run(sql, vec![key.value()]).await.map(drop)
}

/// No tries: it was right, and nobody else tries here.
///
/// # Errors
/// As the database says.
pub async fn forget(tx: &Tx<'_>, key: BucketKey) -> Result<()> {
    tx.run("DELETE FROM attempts WHERE key = $1", vec![key.value()]).await.map(drop)
}

/// Counts one more reset mail; false when there were enough for this hour or this day.
///
/// # Errors
/// As the database says.
pub async fn another_mail(tx: &Tx<'_>, hour: BucketKey, day: BucketKey) -> Result<bool> {
    let sent = (locked(tx, hour).await?, locked(tx, day).await?);
    match another_reset_mail(Some(sent.0), Some(sent.1), tx.now()) {
        None => Ok(false),
        Some(counted) => {
            write(tx, hour, counted.0).await?;
            write(tx, day, counted.1).await.map(|()| true)
        }
    }
}

/// Counts one more invitation.
///
/// # Errors
/// `rate-limited` with the seconds to wait when there were enough for this hour: then nothing is counted.
pub async fn reserve_invitation(tx: &Tx<'_>, key: BucketKey) -> Result<()> {
    let sent = locked(tx, key).await?;
    match another_mail_of(Some(sent), INVITATION_MAILS, tx.now()) {
        Some(counted) => write(tx, key, counted).await,
        None => {
            let seconds = sent.next.ms_since(tx.now()).saturating_add(999) / 1000;
            let much = "the address was invited, or its second factor reset, often enough for this hour";
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            Err(Fault::new(Code::RateLimited, much).retry_after_s(seconds))
        }
    }
}

/// One invitation less: it was refused after all. The hour goes on.
///
/// # Errors
/// As the database says.
pub async fn give_invitation_back(tx: &Tx<'_>, key: BucketKey) -> Result<()> {
    give_back(tx, key).await
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

/// Forgets at most `max` buckets in which nothing was counted for a day; how many it was.
///
/// # Errors
/// As the database says.
pub async fn purge(db: &Database, max: u32) -> Result<u64> {
    let sql = "DELETE FROM attempts WHERE key IN (SELECT key FROM attempts WHERE updated_ms <= $1 LIMIT $2)";
    super::purge(db, sql, FORGOTTEN_MS, max).await
}
