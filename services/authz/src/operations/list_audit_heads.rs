//! ListAuditHeads: the newest signed head of every chain.

use super::Authz;
use crate::store::{self, Head};
use beem_fault::Result;
use uuid::Uuid;

/// Those of the accounts after this one, at most `max`.
pub(crate) async fn list_audit_heads(authz: &Authz, after: Option<Uuid>, max: u32) -> Result<Vec<Head>> {
    store::newest_heads(authz.database.read(), after, max).await
}
