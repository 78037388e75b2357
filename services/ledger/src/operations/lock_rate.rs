//! LockRate: promises a pair's rate for a while. Whoever converts under it gets the middle rate of now, less the pair's
//! spread of now.

use super::{Operations, PATIENCE, refused};
use crate::domain::{Lock, LockSide};
use crate::grpc::convert;
use crate::store;
use beem_database::Tx;
use beem_database::claims::{self, Outcome, fingerprint};
use beem_fault::{Code, Fault, Result};
use beem_ids::RateLockId;
use beem_proto::ledger::v1 as wire;
use prost::Message as _;

const LOCK_RATE: &str = "beem.ledger.v1.Rates/LockRate";

/// Seconds a promise holds at most.
const LONGEST_S: u32 = 86_400;

impl Operations {
    /// Refusals: `currency-unknown`; `validation-failed` naming `effectKey`, `side` or `timeToLiveS`. `rate-unavailable`,
    /// which is none, without a current rate.
    pub async fn lock_rate(&self, asked: &wire::LockRateRequest) -> Outcome {
        let effect_key = match convert::effect_key(&asked.effect_key) {
            Ok(key) => format!("LockRate:{key}"),
            Err(fault) => return refused(fault),
        };
        let fingerprint = fingerprint(LOCK_RATE, &asked.encode_to_vec());
        let deadline = beem_runtime::deadline(PATIENCE);
        let db = &self.0.db;
        claims::once_for_ever(db, &effect_key, fingerprint, deadline, |tx| Box::pin(self.promise(tx, asked)))
            .await
    }

    async fn promise(&self, tx: &Tx<'_>, asked: &wire::LockRateRequest) -> Result<Vec<u8>> {
        let means = &self.0;
        let from = means.currency("from", &asked.from)?;
        let to = means.currency("to", &asked.to)?;
        let side = LockSide::parse(&asked.side).ok_or_else(|| Fault::field("side", "SELL or BUY"))?;
        if !(1..=LONGEST_S).contains(&asked.time_to_live_s) {
            return Err(Fault::field("timeToLiveS", format!("1 to {LONGEST_S}")));
        }
        let terms = means.rates.terms(from, to, tx.now())?;
        let unavailable = || Fault::new(Code::RateUnavailable, "the spread leaves nothing of the rate");
        let rate = terms.rate().ok_or_else(unavailable)?;
        let lock = Lock {
            id: RateLockId::draw(tx.now(), tx.entropy()),
            from: from.code,
            to: to.code,
            side,
            mid: terms.mid,
            spread_millionths: terms.spread_millionths,
            created: tx.now(),
            expires: tx.now().plus_ms(i64::from(asked.time_to_live_s).saturating_mul(1000)),
        };
        store::locks::insert(tx, &lock).await?;
        let answer = wire::RateLock {
            id: lock.id.to_string(),
            from: lock.from.to_string(),
            to: lock.to.to_string(),
            side: lock.side.as_str().to_owned(),
            rate: rate.to_string(),
            expires_at: Some(convert::timestamp(lock.expires)),
        };
        Ok(answer.encode_to_vec())
    }
}
