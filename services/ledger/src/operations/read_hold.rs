//! ReadHold.

use super::Operations;
use crate::grpc::convert;
use crate::store;
use beem_fault::Result;
use beem_proto::ledger::v1 as wire;

impl Operations {
    /// A hold of the account.
    ///
    /// # Errors
    /// `not-found` when there is none, or it is another account's.
    pub async fn read_hold(&self, asked: &wire::ReadHoldRequest) -> Result<wire::Hold> {
        let owner = convert::id("accountId", &asked.account_id)?;
        let hold = store::holds::hold(self.0.db.read(), owner, convert::hold_id(&asked.hold_id)?).await?;
        Ok(convert::hold(self.0.stored_currency(hold.currency)?, &hold))
    }
}
