//! ListTransactions: what moved in one wallet, newest first unless asked otherwise. Entries that only place or end a hold
//! move nothing and are not shown.

use super::{Means, Operations};
use crate::domain::Kind;
use crate::grpc::convert;
use crate::store;
use crate::store::entries::{self, Filter, Movement};
use beem_caller::Actor;
use beem_clock::Moment;
use beem_database::page::{Page, PageQuery};
use beem_fault::{Fault, Result};
use beem_proto::ledger::v1 as wire;
use beem_proto::{from_timestamp, to_timestamp};
use prost_types::Timestamp;

impl Operations {
    /// # Errors
    /// `not-found`, another account's wallet too; `validation-failed` for the filters and the bounds of a page.
    pub async fn list_transactions(
        &self,
        actor: &Actor,
        asked: &wire::ListTransactionsRequest,
    ) -> Result<wire::ListTransactionsResponse> {
        let db = &self.0.db;
        let filter = filter(&asked.kind, asked.from.as_ref(), asked.to.as_ref())?;
        let query = PageQuery {
            max: asked.max,
            page_token: &asked.page_token,
            offset: asked.offset,
            order: &asked.order,
        };
        let id = convert::wallet_id(&asked.id)?;
        let page = Page::parse(query, "ListTransactions", &listed(actor, id.0.as_bytes(), &filter))?;
        let (wallet, _) = store::accounts::wallet(db.read(), actor.account, id).await?;
        let (movements, next_page_token) = entries::page(db.read(), wallet.id, &filter, &page).await?;
        let content = movements.iter().map(|movement| self.0.transaction(movement)).collect::<Result<_>>()?;
        Ok(wire::ListTransactionsResponse { content, next_page_token })
    }
}

impl Means {
    /// A movement as it is answered.
    ///
    /// # Errors
    /// `internal` when one of its currencies is no longer in the registry.
    pub fn transaction(&self, movement: &Movement) -> Result<wire::Transaction> {
        let currency = self.stored_currency(movement.currency)?;
        let counterpart = movement.counterpart.as_ref().map(|counterpart| {
            let currency = self.stored_currency(counterpart.currency)?;
            Ok::<_, Fault>(wire::Counterpart {
                currency: counterpart.currency.to_string(),
                amount: currency.format(counterpart.amount),
                rate: counterpart.rate.to_string(),
            })
        });
        Ok(wire::Transaction {
            id: movement.id().to_string(),
            wallet_id: movement.account.to_string(),
            kind: movement.kind.as_str().to_owned(),
            amount: currency.format(movement.amount),
            balance_after: currency.format(movement.total),
            currency: movement.currency.to_string(),
            counterpart: counterpart.transpose()?,
            reference: movement.reference.clone(),
            cause: Some(wire::Cause { r#type: movement.cause.kind.clone(), id: movement.cause.id.clone() }),
            time: Some(to_timestamp(movement.place.time.unix_ms())),
        })
    }
}

/// The filters of a list and of an export.
///
/// # Errors
/// `validation-failed` naming `kind`.
pub fn filter(kind: &str, from: Option<&Timestamp>, to: Option<&Timestamp>) -> Result<Filter> {
    let kind = match kind {
        "" => None,
        text => Some(convert::kind("kind", text, &convert::SHOWN_KINDS)?),
    };
    // The first whole millisecond that is not before it, as times are kept: with half a millisecond cut off, `from` would
    // bring a movement that was before it, and `to` leave one out.
    let moment = |at: &Timestamp| {
        let part = i64::from(at.nanos.checked_rem(1_000_000).unwrap_or(0) > 0);
        Moment::from_unix_ms(from_timestamp(at).saturating_add(part))
    };
    Ok(Filter { kind, from: from.map(moment), to: to.map(moment) })
}

/// Everything that decides which rows a list has.
fn listed(actor: &Actor, wallet: &[u8], filter: &Filter) -> Vec<u8> {
    let mut bytes = [actor.account.0.as_bytes().as_slice(), wallet].concat();
    for time in [filter.from, filter.to] {
        bytes.push(u8::from(time.is_some()));
        bytes.extend(time.map_or(0, Moment::unix_ms).to_be_bytes());
    }
    bytes.extend(filter.kind.map_or("", Kind::as_str).as_bytes());
    bytes
}
