//! Rotating keys, and the credentials gateways judge by.

use crate::clients::{create, credential, get, named};
use crate::on_both;
use crate::rig::{Answer, Refusal, Rig};
use beem_caller::Actor;
use beem_proto::identity::v1 as wire;
use beem_signing::PublicKey;
use std::time::Duration;

on_both!(
    a_rotated_key_retires_and_ends,
    at_most_one_key_retires,
    a_wrong_rotation_is_refused,
    a_rotation_needs_every_role_but_for_ones_own,
    a_rotation_is_an_event,
);

pub async fn rotate(
    rig: &Rig,
    actor: &Actor,
    key: &str,
    id: &str,
    pem: &str,
    retire_old_after: Option<u32>,
) -> Result<Answer<wire::Client>, Refusal> {
    let asked = wire::RotateClientKeyRequest { id: id.into(), public_key: pem.into(), retire_old_after };
    rig.call(actor, key, "/beem.identity.v1.Clients/RotateClientKey", asked).await
}

fn fingerprint(pem: &str) -> String {
    PublicKey::parse_pem(pem).unwrap().fingerprint()
}

async fn accepted(rig: &Rig, client_id: &str) -> Vec<String> {
    credential(rig, client_id).await.unwrap().keys.into_iter().map(|k| k.fingerprint).collect()
}

async fn a_rotated_key_retires_and_ends(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = create(&rig, &owner, "c", &named(&rig, "c", &["hook:viewer"])).await.unwrap().body;
    let pem = rig.new_pem();
    let first = rotate(&rig, &owner, "r1", &made.id, &pem, Some(60)).await.unwrap();
    let client = first.body.clone();
    assert_eq!((&client.client_id, &client.public_key), (&made.client_id, &pem));
    let retiring = client.retiring_key.unwrap();
    assert_eq!(retiring.key_fingerprint, made.key_fingerprint);
    let ends = beem_proto::from_timestamp(&retiring.not_after.unwrap());
    assert_eq!(ends, rig.clock.now().plus_ms(60_000).unix_ms());
    assert_eq!(accepted(&rig, &made.client_id).await, [fingerprint(&pem), made.key_fingerprint.clone()]);
    let version = credential(&rig, &made.client_id).await.unwrap().version;
    assert!(version == client.roles_version && version > made.roles_version);
    rig.clock.advance_ms(30_000);
    let again = rotate(&rig, &owner, "r1", &made.id, &pem, Some(60)).await.unwrap();
    assert!(again.replayed && again.body == first.body, "the second run did not prolong it");
    rig.clock.advance_ms(30_000);
    assert_eq!(accepted(&rig, &made.client_id).await, [fingerprint(&pem)]);
    assert_eq!(get(&rig, &owner, &made.id).await.unwrap().retiring_key, None);
    let other = rotate(&rig, &owner, "r1", &made.id, &rig.new_pem(), Some(60)).await.unwrap_err();
    assert_eq!(other.code(), "idempotency-key-reused");
}

async fn at_most_one_key_retires(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = create(&rig, &owner, "c", &named(&rig, "c", &[])).await.unwrap().body;
    let (second, third) = (rig.new_pem(), rig.new_pem());
    rotate(&rig, &owner, "r1", &made.id, &second, Some(604_800)).await.unwrap();
    rotate(&rig, &owner, "r2", &made.id, &third, Some(604_800)).await.unwrap();
    assert_eq!(accepted(&rig, &made.client_id).await, [fingerprint(&third), fingerprint(&second)]);
    let at_once = rotate(&rig, &owner, "r3", &made.id, &second, None).await.unwrap().body;
    assert_eq!(at_once.retiring_key, None);
    assert_eq!(accepted(&rig, &made.client_id).await, [fingerprint(&second)]);
}

async fn a_wrong_rotation_is_refused(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = create(&rig, &owner, "c", &named(&rig, "c", &[])).await.unwrap().body;
    let in_use = rotate(&rig, &owner, "r1", &made.id, &made.public_key, None).await.unwrap_err();
    assert_eq!(in_use.fields(), ["publicKey"]);
    let both = rotate(&rig, &owner, "r2", &made.id, "junk", Some(604_801)).await.unwrap_err();
    assert_eq!(both.fields(), ["publicKey", "retireOldAfter"]);
    assert_eq!(get(&rig, &owner, &made.id).await.unwrap(), made);
    let nobody =
        rotate(&rig, &owner, "r3", &owner.account.to_string(), &rig.new_pem(), None).await.unwrap_err();
    assert_eq!(nobody.code(), "not-found");
}

async fn a_rotation_needs_every_role_but_for_ones_own(rig: Rig) {
    let owner = rig.owner("a").await;
    let operator = create(&rig, &owner, "c1", &named(&rig, "o", &["client:operator"])).await.unwrap().body;
    let strong = create(&rig, &owner, "c2", &named(&rig, "s", &["ledger:operator"])).await.unwrap().body;
    let acting = rig.acting(&operator);
    let refusal = rotate(&rig, &acting, "r1", &strong.id, &rig.new_pem(), None).await.unwrap_err();
    assert_eq!(refusal.code(), "role-not-held");
    assert_eq!(get(&rig, &owner, &strong.id).await.unwrap(), strong);
    rotate(&rig, &acting, "r2", &operator.id, &rig.new_pem(), None).await.unwrap();
    rotate(&rig, &owner, "r3", &strong.id, &rig.new_pem(), None).await.unwrap();
}

async fn a_rotation_is_an_event(rig: Rig) {
    let owner = rig.owner("a").await;
    rig.run_tasks();
    let made = create(&rig, &owner, "c", &named(&rig, "c", &["hook:viewer"])).await.unwrap().body;
    let rotated = rotate(&rig, &owner, "r1", &made.id, &rig.new_pem(), Some(60)).await.unwrap().body;
    rotate(&rig, &owner, "r1", &made.id, &rotated.public_key, Some(60)).await.unwrap();
    let feed = beem_events::Feed::open(rig.identity.db.clone()).await.unwrap();
    let slice = feed.read("", 0, 10, Duration::from_secs(10)).await.unwrap();
    assert_eq!(slice.events.len(), 1);
    let event = &slice.events[0];
    assert_eq!(
        (event.event.as_str(), event.source.as_str()),
        ("layer1:identity:client:key-rotated", "identity")
    );
    assert_eq!((&event.entity_id, event.sequence, event.account_id), (&made.id, 1, owner.account));
    let data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!(data["keyFingerprint"], rotated.key_fingerprint);
    assert_eq!(data["retiringKey"]["keyFingerprint"], made.key_fingerprint);
    assert_eq!(data["roles"], serde_json::json!(["layer1:role:hook:viewer"]));
    assert_eq!(data["rolesVersion"], rotated.roles_version);
    assert!(data.get("lastUsed").is_none() && data.get("dateDeleted").is_none());
}
