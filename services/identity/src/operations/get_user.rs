//! GetUser: one user of the caller's account, a deleted one too.

use super::{Operations, user_view};
use crate::grpc::convert;
use crate::store;
use beem_caller::Actor;
use beem_fault::Result;
use beem_proto::identity::v1 as wire;

impl Operations {
    /// # Errors
    /// `not-found`, another account's too; `unavailable` when authz is away.
    pub async fn get_user(&self, actor: &Actor, asked: &wire::GetUserRequest) -> Result<wire::User> {
        let id = convert::user_id(&asked.id)?;
        let user = store::users::get(self.db.read(), actor.account, id).await?;
        let standing = self.means.authz.standing(actor.account, id).await?;
        Ok(user_view::answer(&user, &standing))
    }
}
