//! Gives committed events their positions. Every process runs one; a lock in the database lets one of them at a time
//! work, taken anew for every round, so that the next goes on at once when the holder dies.

use crate::feed::{Feed, POLL};
use beem_database::{Backend, OrFault as _, Sql as _, Tx};
use beem_fault::Result;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// `pg_try_advisory_xact_lock` of whoever numbers: "beemseqr" in ASCII.
const LOCK: i64 = 0x6265_656d_7365_7172;
/// Rows numbered in one transaction.
const BATCH: i64 = 500;
/// The wait while the database is away.
const AWAY: Duration = Duration::from_secs(1);

/// One statement, one snapshot: a row that it does not see has not committed and gets a later position. What it sees of
/// one entity is in order, because the second event of an entity cannot commit before the first.
const NUMBER: &str = "
    WITH picked AS (SELECT ordinal FROM outbox WHERE position IS NULL ORDER BY ordinal LIMIT $1),
        numbered AS (SELECT ordinal, row_number() OVER (ORDER BY ordinal) AS n FROM picked)
    UPDATE outbox SET position = (SELECT head FROM feed) + numbered.n
    FROM numbered WHERE outbox.ordinal = numbered.ordinal";

impl Feed {
    /// Numbers until cancelled: at once after a commit of this process, within 200 ms after one of another. Run one per
    /// process, supervised.
    pub async fn sequence(&self, cancel: CancellationToken) {
        let mut away = false;
        loop {
            let pause = match self.catch_up().await {
                Ok(()) => {
                    away = false;
                    POLL
                }
                Err(fault) => {
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(?fault, "cannot number events");
                    }
                    AWAY
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.db.announced(), if !away => self.announced.notify_one(),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Numbers everything that has committed, unless another process is at it.
    ///
    /// # Errors
    /// `unavailable` when the database is away.
    pub async fn catch_up(&self) -> Result<()> {
        loop {
            // Looked at first with a reader: an idle feed costs the writer nothing.
            let sql = "SELECT 1 AS found FROM outbox WHERE position IS NULL LIMIT 1";
            if self.db.read().row(sql, vec![]).await?.is_none() {
                return Ok(());
            }
            let numbered = self.db.write(|tx| Box::pin(round(tx))).await?;
            if numbered == 0 {
                return Ok(());
            }
            self.numbered.notify_waiters();
        }
    }
}

async fn round(tx: &Tx<'_>) -> Result<u64> {
    if tx.backend() == Backend::Postgres {
        let row = tx.row("SELECT pg_try_advisory_xact_lock($1) AS ours", vec![LOCK.into()]).await?;
        let ours = row.map_or(Ok(false), |row| row.try_get::<bool>("", "ours").or_fault())?;
        if !ours {
            return Ok(0);
        }
    }
    let numbered = tx.run(NUMBER, vec![BATCH.into()]).await?;
    let count = i64::try_from(numbered).map_err(beem_fault::Fault::internal)?;
    tx.run("UPDATE feed SET head = head + $1", vec![count.into()]).await?;
    Ok(numbered)
}
