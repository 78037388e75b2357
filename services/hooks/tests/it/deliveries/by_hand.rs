//! Tests and single replays of one hook: so many at once, so many a second.

use super::again::again;
use super::{NOWHERE, test};
use crate::on_both;
use crate::rig::{Refusal, Rig};
use beem_events::audit::unpushed;
use beem_hooks::HooksSettings;

on_both!(
    tests_and_replays_of_a_hook_have_one_rate,
    what_is_refused_or_repeated_does_not_count,
    the_rate_is_a_setting,
);

fn limited(refusal: &Refusal) -> Option<u32> {
    assert_eq!(refusal.code(), "rate-limited");
    assert!(!refusal.replayed);
    refusal.fault.retry_after_s
}

async fn tests_and_replays_of_a_hook_have_one_rate(rig: Rig) {
    let (hook, other) = (rig.hook(NOWHERE, &["*"]).await, rig.hook(NOWHERE, &["*"]).await);
    let first = test(&rig, &rig.owner, &rig.key(), &hook.id).await.unwrap();
    for n in 1..20 {
        if n % 2 == 0 {
            test(&rig, &rig.owner, &rig.key(), &hook.id).await.unwrap();
        } else {
            again(&rig, &hook, &rig.key(), &first.id).await.unwrap();
        }
    }
    for _ in 0..2 {
        assert_eq!(limited(&test(&rig, &rig.owner, "test", &hook.id).await.unwrap_err()), Some(1));
        assert_eq!(limited(&again(&rig, &hook, "again", &first.id).await.unwrap_err()), Some(1));
    }
    assert_eq!((rig.count("events").await, rig.count("deliveries").await), (10, 10));
    test(&rig, &rig.owner, &rig.key(), &other.id).await.unwrap();
    // The same requests, under the same keys.
    rig.clock.advance_ms(1_000);
    let made = test(&rig, &rig.owner, "test", &hook.id).await.unwrap();
    assert_eq!(limited(&again(&rig, &hook, "again", &first.id).await.unwrap_err()), Some(1));
    rig.clock.advance_ms(1_000);
    assert!(!again(&rig, &hook, "again", &first.id).await.unwrap().replayed);
    assert_eq!(test(&rig, &rig.owner, "test", &hook.id).await.unwrap(), made);
    let rows = unpushed(&rig.db, 100).await.unwrap();
    assert!(rows.iter().all(|row| row.row.outcome == "done"), "no decision, nothing in the trail");
}

async fn what_is_refused_or_repeated_does_not_count(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    let first = test(&rig, &rig.owner, "first", &hook.id).await.unwrap();
    let stranger = rig.stranger();
    for n in 0..30 {
        let refused = test(&rig, &stranger, &rig.key(), &hook.id).await.unwrap_err();
        assert_eq!(refused.code(), "not-found", "{n}");
        assert_eq!(again(&rig, &hook, &rig.key(), &rig.unknown()).await.unwrap_err().code(), "not-found");
        assert_eq!(test(&rig, &rig.owner, "first", &hook.id).await.unwrap(), first);
    }
    for _ in 1..20 {
        test(&rig, &rig.owner, &rig.key(), &hook.id).await.unwrap();
    }
    assert_eq!(limited(&test(&rig, &rig.owner, &rig.key(), &hook.id).await.unwrap_err()), Some(1));
    assert_eq!(test(&rig, &rig.owner, "first", &hook.id).await.unwrap(), first, "it was carried out before");
}

async fn the_rate_is_a_setting(mut rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    let settings = HooksSettings { by_hand_per_s: 2, by_hand_burst: 3, ..Rig::settings() };
    rig.hooks = rig.another_with(settings).await.unwrap();
    let rig = &rig;
    let delivery = test(rig, &rig.owner, &rig.key(), &hook.id).await.unwrap();
    for _ in 0..2 {
        again(rig, &hook, &rig.key(), &delivery.id).await.unwrap();
    }
    assert_eq!(limited(&again(rig, &hook, "again", &delivery.id).await.unwrap_err()), Some(1));
    rig.clock.advance_ms(500);
    again(rig, &hook, "again", &delivery.id).await.unwrap();
}
