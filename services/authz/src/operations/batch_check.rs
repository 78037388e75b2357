//! BatchCheck: Check for many principals of one account, from one read of the table.

use super::Authz;
use super::check::{Judged, judge};
use crate::store;
use beem_fault::Result;
use beem_ids::{AccountId, PrincipalId};
use beem_roles::RoleSet;

/// In the order asked; None for a principal the account does not have.
pub(crate) async fn batch_check(
    authz: &Authz,
    account: AccountId,
    principals: &[PrincipalId],
    any_of: RoleSet,
) -> Result<Vec<Option<Judged>>> {
    let issued_at = authz.publisher.now();
    let found = store::standings(authz.database.read(), account, principals).await?;
    let judged = principals
        .iter()
        .map(|p| found.get(p).map(|standing| judge(authz, standing.clone(), any_of, issued_at)).transpose());
    judged.collect()
}
