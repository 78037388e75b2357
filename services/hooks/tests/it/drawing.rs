//! Keys cost a processor 100 ms: they are drawn for whoever gets them, and for nobody else.

use crate::hooks::{asked, delete};
use crate::on_both;
use crate::rig::{Hooks, Reply, Rig};
use beem_caller::Actor;
use beem_hooks::HooksSettings;
use beem_proto::hooks::v1 as wire;

on_both!(keys_are_drawn_for_whoever_gets_them_only);

/// Keys that this process has drawn.
fn drawn(process: &Hooks) -> u64 {
    let text = process.telemetry.prometheus_text();
    let lines = text.lines().filter(|line| line.starts_with("beem_hooks_keys_drawn_total"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

async fn create(process: &Hooks, actor: &Actor, key: &str, url: &str) -> Reply<wire::Hook> {
    process.call(actor, key, "/beem.hooks.v1.Hooks/CreateHook", asked(url, &["*"])).await
}

async fn rotate(process: &Hooks, actor: &Actor, key: &str, id: &str, keep_s: u32) -> Reply<wire::Hook> {
    let asked = wire::RotateHookKeyRequest { id: id.to_owned(), retire_old_after: Some(keep_s) };
    process.call(actor, key, "/beem.hooks.v1.Hooks/RotateHookKey", asked).await
}

async fn keys_are_drawn_for_whoever_gets_them_only(rig: Rig) {
    let settings = HooksSettings { hooks_per_account: 2, ..Rig::settings() };
    let (process, owner) = (&rig.another_with(settings).await.unwrap(), &rig.owner);
    let made = create(process, owner, "c1", "https://a.example").await.unwrap().body;
    assert_eq!(drawn(process), 1);
    assert!(create(process, owner, "c1", "https://a.example").await.unwrap().replayed);
    let reused = create(process, owner, "c1", "https://b.example").await.unwrap_err();
    assert_eq!(reused.code(), "idempotency-key-reused");
    let wrong = create(process, owner, "c2", "http://b.example").await.unwrap_err();
    assert_eq!(wrong.code(), "validation-failed");
    assert_eq!(drawn(process), 1);
    let other = create(process, owner, "c3", "https://b.example").await.unwrap().body;
    for replayed in [false, true] {
        let refusal = create(process, owner, "c4", "https://c.example").await.unwrap_err();
        assert_eq!((refusal.code(), refusal.replayed), ("too-many-hooks", replayed));
    }
    assert_eq!(drawn(process), 2);

    let rotated = rotate(process, owner, "r1", &made.id, 60).await.unwrap().body;
    assert!(rotate(process, owner, "r1", &made.id, 60).await.unwrap().body == rotated);
    assert_eq!(drawn(process), 3);
    delete(&rig, owner, "d", &other.id).await.unwrap();
    let stranger = &rig.stranger();
    let nowhere =
        [(owner, rig.unknown()), (owner, "x".into()), (owner, other.id), (stranger, made.id.clone())];
    for (n, (actor, id)) in nowhere.iter().enumerate() {
        let refusal = rotate(process, actor, &format!("n{n}"), id, 60).await.unwrap_err();
        assert_eq!(refusal.code(), "not-found", "{id}");
    }
    assert_eq!(
        rotate(process, owner, "r2", &made.id, 604_801).await.unwrap_err().code(),
        "validation-failed"
    );
    assert_eq!(drawn(process), 3);
    // A deleted one made room, and an account's limit is its own.
    create(process, owner, "c5", "https://c.example").await.unwrap();
    create(process, stranger, "c1", "https://a.example").await.unwrap();
    assert_eq!(drawn(process), 5);
}
