//! InviteOwner: an operator of the installation gets an activation link for an account's Owner, who is mailed it as well. Not
//! remembered: each call gives a new link, and the earlier one stops working.

use super::Operations;
use super::change::{self, Target, Trail};
use crate::domain::{Principal as _, judge_invitation};
use crate::mails;
use crate::store::links::{self, Purpose};
use crate::store::{accounts, users};
use beem_fault::{Fault, Result};
use beem_ids::AccountId;
use beem_proto::identity::v1 as wire;

impl Operations {
    /// # Errors
    /// `not-found`; `user-active` once the Owner has activated, `user-deleted` once it is deleted.
    pub async fn invite_owner(&self, asked: &wire::InviteOwnerRequest) -> Result<wire::InviteOwnerResponse> {
        let account: AccountId = asked.account_id.parse().map_err(|_| Fault::not_found("account"))?;
        let id = accounts::owner(self.db.read(), account).await?;
        let standing = &self.means.authz.standing(account, id).await?;
        self.db
            .write(|tx| {
                Box::pin(async move {
                    let token = links::issue(tx, id, Purpose::Activation, None).await?;
                    // After the link, which nobody can use or replace any more before this ends.
                    let user = users::get(tx, account, id).await?;
                    judge_invitation(&user, None)?;
                    mails::queue_invitation(tx, &self.means, &user, &token).await?;
                    let trail = Trail::of_installation(account, "InviteOwner", Target::User(id));
                    let after = user.record(standing.roles, standing.enabled);
                    change::record_done(tx, &trail, None, Some(after)).await?;
                    Ok(wire::InviteOwnerResponse {
                        email: user.email.as_str().to_owned(),
                        activation_token: token.expose().to_owned(),
                    })
                })
            })
            .await
    }
}
