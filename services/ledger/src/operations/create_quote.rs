//! CreateQuote: prices a conversion between two wallets and keeps the offer. Nothing is reserved: whether the funds are
//! there is asked when it is carried out.

use super::{Means, Operations};
use crate::domain::{LedgerAccount, Offer, Quote, Wanted};
use crate::grpc::convert;
use crate::store;
use beem_caller::Actor;
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_events::audit;
use beem_fault::{Code, Fault, FieldFault, Result};
use beem_ids::QuoteId;
use beem_proto::ledger::v1 as wire;
use beem_writes::Trail;
use prost::Message as _;

const CREATE_QUOTE: &str = "beem.ledger.v1.Quotes/CreateQuote";

impl Operations {
    /// Refusals: `not-found` for another account's wallet; `same-wallet`; `validation-failed` naming `amountIn`, `amountOut`
    /// or `reference`. `rate-unavailable`, which is none, without a current rate.
    pub async fn create_quote(&self, actor: &Actor, asked: &wire::CreateQuoteRequest) -> Outcome {
        let trail = Trail { actor, action: "CreateQuote", target_type: "quote" };
        let request = asked.encode_to_vec();
        self.write(trail, CREATE_QUOTE, &request, "", |tx| Box::pin(self.offer(tx, trail, asked))).await
    }

    async fn offer(
        &self,
        tx: &Tx<'_>,
        trail: Trail<'_>,
        asked: &wire::CreateQuoteRequest,
    ) -> Result<Vec<u8>> {
        let (means, actor) = (&self.0, trail.actor);
        let reference = convert::reference("reference", &asked.reference)?;
        let from = convert::wallet_id(&asked.from_wallet_id)?;
        let to = convert::wallet_id(&asked.to_wallet_id)?;
        let (from, _) = store::accounts::wallet(tx, actor.account, from).await?;
        let (to, _) = store::accounts::wallet(tx, actor.account, to).await?;
        if from.id == to.id {
            return Err(Fault::field_as(Code::SameWallet, "toWalletId", "another wallet than fromWalletId"));
        }
        let (currency_in, currency_out) =
            (means.stored_currency(from.currency)?, means.stored_currency(to.currency)?);
        let wanted = wanted(means, (&from, &to), asked)?;
        let terms = means.rates.terms(currency_in, currency_out, tx.now())?;
        let conversion = wanted.price(&terms).map_err(|e| Fault::field(wanted.field(), e.to_string()))?;
        let time_to_live_ms = i64::from(means.settings.quote_ttl_s).saturating_mul(1000);
        let quote = Quote {
            id: QuoteId::draw(tx.now(), tx.entropy()),
            offer: Offer {
                owner: actor.account,
                from: from.id,
                to: to.id,
                currency_in: from.currency,
                currency_out: to.currency,
                conversion,
                mid: terms.mid,
                reference,
                created_by: actor.principal,
            },
            created: tx.now(),
            expires: tx.now().plus_ms(time_to_live_ms),
            executed: None,
        };
        store::quotes::insert(tx, &quote).await?;
        let answer = means.quote(&quote, tx.now())?;
        let after = means.quote_json.of(&answer).map_err(Fault::internal)?;
        audit::record(tx, trail.row(&answer.id, "done", None, Some(after))).await?;
        Ok(answer.encode_to_vec())
    }
}

/// The one amount that was given, in the currency of its wallet.
fn wanted(
    means: &Means,
    (from, to): (&LedgerAccount, &LedgerAccount),
    asked: &wire::CreateQuoteRequest,
) -> Result<Wanted> {
    match (asked.amount_in.as_str(), asked.amount_out.as_str()) {
        (given, "") if !given.is_empty() => {
            let currency = means.stored_currency(from.currency)?;
            convert::amount("amountIn", currency, given).map(Wanted::In)
        }
        ("", received) if !received.is_empty() => {
            let currency = means.stored_currency(to.currency)?;
            convert::amount("amountOut", currency, received).map(Wanted::Out)
        }
        _ => {
            let wrong = |field: &str| FieldFault {
                field: field.to_owned(),
                code: Code::ValidationFailed,
                detail: "either amountIn or amountOut".to_owned(),
            };
            Err(Fault::fields(vec![wrong("amountIn"), wrong("amountOut")]))
        }
    }
}
