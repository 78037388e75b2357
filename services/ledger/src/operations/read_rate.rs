//! ReadRate: the middle rate of a pair now.

use super::Operations;
use crate::grpc::convert;
use beem_fault::Result;
use beem_proto::ledger::v1 as wire;

impl Operations {
    /// # Errors
    /// `currency-unknown`; `rate-unavailable` without a current rate.
    pub fn read_rate(&self, asked: &wire::ReadRateRequest) -> Result<wire::ReadRateResponse> {
        let means = &self.0;
        let from = means.currency("from", &asked.from)?;
        let to = means.currency("to", &asked.to)?;
        let mid = means.rates.mid(from.code, to.code, means.clock.now())?;
        Ok(wire::ReadRateResponse { rate: mid.rate.to_string(), time: Some(convert::timestamp(mid.time)) })
    }
}
