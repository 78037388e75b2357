//! GetAccount: the caller's own account.

use super::Operations;
use crate::grpc::convert;
use crate::store;
use beem_caller::Actor;
use beem_fault::Result;
use beem_proto::identity::v1 as wire;

impl Operations {
    /// # Errors
    /// `unavailable` when the database is away.
    pub async fn get_account(&self, actor: &Actor) -> Result<wire::Account> {
        Ok(convert::account(&store::accounts::get(self.db.read(), actor.account).await?))
    }
}
