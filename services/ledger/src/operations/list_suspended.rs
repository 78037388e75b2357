//! ListSuspended: what operators look at when a deposit does not arrive.

use super::{Means, Operations};
use crate::domain::{Settlement, SettlementState};
use crate::store::settlements;
use beem_database::page::{Page, PageQuery};
use beem_fault::Result;
use beem_proto::ledger::v1 as wire;

/// Of those that ask for no number.
const PAGE: u32 = 500;

impl Operations {
    /// A page of the deposits in suspense, whatever their reason, the oldest first.
    ///
    /// # Errors
    /// `validation-failed` naming `max` or `pageToken`.
    pub async fn list_suspended(
        &self,
        asked: &wire::ListSuspendedRequest,
    ) -> Result<wire::ListSuspendedResponse> {
        let max = if asked.max == 0 { PAGE } else { asked.max };
        let query = PageQuery { max: Some(max), page_token: &asked.page_token, offset: None, order: "asc" };
        let page = Page::parse(query, "ListSuspended", b"")?;
        let (rows, next_page_token) = settlements::suspended(self.0.db.read(), &page).await?;
        let content = rows.iter().map(|settlement| self.0.suspended_view(settlement));
        Ok(wire::ListSuspendedResponse { content: content.collect::<Result<_>>()?, next_page_token })
    }
}

impl Means {
    fn suspended_view(&self, settlement: &Settlement) -> Result<wire::Suspended> {
        let currency = self.stored_currency(settlement.currency)?;
        let reason = match settlement.state {
            SettlementState::Suspended(reason) => reason.as_str(),
            SettlementState::Settled(_) => "",
        };
        Ok(wire::Suspended {
            id: settlement.id.to_string(),
            effect_key: settlement.effect_key.clone(),
            account_id: settlement.owner.to_string(),
            wallet_id: settlement.wallet.to_string(),
            currency: settlement.currency.to_string(),
            amount: currency.format(settlement.amount),
            reason: reason.to_owned(),
            since_ms: settlement.created.unix_ms(),
        })
    }
}
