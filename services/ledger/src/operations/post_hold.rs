//! PostHold: a hold ends with a transfer of all or part of it.

use super::reserve::hold_answer;
use super::{Operations, PATIENCE, refused};
use crate::domain::{NewTransfer, Order, Step};
use crate::grpc::convert;
use crate::store;
use crate::store::engine::Job;
use beem_database::claims::{Outcome, fingerprint};
use beem_fault::{Fault, Result};
use beem_ids::AccountId;
use beem_proto::ledger::v1 as wire;
use prost::Message as _;

impl Operations {
    /// Posts a hold, once under its effect key; answers the hold as it ended. The transfer has the hold's reference and
    /// cause.
    pub async fn post_hold(&self, asked: &wire::PostHoldRequest) -> Outcome {
        match self.post_hold_job(asked).await {
            Ok(job) => self.0.writer.settle_one(job, beem_runtime::deadline(PATIENCE)).await,
            Err(fault) => refused(fault),
        }
    }

    async fn post_hold_job(&self, asked: &wire::PostHoldRequest) -> Result<Job> {
        let means = &self.0;
        let key = convert::effect_key(&asked.effect_key)?;
        let owner: AccountId = convert::id("accountId", &asked.account_id)?;
        let hold = store::holds::hold(means.db.read(), owner, convert::hold_id(&asked.hold_id)?).await?;
        if store::holds::is_of_payout(means.db.read(), hold.new.id).await? {
            return Err(Fault::field("holdId", "a payout's: PostOutbound or VoidHold ends it"));
        }
        let currency = means.stored_currency(hold.currency)?;
        let amount = match asked.amount.as_str() {
            "" => None,
            text => Some(convert::amount("amount", currency, text)?),
        };
        let step = Step::PostHold {
            hold: hold.new.id,
            amount,
            transfer: NewTransfer::draw_id(means.clock.now(), &means.entropy),
            credit: convert::side(means, "credit", currency, asked.credit.as_ref())?,
            kind: convert::kind("kind", &asked.kind, &convert::POSTING_KINDS)?,
        };
        Ok(Job {
            key: format!("PostHold:{key}"),
            fingerprint: fingerprint("PostHold", &asked.encode_to_vec()),
            answer: hold_answer(hold.new.id, currency.clone()),
            order: Order { owner, steps: vec![step] },
        })
    }
}
