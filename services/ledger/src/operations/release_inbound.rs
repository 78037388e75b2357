//! ReleaseInbound: a deposit that was kept goes on to its wallet.

use super::Operations;
use crate::grpc::convert;
use crate::store::settlements;
use beem_fault::Result;
use beem_proto::ledger::v1 as wire;

impl Operations {
    /// Keeps it no longer and tries to credit it. One that has gone on is answered as it is; one that cannot be credited
    /// stays in suspense for its own reason.
    ///
    /// # Errors
    /// `not-found` when nothing was booked under the key.
    pub async fn release_inbound(&self, asked: &wire::ReleaseInboundRequest) -> Result<wire::Settlement> {
        let effect_key = convert::effect_key(&asked.effect_key)?;
        let id = self.settlement(effect_key).await?.id;
        self.0.db.write(|tx| Box::pin(settlements::release(tx, id))).await?;
        let settlement = self.go_on(self.settlement(effect_key).await?).await?;
        self.0.settlement_view(&settlement)
    }
}
