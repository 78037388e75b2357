//! PostOutbound: a payout was paid, for the network fee it really took.

use super::{Operations, PATIENCE, refused};
use crate::domain::{HoldEnd, HoldState, Order, PostedOutbound, Step};
use crate::grpc::convert;
use crate::store::{bulk, engine, outbounds};
use beem_database::Tx;
use beem_database::claims::{self, Outcome, fingerprint};
use beem_fault::{Code, Fault, Result};
use beem_ids::{AccountId, HoldId};
use beem_money::Amount;
use beem_proto::ledger::v1 as wire;
use prost::Message as _;

impl Operations {
    /// Ends a payout's hold, once under its effect key: what it took leaves the wallet, the rest is given back. Refused
    /// with `hold-ended` when it has ended otherwise, and with `validation-failed` naming `fee` above the cap.
    pub async fn post_outbound(&self, asked: &wire::PostOutboundRequest) -> Outcome {
        let parsed = || -> Result<(&str, AccountId, HoldId)> {
            let owner = convert::id("accountId", &asked.account_id)?;
            Ok((convert::effect_key(&asked.effect_key)?, owner, convert::hold_id(&asked.hold_id)?))
        };
        let (key, owner, hold) = match parsed() {
            Ok(parsed) => parsed,
            Err(fault) => return refused(fault),
        };
        let key = format!("PostOutbound:{key}");
        let fingerprint = fingerprint("PostOutbound", &asked.encode_to_vec());
        let deadline = beem_runtime::deadline(PATIENCE);
        let fee = asked.fee.as_str();
        claims::once_for_ever(&self.0.db, &key, fingerprint, deadline, |tx| {
            Box::pin(async move { Ok(self.pay(tx, owner, hold, fee).await?.encode_to_vec()) })
        })
        .await
    }

    async fn pay(&self, tx: &Tx<'_>, owner: AccountId, hold: HoldId, fee: &str) -> Result<wire::Outbound> {
        let means = &self.0;
        let mut outbound = outbounds::lock(tx, owner, hold).await?;
        let fee_currency = means.stored_currency(outbound.fee_currency)?;
        let fee = match fee {
            "" => Amount::ZERO,
            text => fee_currency.parse(text).map_err(|wrong| Fault::field("fee", wrong.to_string()))?,
        };
        let placed = bulk::of(tx).lock_holds(tx, &[hold]).await?.pop();
        let placed = placed.ok_or_else(|| Fault::internal(format!("outbound {hold} without its hold")))?;
        let currencies = (means.stored_currency(outbound.wallet_currency)?, fee_currency);
        let paying = outbound.paying(fee, currencies, &placed.new, tx.now(), tx.entropy())?;
        let end = Step::EndHold { hold, end: HoldEnd::Posted(paying.debited) };
        let transfers = paying.transfers.into_iter().map(Step::Transfer);
        let order = Order { owner, steps: std::iter::once(end).chain(transfers).collect() };
        let book = engine::carry_out(tx, &order).await.map_err(uncovered)?;
        let posted = PostedOutbound { fee, debited: paying.debited, at: book.time() };
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
