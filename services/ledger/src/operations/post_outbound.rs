//! PostOutbound: a payout was paid, for the network fee it really took.

use super::{Operations, refused};
use crate::domain::{HoldEnd, HoldState, Order, PostedOutbound, Step};
use crate::grpc::convert;
use crate::store::{bulk, engine, outbounds};
use beem_database::Tx;
use beem_database::claims::{Outcome, fingerprint};
use beem_fault::{Code, Fault, Result};
use beem_ids::{AccountId, HoldId};
use beem_money::Amount;
use beem_proto::ledger::v1 as wire;
use prost::Message as _;

impl Operations {
    /// Ends a payout's hold, once under its effect key: what it took leaves the wallet, the rest is given back. Refused
    /// with `hold-ended` when it has ended otherwise. What is wrong with the request itself is refused without being
    /// remembered: `not-found`, and `validation-failed` naming `fee` above the cap. What a chain has done is a fact, and can be
    /// asked for rightly. `unavailable`, and not remembered, when an account of our own has no room for it: funds that were
    /// there when it was reserved may have gone since.
    pub async fn post_outbound(&self, asked: &wire::PostOutboundRequest) -> Outcome {
        let (key, owner, hold, fee) = match self.paid(asked).await {
            Ok(paid) => paid,
            Err(fault) => return refused(fault),
        };
        let key = format!("PostOutbound:{key}");
        let fingerprint = fingerprint("PostOutbound", &asked.encode_to_vec());
        self.effect(&key, fingerprint, |tx| {
            Box::pin(async move { Ok(self.pay(tx, owner, hold, fee).await?.encode_to_vec()) })
        })
        .await
    }

    /// The request, judged by what never changes of its payout.
    async fn paid<'a>(
        &self,
        asked: &'a wire::PostOutboundRequest,
    ) -> Result<(&'a str, AccountId, HoldId, Amount)> {
        let means = &self.0;
        let key = convert::effect_key(&asked.effect_key)?;
        let owner = convert::id("accountId", &asked.account_id)?;
        let hold = convert::hold_id(&asked.hold_id)?;
        let outbound = outbounds::get(means.db.read(), owner, hold).await?;
        let fee_currency = means.stored_currency(outbound.fee_currency)?;
        let fee = match asked.fee.as_str() {
            "" => Amount::ZERO,
            text => fee_currency.parse(text).map_err(|wrong| Fault::field("fee", wrong.to_string()))?,
        };
        outbound.check_fee(fee)?;
        Ok((key, owner, hold, fee))
    }

    async fn pay(&self, tx: &Tx<'_>, owner: AccountId, hold: HoldId, fee: Amount) -> Result<wire::Outbound> {
        let means = &self.0;
        let mut outbound = outbounds::lock(tx, owner, hold).await?;
        let fee_currency = means.stored_currency(outbound.fee_currency)?;
        let placed = bulk::of(tx).lock_holds(tx, &[hold]).await?.pop();
        let placed = placed.ok_or_else(|| Fault::internal(format!("outbound {hold} without its hold")))?;
        let currencies = (means.stored_currency(outbound.wallet_currency)?, fee_currency);
        let paying = outbound.paying(fee, currencies, &placed.new, tx.now(), tx.entropy())?;
        let end = Step::EndHold { hold, end: HoldEnd::Posted(paying.debited) };
        let transfers = paying.transfers.into_iter().map(Step::Transfer);
        let order = Order { owner, steps: std::iter::once(end).chain(transfers).collect() };
        let effect = format!("PostOutbound:{hold}");
        let entered = engine::carry_out(tx, &effect, &order).await.map_err(uncovered)?;
        let posted = PostedOutbound { fee, debited: paying.debited, at: entered.time };
        outbounds::post(tx, hold, &posted).await?;
        outbound.posted = Some(posted);
        means.outbound_view(&outbound, HoldState::Posted)
    }
}

/// The hold covers what the wallet gives. What has been paid on a chain is not refused, and never remembered as refused,
/// because our own accounts cannot go further below zero.
fn uncovered(fault: Fault) -> Fault {
    if fault.code != Code::InsufficientFunds {
        return fault;
    }
    tracing::error!(%fault, "a payout cannot be posted, is the overdraft too small?");
    Fault::unavailable(fault)
}
