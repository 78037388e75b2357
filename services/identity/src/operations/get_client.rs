//! GetClient: one client of the caller's account, a deleted one too.

use super::{Operations, view};
use crate::grpc::convert;
use crate::store;
use beem_caller::Actor;
use beem_fault::Result;
use beem_proto::identity::v1 as wire;

impl Operations {
    /// # Errors
    /// `not-found`, another account's too; `unavailable` when authz is away.
    pub async fn get_client(&self, actor: &Actor, asked: &wire::GetClientRequest) -> Result<wire::Client> {
        let id = convert::client_id(&asked.id)?;
        let client = store::clients::get(self.db.read(), actor.account, id).await?;
        let standing = self.means.authz.standing(actor.account, id).await?;
        view::answer(self.db.read(), &client, &standing, self.db.clock().now()).await
    }
}
