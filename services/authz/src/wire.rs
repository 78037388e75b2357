//! A standing as a message: what answers carry, what claims remember, what is signed for the cache.

use crate::domain::Standing;
use beem_ids::PrincipalId;
use beem_proto::authz::v1 as wire;

pub(crate) fn standing(standing: &Standing) -> wire::Standing {
    wire::Standing {
        principal_id: standing.principal.to_string(),
        account_id: standing.account.to_string(),
        kind: standing.kind.to_wire().into(),
        enabled: standing.enabled,
        deleted: standing.deleted,
        roles: standing.roles.bits(),
        version: standing.version,
        credential_version: standing.credential_version,
        created_by: or_installation(standing.created_by),
        rekeyed_by: or_installation(standing.rekeyed_by),
        granted_by: or_installation(standing.granted_by),
        active: standing.active,
    }
}

fn or_installation(principal: Option<PrincipalId>) -> String {
    principal.map_or_else(String::new, |p| p.to_string())
}
