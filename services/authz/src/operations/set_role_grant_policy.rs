//! SetRoleGrantPolicy: who may hand out roles in an account. Takes all 15 roles, judged here once more.

use super::{Authz, Write, granter};
use crate::domain::{self, GrantPolicy};
use crate::store;
use beem_database::claims::Outcome;
use beem_ids::{AccountId, PrincipalId};

pub(crate) async fn set_role_grant_policy(
    authz: &Authz,
    write: &Write,
    account: AccountId,
    policy: GrantPolicy,
    actor: Option<PrincipalId>,
) -> Outcome {
    let work = authz.once(write, |tx| {
        Box::pin(async move {
            store::lock_account(tx, account).await?;
            domain::may_set_policy(&granter(tx, account, actor).await?)?;
            store::set_policy(tx, account, policy).await?;
            Ok(Vec::new())
        })
    });
    work.await
}
