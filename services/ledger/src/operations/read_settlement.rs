//! ReadSettlement.

use super::{Means, Operations};
use crate::domain::{Settlement, SettlementState};
use crate::grpc::convert;
use beem_fault::Result;
use beem_money::Amount;
use beem_proto::ledger::v1 as wire;

impl Operations {
    /// A deposit's settlement as it is now.
    ///
    /// # Errors
    /// `not-found` when nothing was booked under the key.
    pub async fn read_settlement(&self, asked: &wire::ReadSettlementRequest) -> Result<wire::Settlement> {
        let settlement = self.settlement(convert::effect_key(&asked.effect_key)?).await?;
        self.0.settlement_view(&settlement)
    }
}

impl Means {
    /// As it is answered.
    ///
    /// # Errors
    /// `internal` when one of its currencies is no longer in the registry.
    pub(super) fn settlement_view(&self, settlement: &Settlement) -> Result<wire::Settlement> {
        let paid = self.stored_currency(settlement.currency)?;
        let wallet = self.stored_currency(settlement.wallet_currency)?;
        let (state, reason, credited) = match settlement.state {
            SettlementState::Suspended(reason) => ("SUSPENDED", reason.as_str(), None),
            SettlementState::Settled(credited) => ("SETTLED", "", Some(credited)),
        };
        let amount = credited.map_or(Amount::ZERO, |credited| credited.amount);
        Ok(wire::Settlement {
            id: settlement.id.to_string(),
            effect_key: settlement.effect_key.clone(),
            state: state.to_owned(),
            reason: reason.to_owned(),
            wallet_id: settlement.wallet.to_string(),
            network: settlement.network.clone(),
            paid: Some(convert::money(paid, settlement.amount)),
            credited: Some(convert::money(wallet, amount)),
            rate: credited.map(|credited| credited.rate.to_string()).unwrap_or_default(),
            date_created: Some(convert::timestamp(settlement.created)),
            date_settled: credited.map(|credited| convert::timestamp(credited.at)),
        })
    }
}
