//! The installation's environment, fixed at its first start.

use crate::on_both;
use crate::rig::Rig;
use beem_identity::Environment;
use beem_proto::identity::v1 as wire;

on_both!(the_environment_is_fixed_at_the_first_start);

async fn the_environment_is_fixed_at_the_first_start(mut rig: Rig) {
    let path = "/beem.identity.v1.Directory/GetInstallation";
    let first: wire::Installation = rig.internal(path, wire::GetInstallationRequest {}).await.unwrap().body;
    assert_eq!(first.environment, "sandbox");
    rig.another(Some(Environment::Sandbox)).await.unwrap();
    let Err(fault) = rig.another(Some(Environment::Live)).await else {
        panic!("a sandbox was started as live")
    };
    assert!(format!("{fault:?}").contains("was made as sandbox"), "{fault:?}");
    rig.restart().await;
    let again: wire::Installation = rig.internal(path, wire::GetInstallationRequest {}).await.unwrap().body;
    assert_eq!(again, first);
}
