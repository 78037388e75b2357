//! VoidHold: a hold ends and everything is given back.

use super::reserve::hold_answer;
use super::{Operations, PATIENCE, refused};
use crate::domain::{HoldEnd, Order, Step};
use crate::grpc::convert;
use crate::store;
use crate::store::engine::Job;
use beem_database::claims::{Outcome, fingerprint};
use beem_fault::Result;
use beem_ids::AccountId;
use beem_proto::ledger::v1 as wire;
use prost::Message as _;

impl Operations {
    /// Voids a hold, once under its effect key; answers the hold as it ended. Harmless when it was voided under another key.
    pub async fn void_hold(&self, asked: &wire::VoidHoldRequest) -> Outcome {
        match self.void_hold_job(asked).await {
            Ok(job) => self.0.writer.settle_one(job, beem_runtime::deadline(PATIENCE)).await,
            Err(fault) => refused(fault),
        }
    }

    async fn void_hold_job(&self, asked: &wire::VoidHoldRequest) -> Result<Job> {
        let means = &self.0;
        let key = convert::effect_key(&asked.effect_key)?;
        let owner: AccountId = convert::id("accountId", &asked.account_id)?;
        let hold = store::holds::hold(means.db.read(), owner, convert::hold_id(&asked.hold_id)?).await?;
        let currency = means.stored_currency(hold.currency)?;
        Ok(Job {
            key: format!("VoidHold:{key}"),
            fingerprint: fingerprint("VoidHold", &asked.encode_to_vec()),
            answer: hold_answer(hold.new.id, currency.clone()),
            order: Order { owner, steps: vec![Step::EndHold { hold: hold.new.id, end: HoldEnd::Voided }] },
        })
    }
}
