//! The installation's environment, fixed at its first start.

use crate::on_both;
use crate::rig::Rig;
use beem_identity::Environment;
use beem_proto::identity::v1 as wire;
use beem_sealing::SealingKey;

on_both!(the_environment_is_fixed_at_the_first_start, a_lost_sealing_key_is_not_replaced);

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

/// Whether a process starts with these keys.
async fn starts(rig: &Rig, keys: &[&SealingKey]) -> Result<(), String> {
    rig.sealing.replace(keys.iter().copied().cloned().collect()).unwrap();
    rig.another(None).await.map(drop).map_err(|fault| format!("{fault:?}"))
}

async fn a_lost_sealing_key_is_not_replaced(rig: Rig) {
    let (old, new) = (&rig.sealing_key, &SealingKey::draw(&rig.entropy));
    starts(&rig, &[old]).await.unwrap();
    let refused = starts(&rig, &[new]).await.unwrap_err();
    let told = format!("under key {}, which is not among sealing.keys", old.id());
    assert!(refused.contains(&told), "{refused}");
    starts(&rig, &[new, old]).await.unwrap();
    assert!(starts(&rig, &[new]).await.is_err(), "what is sealed was not sealed anew yet");
    starts(&rig, &[new, old]).await.unwrap();
    let asked = wire::ResealSecretsRequest { key_id: new.id().to_string() };
    let path = "/beem.identity.v1.Directory/ResealSecrets";
    let done: wire::ResealSecretsResponse = rig.internal(path, asked).await.unwrap().body;
    assert_eq!(done.left, 0);
    starts(&rig, &[new]).await.unwrap();
    let refused = starts(&rig, &[old]).await.unwrap_err();
    assert!(refused.contains(&new.id().to_string()), "{refused}");
}
