//! Attempts to hand out or take over what one does not hold, for the audit trail. The service that asked records what it
//! answered; that the rule was broken is recorded where it is judged, so that no caller of authz can leave it out.

use crate::operations::Write;
use beem_database::Database;
use beem_database::claims::Outcome;
use beem_events::audit::{self, NewAuditRow};
use beem_fault::Code;
use beem_ids::{AccountId, PrincipalId};
use serde_json::json;

/// Records a refusal by the role-held rule, once. The claim has ended by now: a failure here is logged and costs the row,
/// not the answer.
pub(crate) async fn record(
    database: &Database,
    write: &Write,
    account: AccountId,
    actor: Option<PrincipalId>,
    target: PrincipalId,
    outcome: &Outcome,
) {
    let Err(fault) = &outcome.result else { return };
    if fault.code != Code::RoleNotHeld || outcome.replayed {
        return;
    }
    let on_behalf = write.record.as_ref().filter(|a| Some(a.principal) == actor);
    let row = &NewAuditRow {
        account_id: Some(account),
        actor: json!({
            "principalId": actor.map(|a| a.to_string()),
            "kind": on_behalf.map(|a| a.kind.as_str()),
            "name": on_behalf.map(|a| a.name.as_str()),
        }),
        action: write.rpc.into(),
        target_type: "principal".into(),
        target_id: target.to_string(),
        outcome: fault.code.as_str().into(),
        before: None,
        after: Some(json!({ "refusal": fault.detail })),
        address: on_behalf.map_or_else(String::new, |a| a.address.to_string()),
        key_fingerprint: on_behalf.map_or_else(String::new, |a| a.key_fingerprint.clone()),
        request_id: on_behalf.map_or_else(String::new, |a| a.request.to_string()),
    };
    let recorded =
        database.write(|tx| Box::pin(async move { audit::record(tx, row.clone()).await.map(drop) })).await;
    if let Err(fault) = recorded {
        tracing::warn!(?fault, action = write.rpc, "a refusal could not be recorded");
    }
}
