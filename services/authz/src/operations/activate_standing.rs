//! ActivateStanding: a user who was invited can sign in from now on. It grows nothing that a gateway decides by, so no version
//! counts it; a repeat changes nothing.

use super::Authz;
use crate::domain::Standing;
use crate::store;
use beem_database::Tx;
use beem_fault::Result;
use beem_ids::{AccountId, PrincipalId};

/// # Errors
/// `not-found`; `user-deleted` for one that was deleted before it had activated.
pub(crate) async fn activate_standing(
    authz: &Authz,
    account: AccountId,
    principal: PrincipalId,
) -> Result<Standing> {
    authz.database.write(|tx| Box::pin(run(tx, account, principal))).await
}

async fn run(tx: &Tx<'_>, account: AccountId, principal: PrincipalId) -> Result<Standing> {
    store::lock_account(tx, account).await?;
    let standing = store::lock_standing(tx, account, principal).await?;
    match standing.activated()? {
        Some(active) => {
            store::save(tx, &active).await?;
            Ok(active)
        }
        None => Ok(standing),
    }
}
