//! ExecuteQuote: carries a quote out, once. The quote's lock is what twenty at the same time wait for; its transfers, the
//! note that it was carried out, the event, the audit row and the answer commit together.

use super::Operations;
use crate::domain::{Cause, Exchange, Executed, Kind, Order, Quote, QuoteStatus, Step};
use crate::store::{self, engine};
use beem_caller::Actor;
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_events::{NewEvent, append, audit};
use beem_fault::{Code, Fault, Result};
use beem_ids::QuoteId;
use beem_proto::ledger::v1 as wire;
use beem_writes::Trail;
use prost::Message as _;

const EXECUTE_QUOTE: &str = "beem.ledger.v1.Quotes/ExecuteQuote";

impl Operations {
    /// Refusals: `not-found` for another account's quote; `quote-used`; `quote-expired`; `insufficient-funds`, which leaves
    /// the quote as it was.
    pub async fn execute_quote(&self, actor: &Actor, asked: &wire::ExecuteQuoteRequest) -> Outcome {
        let trail = Trail { actor, action: "ExecuteQuote", target_type: "quote" };
        // What is no id names no quote, and does not stand in the trail.
        let target = id(&asked.id).map_or_else(|_| String::new(), |id| id.to_string());
        let request = asked.encode_to_vec();
        self.write(trail, EXECUTE_QUOTE, &request, &target, |tx| Box::pin(self.execute(tx, trail, asked)))
            .await
    }

    async fn execute(
        &self,
        tx: &Tx<'_>,
        trail: Trail<'_>,
        asked: &wire::ExecuteQuoteRequest,
    ) -> Result<Vec<u8>> {
        let (means, owner) = (&self.0, trail.actor.account);
        let quote = store::quotes::lock(tx, owner, id(&asked.id)?).await?;
        // Read after the lock, for which it may have waited.
        match quote.status(means.clock.now().max(tx.now())) {
            QuoteStatus::Pending => {}
            QuoteStatus::Executed => return Err(Fault::new(Code::QuoteUsed, "the quote was carried out")),
            QuoteStatus::Expired => return Err(Fault::new(Code::QuoteExpired, "the quote has expired")),
        }
        let before = means.quote_json.of(&means.quote(&quote, tx.now())?).map_err(Fault::internal)?;
        let quote = exchange(tx, quote).await?;
        let answer = means.quote(&quote, tx.now())?;
        let data = means.quote_json.of(&answer).map_err(Fault::internal)?;
        let mut row = trail.row(&answer.id, "done", None, Some(data.clone()));
        row.before = Some(before);
        audit::record(tx, row).await?;
        let event = NewEvent {
            account_id: owner,
            event: "layer1:ledger:conversion:executed".to_owned(),
            source: "ledger".to_owned(),
            entity_id: answer.id.clone(),
            data,
        };
        append(tx, event).await?;
        Ok(answer.encode_to_vec())
    }
}

/// Moves the money, and notes that.
async fn exchange(tx: &Tx<'_>, quote: Quote) -> Result<Quote> {
    let offer = &quote.offer;
    let cause = Cause { kind: "quote".to_owned(), id: quote.id.to_string() };
    let exchange = Exchange {
        source: offer.from,
        target: offer.to,
        from: offer.currency_in,
        to: offer.currency_out,
        conversion: offer.conversion,
        out_kind: Kind::ConversionOut,
        in_kind: Kind::ConversionIn,
        reference: &offer.reference,
        cause: &cause,
    };
    let exchanged = exchange.transfers(quote.transfer_ids(), tx.now(), tx.entropy());
    let steps = exchanged.transfers.into_iter().map(Step::Transfer).collect();
    let effect = format!("ExecuteQuote:{}", quote.id);
    let entered = engine::carry_out(tx, &effect, &Order { owner: offer.owner, steps }).await?;
    let executed = Executed { time: entered.time, debit: exchanged.debit, credit: exchanged.credit };
    store::quotes::execute(tx, quote.id, executed).await?;
    Ok(Quote { executed: Some(executed), ..quote })
}

/// # Errors
/// `not-found` for what is no id: no quote has it.
pub fn id(text: &str) -> Result<QuoteId> {
    text.parse().map_err(|_| Fault::not_found("quote"))
}
