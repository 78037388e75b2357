//! Reserve: an amount of a wallet is set aside.

use super::{Operations, PATIENCE, refused};
use crate::domain::{NewHold, Order, Step};
use crate::grpc::convert;
use crate::store;
use crate::store::engine::{Answer, Job};
use beem_database::claims::{Outcome, fingerprint};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, HoldId};
use beem_money::Currency;
use beem_proto::ledger::v1 as wire;
use prost::Message as _;

impl Operations {
    /// Places a hold, once under its effect key; answers the hold as it was placed. What is wrong with the request itself, a
    /// wallet that is not there included, is refused without being remembered.
    pub async fn reserve(&self, asked: &wire::ReserveRequest) -> Outcome {
        match self.reserve_job(asked).await {
            Ok(job) => self.0.writer.settle_one(job, beem_runtime::deadline(PATIENCE)).await,
            Err(fault) => refused(fault),
        }
    }

    async fn reserve_job(&self, asked: &wire::ReserveRequest) -> Result<Job> {
        let means = &self.0;
        let key = convert::effect_key(&asked.effect_key)?;
        let owner: AccountId = convert::id("accountId", &asked.account_id)?;
        let id = convert::wallet_id(&asked.wallet_id)?;
        let (wallet, _) = store::accounts::wallet(means.db.read(), owner, id).await?;
        let currency = means.stored_currency(wallet.currency)?;
        let hold = NewHold {
            id: HoldId::draw(means.clock.now(), &means.entropy),
            account: wallet.id,
            amount: convert::amount("amount", currency, &asked.amount)?,
            reference: convert::reference("reference", &asked.reference)?,
            cause: convert::cause("cause", asked.cause.as_ref())?,
            expires: convert::moment(asked.expires_at.as_ref()),
        };
        Ok(Job {
            key: format!("Reserve:{key}"),
            fingerprint: fingerprint("Reserve", &asked.encode_to_vec()),
            answer: hold_answer(hold.id, currency.clone()),
            order: Order { owner, steps: vec![Step::Reserve(hold)] },
        })
    }
}

/// The hold as it is once the order is carried out.
pub(super) fn hold_answer(id: HoldId, currency: Currency) -> Answer {
    Box::new(move |book| {
        let hold = book.hold(id).ok_or_else(|| Fault::internal("a hold that is not in the book"))?;
        Ok(convert::hold(&currency, hold).encode_to_vec())
    })
}
