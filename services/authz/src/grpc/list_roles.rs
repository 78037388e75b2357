//! ListRoles: the catalogue, which is the same for everyone who is signed in.

use crate::domain::{BUNDLES, Bundle, Entry, entry};
use beem_proto::authz::v1 as wire;
use beem_proto::authz::v1::roles_server::Roles;
use beem_roles::{Role, RoleSet};
use tonic::{Request, Response, Status};

pub(super) struct Catalogue;

#[tonic::async_trait]
impl Roles for Catalogue {
    async fn list_roles(
        &self,
        _: Request<wire::ListRolesRequest>,
    ) -> Result<Response<wire::ListRolesResponse>, Status> {
        let roles = Role::ALL.into_iter().map(|role| to_wire(role, &entry(role))).collect();
        let bundles = BUNDLES.iter().map(bundle).collect();
        Ok(Response::new(wire::ListRolesResponse { roles, bundles }))
    }
}

fn to_wire(role: Role, entry: &Entry) -> wire::Role {
    wire::Role {
        id: role.full(),
        level: entry.level.as_str().into(),
        area: entry.area.into(),
        description: entry.description.into(),
        use_case: entry.use_case.into(),
        api_effect: entry.api_effect.into(),
        ui_effect: entry.ui_effect.into(),
    }
}

fn bundle(bundle: &Bundle) -> wire::Bundle {
    wire::Bundle {
        scenario: bundle.scenario.into(),
        roles: bundle.roles.iter().copied().collect::<RoleSet>().full_names(),
        note: bundle.note.into(),
    }
}
