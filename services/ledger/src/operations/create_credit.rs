//! CreateCredit: free money of a sandbox, from its system account to a wallet. Elsewhere there is no such thing.

use super::{Operations, refused};
use crate::domain::{Cause, Entry, Kind, NewTransfer, Order, Purpose, Step};
use crate::grpc::convert;
use crate::store::entries::{Movement, Place};
use crate::store::{accounts, engine};
use beem_caller::Actor;
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_events::audit;
use beem_fault::{Fault, Result};
use beem_money::{Amount, Currency};
use beem_proto::ledger::v1 as wire;
use beem_settings::Environment;
use beem_writes::Trail;
use prost::Message as _;
use serde_json::json;

/// How many powers of ten of whole units one credit has at most, whatever the currency: free money is no one's, and what one account takes in one go must leave
/// enough of what an amount can hold for all the others.
const MOST_TENS: u32 = 12;

const CREATE_CREDIT: &str = "beem.ledger.v1.Credits/CreateCredit";

impl Operations {
    /// Refusals: `not-found` for another account's wallet, and for everything in a live installation; `validation-failed`
    /// naming `amount` or `reference`.
    pub async fn create_credit(&self, actor: &Actor, asked: &wire::CreateCreditRequest) -> Outcome {
        if self.0.environment != Environment::Sandbox {
            return refused(Fault::not_found("endpoint"));
        }
        let trail = Trail { actor, action: "CreateCredit", target_type: "wallet" };
        // What is no id names no wallet, and does not stand in the trail.
        let target = convert::wallet_id(&asked.wallet_id).map_or_else(|_| String::new(), |id| id.to_string());
        let request = asked.encode_to_vec();
        self.write(trail, CREATE_CREDIT, &request, &target, |tx| Box::pin(self.credit(tx, trail, asked)))
            .await
    }

    async fn credit(
        &self,
        tx: &Tx<'_>,
        trail: Trail<'_>,
        asked: &wire::CreateCreditRequest,
    ) -> Result<Vec<u8>> {
        let (means, owner) = (&self.0, trail.actor.account);
        let id = convert::wallet_id(&asked.wallet_id)?;
        let (wallet, _) = accounts::wallet(tx, owner, id).await?;
        let currency = means.stored_currency(wallet.currency)?;
        let amount = amount(currency, &asked.amount)?;
        let reference = convert::reference("reference", &asked.reference)?;
        let transfer = NewTransfer {
            id: NewTransfer::draw_id(tx.now(), tx.entropy()),
            debit: Purpose::Sandbox.id(currency.code, ""),
            credit: wallet.id,
            currency: currency.code,
            amount,
            kind: Kind::Adjustment,
            reference,
            cause: Cause { kind: "credit".into(), id: beem_ids::draw(tx.now(), tx.entropy()).to_string() },
            counterpart: None,
        };
        let order = Order { owner, steps: vec![Step::Transfer(transfer.clone())] };
        let effect = format!("CreateCredit:{}", transfer.cause.id);
        let entered = engine::carry_out(tx, &effect, &order).await?;
        let answer = means.transaction(&credited(&entered.entries, transfer)?)?;
        let after = json!({ "amount": answer.amount, "currency": answer.currency, "transaction": answer.id });
        audit::record(tx, trail.row(&answer.wallet_id, "done", None, Some(after))).await?;
        Ok(answer.encode_to_vec())
    }
}

/// At most 10^12 units.
fn amount(currency: &Currency, text: &str) -> Result<Amount> {
    let amount = convert::amount("amount", currency, text)?;
    let most =
        10_i128.checked_pow(MOST_TENS.saturating_add(u32::from(currency.decimals))).unwrap_or(i128::MAX);
    if amount > Amount::from_minor(most) {
        return Err(Fault::field("amount", "at most 1000000000000 in one credit"));
    }
    Ok(amount)
}

/// What came to the wallet, as lists show it.
fn credited(entries: &[Entry], transfer: NewTransfer) -> Result<Movement> {
    let entry = entries.iter().find(|entry| entry.account == transfer.credit);
    let entry = entry.ok_or_else(|| Fault::internal("a credit made no entry in its wallet"))?;
    Ok(Movement {
        transfer: transfer.id,
        account: entry.account,
        place: Place { time: entry.time, sequence: entry.sequence },
        kind: transfer.kind,
        amount: entry.amount,
        total: entry.total,
        currency: transfer.currency,
        reference: transfer.reference,
        cause: transfer.cause,
        counterpart: None,
    })
}
