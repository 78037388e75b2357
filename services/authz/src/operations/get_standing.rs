//! GetStanding: one principal's standing from the table, signed; what a gateway asks when its cache has nothing.

use super::Authz;
use crate::store;
use beem_cache::SignedEntry;
use beem_fault::{Fault, Result};
use beem_ids::PrincipalId;

/// # Errors
/// `not-found`.
pub(crate) async fn get_standing(authz: &Authz, principal: PrincipalId) -> Result<SignedEntry> {
    let issued_at = authz.publisher.now();
    let found = store::standing_of_any_account(authz.database.read(), principal).await?;
    let (standing, _) = found.ok_or_else(|| Fault::not_found("principal"))?;
    authz.publisher.sign(&standing, issued_at)
}
