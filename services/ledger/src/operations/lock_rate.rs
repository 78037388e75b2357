//! LockRate: promises a pair's rate for a while. Whoever converts under it gets the middle rate of now, less the pair's
//! spread of now.

use super::{Means, Operations, refused};
use crate::domain::{Lock, LockSide};
use crate::grpc::convert;
use crate::store;
use beem_database::Tx;
use beem_database::claims::{Outcome, fingerprint};
use beem_fault::{Code, Fault, Result};
use beem_ids::RateLockId;
use beem_money::Currency;
use beem_proto::ledger::v1 as wire;
use prost::Message as _;

const LOCK_RATE: &str = "beem.ledger.v1.Rates/LockRate";

/// Seconds a promise holds at most.
const LONGEST_S: u32 = 86_400;

/// A promise that is asked for, well formed.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    from: &'a Currency,
    to: &'a Currency,
    side: LockSide,
    time_to_live_s: u32,
}

impl Means {
    fn promising(&self, asked: &wire::LockRateRequest) -> Result<Wanted<'_>> {
        convert::effect_key(&asked.effect_key)?;
        let (from, to) = (self.currency("from", &asked.from)?, self.currency("to", &asked.to)?);
        let side = LockSide::parse(&asked.side).ok_or_else(|| Fault::field("side", "SELL or BUY"))?;
        let time_to_live_s = asked.time_to_live_s;
        if !(1..=LONGEST_S).contains(&time_to_live_s) {
            return Err(Fault::field("timeToLiveS", format!("1 to {LONGEST_S}")));
        }
        Ok(Wanted { from, to, side, time_to_live_s })
    }
}

impl Operations {
    /// Refusals: `currency-unknown`; `validation-failed` naming `effectKey`, `side` or `timeToLiveS`: all of them mistakes of
    /// the request, and none is remembered. `rate-unavailable`, which is no refusal, without a current rate.
    pub async fn lock_rate(&self, asked: &wire::LockRateRequest) -> Outcome {
        let wanted = match self.0.promising(asked) {
            Ok(wanted) => wanted,
            Err(fault) => return refused(fault),
        };
        let wanted = &wanted;
        let effect_key = format!("LockRate:{}", asked.effect_key);
        let fingerprint = fingerprint(LOCK_RATE, &asked.encode_to_vec());
        self.effect(&effect_key, fingerprint, |tx| Box::pin(self.promise(tx, wanted))).await
    }

    async fn promise(&self, tx: &Tx<'_>, wanted: &Wanted<'_>) -> Result<Vec<u8>> {
        let (means, Wanted { from, to, side, time_to_live_s }) = (&self.0, *wanted);
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
            expires: tx.now().plus_ms(i64::from(time_to_live_s).saturating_mul(1000)),
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
