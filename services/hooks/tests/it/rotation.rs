//! Rotation of a hook's keys: which sign, and for how long.

use crate::hooks::{delete, get};
use crate::on_both;
use crate::rig::{Reply, Rig};
use beem_caller::Actor;
use beem_clock::Moment;
use beem_hooks::store::keys::{StoredKey, current};
use beem_ids::HookId;
use beem_proto::hooks::v1 as wire;
use beem_proto::to_timestamp;

on_both!(
    old_keys_sign_as_long_as_was_asked,
    a_second_rotation_ends_the_keys_before_those_before_it,
    two_rotations_at_once_leave_one_active_key,
    one_key_rotates_once,
    a_rotation_has_its_bounds,
);

pub async fn rotate(
    rig: &Rig,
    actor: &Actor,
    key: &str,
    id: &str,
    retire_old_after: Option<u32>,
) -> Reply<wire::Hook> {
    let asked = wire::RotateHookKeyRequest { id: id.to_owned(), retire_old_after };
    rig.call(actor, key, "/beem.hooks.v1.Hooks/RotateHookKey", asked).await
}

async fn keys(rig: &Rig, id: &str) -> (StoredKey, Option<StoredKey>) {
    let id: HookId = id.parse().unwrap();
    current(rig.db.read(), id, rig.clock.now()).await.unwrap()
}

async fn old_keys_sign_as_long_as_was_asked(rig: Rig) {
    let made = rig.hook("https://a.example", &["*"]).await;
    assert!(keys(&rig, &made.id).await.1.is_none());
    let until = rig.clock.now().plus_ms(60_000);
    let rotated = rotate(&rig, &rig.owner, "r", &made.id, Some(60)).await.unwrap().body;
    assert_ne!(rotated.signing_secret, made.signing_secret);
    assert_ne!(rotated.public_key, made.public_key);
    assert_ne!(rotated.signing_public_key, made.signing_public_key);
    let retiring = rotated.retiring_key.clone().unwrap();
    assert_eq!(
        (retiring.public_key, retiring.public_key_pem, retiring.signing_public_key, retiring.not_after),
        (made.public_key, made.public_key_pem, made.signing_public_key, Some(to_timestamp(until.unix_ms())))
    );
    let read = get(&rig, &rig.owner, &made.id).await.unwrap();
    assert!(read == wire::Hook { signing_secret: None, ..rotated });
    let (active, retiring) = keys(&rig, &made.id).await;
    let retiring = retiring.unwrap();
    assert_eq!((active.number, retiring.number, retiring.retires), (2, 1, Some(until)));
    for key in [&active, &retiring] {
        key.signer(&rig.sealing).unwrap();
    }
    let printed = format!("{active:?}");
    assert!(printed.starts_with("StoredKey {") && !printed.contains("secret"), "{printed}");
    rig.clock.advance_ms(59_999);
    assert!(get(&rig, &rig.owner, &made.id).await.unwrap().retiring_key.is_some());
    rig.clock.advance_ms(1);
    assert!(get(&rig, &rig.owner, &made.id).await.unwrap().retiring_key.is_none());
    assert!(keys(&rig, &made.id).await.1.is_none());
}

async fn a_second_rotation_ends_the_keys_before_those_before_it(rig: Rig) {
    let id = rig.hook("https://a.example", &["*"]).await.id;
    rotate(&rig, &rig.owner, "r1", &id, Some(604_800)).await.unwrap();
    let second = rotate(&rig, &rig.owner, "r2", &id, Some(60)).await.unwrap().body;
    let (active, retiring) = keys(&rig, &id).await;
    assert_eq!((active.number, retiring.map(|key| key.number)), (3, Some(2)));
    assert!(second.retiring_key.is_some());
    rig.clock.advance_ms(60_000);
    assert!(keys(&rig, &id).await.1.is_none(), "the first has ended before its time");
    let third = rotate(&rig, &rig.owner, "r3", &id, None).await.unwrap().body;
    assert!(third.retiring_key.is_none(), "at once");
    assert_eq!(keys(&rig, &id).await.0.number, 4);
}

async fn two_rotations_at_once_leave_one_active_key(rig: Rig) {
    let id = &rig.hook("https://a.example", &["*"]).await.id;
    let rig = &rig;
    let rotations =
        (0..4).map(|n| async move { rotate(rig, &rig.owner, &format!("r{n}"), id, Some(60)).await });
    let rotated = futures::future::join_all(rotations).await;
    assert!(rotated.iter().all(Result::is_ok));
    assert_eq!(rig.count("hook_keys WHERE retires_ms IS NULL").await, 1);
    let (active, retiring) = keys(rig, id).await;
    assert_eq!((active.number, retiring.map(|key| key.number)), (5, Some(4)));
}

async fn one_key_rotates_once(rig: Rig) {
    let id = rig.hook("https://a.example", &["*"]).await.id;
    let first = rotate(&rig, &rig.owner, "r", &id, Some(60)).await.unwrap();
    rig.clock.advance_ms(120_000);
    let again = rotate(&rig, &rig.owner, "r", &id, Some(60)).await.unwrap();
    assert!(again.replayed && again.body == first.body, "the first answer, with its secret and its time");
    assert_eq!(keys(&rig, &id).await.0.number, 2);
    delete(&rig, &rig.owner, "d", &id).await.unwrap();
    assert!(rotate(&rig, &rig.owner, "r", &id, Some(60)).await.unwrap().replayed);
}

async fn a_rotation_has_its_bounds(rig: Rig) {
    let id = rig.hook("https://a.example", &["*"]).await.id;
    let refusal = rotate(&rig, &rig.owner, "r1", &id, Some(604_801)).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.fields()), ("validation-failed", vec!["retireOldAfter"]));
    for id in [rig.unknown().as_str(), "no id"] {
        assert_eq!(rotate(&rig, &rig.owner, &rig.key(), id, None).await.unwrap_err().code(), "not-found");
    }
    let stranger = rig.stranger();
    assert_eq!(rotate(&rig, &stranger, "r", &id, None).await.unwrap_err().code(), "not-found");
    assert_eq!(rig.count("hook_keys").await, 1);
    let longest = rotate(&rig, &rig.owner, "r2", &id, Some(604_800)).await.unwrap().body;
    let until: Moment = rig.clock.now().plus_ms(604_800_000);
    assert_eq!(longest.retiring_key.unwrap().not_after, Some(to_timestamp(until.unix_ms())));
    crate::hooks::enable(&rig, &id, false).await;
    rotate(&rig, &rig.owner, "r3", &id, None).await.expect("a disabled hook has its keys changed, too");
}
