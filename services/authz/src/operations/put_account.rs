//! PutAccount: an account that authz did not know. Its id is its key; a repeat changes nothing, its policy neither.

use super::Authz;
use crate::domain::GrantPolicy;
use crate::store;
use beem_fault::Result;
use beem_ids::AccountId;

pub(crate) async fn put_account(authz: &Authz, account: AccountId, policy: GrantPolicy) -> Result<()> {
    authz.database.write(|tx| Box::pin(store::put_account(tx, account, policy))).await
}
