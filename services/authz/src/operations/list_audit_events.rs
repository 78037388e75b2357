//! ListAuditEvents: what was done in the caller's account and what was refused.

use super::Authz;
use crate::domain::AuditEntry;
use crate::store::{self, Asked};
use beem_database::page::Page;
use beem_fault::Result;
use beem_ids::AccountId;

/// A page of them, and the token of the next.
pub(crate) async fn list_audit_events(
    authz: &Authz,
    account: AccountId,
    asked: &Asked,
    page: &Page,
) -> Result<(Vec<AuditEntry>, String)> {
    store::events(authz.database.read(), account, asked, page).await
}
