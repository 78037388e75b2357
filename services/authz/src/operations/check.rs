//! Check: whether a principal may act now, from the table, and why not.

use super::Authz;
use crate::domain::{Refusal, Standing};
use crate::store;
use beem_cache::SignedEntry;
use beem_clock::Moment;
use beem_fault::Result;
use beem_ids::{AccountId, PrincipalId};
use beem_roles::RoleSet;

/// What was found about a principal of the account that is known.
pub(crate) struct Judged {
    pub(crate) standing: Standing,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) entry: SignedEntry,
}

/// None when the account has no such principal.
pub(crate) async fn check(
    authz: &Authz,
    account: AccountId,
    principal: PrincipalId,
    any_of: RoleSet,
) -> Result<Option<Judged>> {
    let issued_at = authz.publisher.now();
    let found = store::standing(authz.database.read(), account, principal).await?;
    found.map(|standing| judge(authz, standing, any_of, issued_at)).transpose()
}

pub(super) fn judge(authz: &Authz, standing: Standing, any_of: RoleSet, issued_at: Moment) -> Result<Judged> {
    let entry = authz.publisher.sign(&standing, issued_at)?;
    Ok(Judged { refusal: standing.check(any_of).err(), standing, entry })
}
