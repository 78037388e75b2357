//! The catalogue over the wire, for whoever is signed in.

use crate::rig::{Place, Rig, Shape, cache, told};
use beem_authz::AuthzSettings;
use beem_proto::authz::v1::ListRolesRequest;
use beem_proto::authz::v1::roles_client::RolesClient;
use beem_roles::Role;

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_has_fifteen_roles_in_order_and_seven_bundles() {
    let rig = Rig::build(Place::new(Shape::Embedded).await, cache(Shape::Embedded)).await;
    let request = rig.sealed(&rig.actor(rig.new_id()), "/beem.authz.v1.Roles/ListRoles", ListRolesRequest {});
    let answer = told(RolesClient::new(rig.link.clone()).list_roles(request).await).unwrap();
    let ids: Vec<_> = answer.roles.iter().map(|r| r.id.clone()).collect();
    assert_eq!(ids, Role::ALL.map(Role::full));
    assert_eq!(answer.bundles.len(), 7);
    for bundle in &answer.bundles {
        assert!(bundle.roles.iter().all(|r| ids.contains(r)), "{}", bundle.scenario);
    }
}

/// Without an actor that the gateway sealed, the guard lets nobody through.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_it_without_a_caller() {
    let rig = Rig::build(Place::new(Shape::Embedded).await, cache(Shape::Embedded)).await;
    let fault = told(RolesClient::new(rig.link.clone()).list_roles(ListRolesRequest {}).await).unwrap_err();
    assert_eq!(fault.code, beem_fault::Code::CallerUnproven);
}

#[test]
fn settings_are_bounded() {
    assert!(AuthzSettings::default().validate().is_ok());
    for entry_life_s in [0, 11] {
        let fault = AuthzSettings { entry_life_s, ..AuthzSettings::default() }.validate().unwrap_err();
        assert_eq!(fault.fields[0].field, "entry_life_s");
    }
    let zero = AuthzSettings { audit_head_interval_s: 0, ..AuthzSettings::default() };
    assert_eq!(zero.validate().unwrap_err().fields[0].field, "audit_head_interval_s");
    let zero = AuthzSettings { refusals_kept_days: 0, ..AuthzSettings::default() };
    assert_eq!(zero.validate().unwrap_err().fields[0].field, "refusals_kept_days");
    for key in ["", "AAAA", "not base64"] {
        let wrong = AuthzSettings { audit_former_keys: vec![key.into()], ..AuthzSettings::default() };
        assert_eq!(wrong.validate().unwrap_err().fields[0].field, "audit_former_keys");
    }
}
