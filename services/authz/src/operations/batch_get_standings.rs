//! BatchGetStandings: many principals of one account, in the order asked.

use super::Authz;
use crate::domain::Standing;
use crate::store;
use beem_fault::Result;
use beem_ids::{AccountId, PrincipalId};

/// Those that are not known are left out.
pub(crate) async fn batch_get_standings(
    authz: &Authz,
    account: AccountId,
    principals: &[PrincipalId],
) -> Result<Vec<Standing>> {
    let found = store::standings(authz.database.read(), account, principals).await?;
    Ok(principals.iter().filter_map(|p| found.get(p).cloned()).collect())
}
