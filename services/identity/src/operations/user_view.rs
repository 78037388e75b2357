//! A user as its readers see it: identity's row and authz's standing, put together.

use crate::domain::User;
use crate::grpc::convert;
use crate::peers::{Authz, Standing};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, PrincipalId};
use beem_proto::identity::v1 as wire;

/// One user's answer, its standing known.
#[must_use]
pub fn answer(user: &User, standing: &Standing) -> wire::User {
    convert::user(user, standing)
}

/// The answers of several users of one account, with one call to authz.
///
/// # Errors
/// `unavailable` or `deadline` when authz is away.
pub async fn answers(authz: &Authz, account: AccountId, users: &[User]) -> Result<Vec<wire::User>> {
    let ids: Vec<PrincipalId> = users.iter().map(|user| user.id).collect();
    let standings = authz.standings(account, &ids).await?;
    let view = |user: &User| {
        let standing = standings.get(&user.id);
        Ok(answer(user, standing.ok_or_else(|| Fault::internal("a user without a standing"))?))
    };
    users.iter().map(view).collect()
}
