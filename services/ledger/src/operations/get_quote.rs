//! GetQuote: one quote of the caller's account. What every answer about a quote says is here.

use super::{Means, Operations, execute_quote};
use crate::domain::Quote;
use crate::grpc::convert;
use crate::store;
use beem_caller::Actor;
use beem_clock::Moment;
use beem_fault::Result;
use beem_proto::ledger::v1 as wire;

impl Operations {
    /// # Errors
    /// `not-found`, another account's too, and for one that was never carried out and is forgotten.
    pub async fn get_quote(&self, actor: &Actor, asked: &wire::GetQuoteRequest) -> Result<wire::Quote> {
        let id = execute_quote::id(&asked.id)?;
        let quote = store::quotes::get(self.0.db.read(), actor.account, id).await?;
        self.0.quote(&quote, self.0.clock.now())
    }
}

impl Means {
    /// A quote as it is answered at that time.
    ///
    /// # Errors
    /// `internal` when the registry no longer has one of its currencies.
    pub fn quote(&self, quote: &Quote, now: Moment) -> Result<wire::Quote> {
        let (offer, priced) = (&quote.offer, &quote.offer.conversion);
        let given = self.stored_currency(offer.currency_in)?;
        let received = self.stored_currency(offer.currency_out)?;
        Ok(wire::Quote {
            id: quote.id.to_string(),
            status: quote.status(now).as_str().to_owned(),
            from_wallet_id: offer.from.to_string(),
            to_wallet_id: offer.to.to_string(),
            amount_in: Some(convert::money(given, priced.amount_in)),
            amount_out: Some(convert::money(received, priced.amount_out)),
            rate: priced.rate.to_string(),
            fee: Some(convert::money(given, priced.fee)),
            reference: offer.reference.clone(),
            expires_at: Some(convert::timestamp(quote.expires)),
            spread: Some(convert::money(received, priced.spread)),
            date_created: Some(convert::timestamp(quote.created)),
            date_executed: quote.executed.map(|executed| convert::timestamp(executed.time)),
        })
    }
}
