//! ListHolders: who in an account may act with a role.

use super::Authz;
use crate::domain::Standing;
use crate::store;
use beem_database::page::Page;
use beem_fault::Result;
use beem_ids::AccountId;
use beem_roles::Role;

/// A page of them, and the token of the next.
pub(crate) async fn list_holders(
    authz: &Authz,
    account: AccountId,
    role: Role,
    page: &Page,
) -> Result<(Vec<Standing>, String)> {
    store::holders(authz.database.read(), account, role, page).await
}
