//! ResealSecrets: after a rotation of sealing keys, seals anew what is still sealed under the previous one: the keys of
//! hooks, waiting mails, remembered answers. As much as fits into half of the call's time; whoever calls repeats it until
//! nothing is left, and only then takes the previous key away.

use super::Operations;
use crate::store::installation;
use crate::store::keys::Column;
use crate::store::sealed;
use beem_database::claims;
use beem_fault::{Code, Fault, Result};
use beem_proto::hooks::v1 as wire;
use std::time::Duration;
use tokio::time::Instant;

/// Values sealed in one transaction at most.
const BATCH: u32 = 200;

/// The time of a call that says nothing about it.
const USUAL_TIME: Duration = Duration::from_secs(10);

impl Operations {
    /// # Errors
    /// `changed-concurrently` when the current key is not the one the operator means (this process has not seen it yet);
    /// `internal` when something does not open under any key held; `unavailable` when the database is away.
    pub async fn reseal_secrets(
        &self,
        asked: &wire::ResealSecretsRequest,
    ) -> Result<wire::ResealSecretsResponse> {
        let (db, sealing) = (&self.0.db, &self.0.sealing);
        let key_id = sealing.current_id();
        if !asked.key_id.is_empty() && asked.key_id != key_id.to_string() {
            return Err(Fault::new(Code::ChangedConcurrently, "another sealing key is the current one here"));
        }
        let start = Instant::now();
        let enough = start + beem_runtime::deadline(USUAL_TIME).saturating_duration_since(start) / 2;
        let mut resealed = 0_u64;
        loop {
            if sealing.current_id() != key_id {
                return Err(Fault::new(Code::ChangedConcurrently, "the sealing key changed meanwhile"));
            }
            let Round { done, left } = self.reseal_round().await?;
            resealed = resealed.saturating_add(done);
            if left == 0 {
                // From here on this is the key without which nothing starts.
                installation::note_key(db, key_id).await?;
            }
            // What a round cannot do, another one soon after cannot either: it is busy, or of a key that is gone.
            if left == 0 || done == 0 || Instant::now() >= enough {
                return Ok(wire::ResealSecretsResponse { resealed, left, key_id: key_id.to_string() });
            }
        }
    }

    async fn reseal_round(&self) -> Result<Round> {
        let (db, sealing) = (&self.0.db, &self.0.sealing);
        let claims = claims::reseal(db, BATCH).await?;
        let mails = beem_mail::reseal(db, sealing, BATCH).await?;
        let mut round = Round {
            done: claims.resealed.saturating_add(mails.resealed),
            left: claims.left.saturating_add(u64::from(mails.more)),
        };
        for column in Column::ALL {
            let done = sealed::reseal(db, sealing, column, BATCH).await?;
            let left = sealed::left(db.read(), sealing, column).await?;
            round = Round { done: round.done.saturating_add(done), left: round.left.saturating_add(left) };
        }
        Ok(round)
    }
}

/// What one round came to.
struct Round {
    done: u64,
    left: u64,
}
