//! What operators of the installation do: sealing keys, and feeds.

use crate::on_both;
use crate::rig::{Refusal, Rig, until};
use crate::rotation::rotate;
use beem_database::Sql as _;
use beem_events::audit::unpushed;
use beem_hooks::store::keys::current;
use beem_ids::HookId;
use beem_proto::hooks::v1 as wire;
use beem_sealing::{Sealing, SealingKey};
use serde_json::json;

on_both!(
    after_a_rotation_the_old_sealing_key_is_not_needed,
    what_is_under_no_key_held_is_left,
    a_lost_sealing_key_is_not_replaced,
    a_feed_is_begun_anew_by_an_operator_only,
    the_trail_goes_on_to_authz,
);

async fn reseal(rig: &Rig, key_id: &str) -> Result<wire::ResealSecretsResponse, Refusal> {
    let asked = wire::ResealSecretsRequest { key_id: key_id.to_owned() };
    rig.admin("/beem.hooks.v1.Upkeep/ResealSecrets", asked).await.map(|answer| answer.body)
}

async fn signs(rig: &Rig, id: &str) {
    let id: HookId = id.parse().unwrap();
    let (active, retiring) = current(rig.db.read(), id, rig.clock.now()).await.unwrap();
    active.signer(&rig.sealing).unwrap();
    retiring.unwrap().signer(&rig.sealing).unwrap();
}

async fn after_a_rotation_the_old_sealing_key_is_not_needed(rig: Rig) {
    let hook = rig.hook("https://a.example", &["*"]).await;
    let rotated = rotate(&rig, &rig.owner, "r", &hook.id, Some(3_600)).await.unwrap().body;
    let (old, new) = (rig.sealing_key.clone(), SealingKey::draw(&rig.entropy));
    let id = new.id().to_string();
    assert_eq!(reseal(&rig, &id).await.unwrap_err().code(), "changed-concurrently", "not taken up yet");
    rig.sealing.replace(vec![new.clone(), old]).unwrap();
    signs(&rig, &hook.id).await;
    let done = reseal(&rig, &id).await.unwrap();
    // Two times three keys, and two remembered answers.
    assert_eq!((done.resealed, done.left, done.key_id), (8, 0, id));
    assert_eq!(reseal(&rig, "").await.unwrap().resealed, 0, "nothing is left to do");
    rig.sealing.replace(vec![new]).unwrap();
    signs(&rig, &hook.id).await;
    let again = rotate(&rig, &rig.owner, "r", &hook.id, Some(3_600)).await.unwrap();
    assert!(again.replayed && again.body == rotated);
}

async fn what_is_under_no_key_held_is_left(rig: Rig) {
    let hook = rig.hook("https://a.example", &["*"]).await;
    let [new, other] = [SealingKey::draw(&rig.entropy), SealingKey::draw(&rig.entropy)];
    rig.sealing.replace(vec![new.clone(), other]).unwrap();
    let done = reseal(&rig, "").await.unwrap();
    assert_eq!((done.resealed, done.left), (0, 4), "it says so, and the key may come back");
    rig.sealing.replace(vec![new, rig.sealing_key.clone()]).unwrap();
    assert_eq!(reseal(&rig, "").await.unwrap().left, 0);
    let id: HookId = hook.id.parse().unwrap();
    let (key, _) = current(rig.db.read(), id, rig.clock.now()).await.unwrap();
    key.signer(&rig.sealing).unwrap();
    // A value belongs to its row: moved to another, it does not open.
    let other = rig.hook("https://b.example", &["*"]).await.id.parse::<HookId>().unwrap();
    let swap = "UPDATE hook_keys SET secret = (SELECT secret FROM hook_keys WHERE hook = $1) WHERE hook = $2";
    rig.db
        .write(|tx| Box::pin(async move { tx.run(swap, vec![id.0.into(), other.0.into()]).await }))
        .await
        .unwrap();
    let (moved, _) = current(rig.db.read(), other, rig.clock.now()).await.unwrap();
    assert_eq!(moved.signer(&rig.sealing).unwrap_err().code.as_str(), "internal");
}

/// Whether a process starts with these keys.
async fn starts(rig: &Rig, keys: &[&SealingKey]) -> Result<(), String> {
    let sealing = Sealing::new(keys.iter().copied().cloned().collect()).unwrap();
    rig.another_sealed_by(sealing).await.map(drop).map_err(|fault| format!("{fault:?}"))
}

async fn a_lost_sealing_key_is_not_replaced(rig: Rig) {
    let (old, new) = (&rig.sealing_key, &SealingKey::draw(&rig.entropy));
    rig.hook("https://a.example", &["*"]).await;
    starts(&rig, &[old]).await.unwrap();
    let refused = starts(&rig, &[new]).await.unwrap_err();
    let told = format!("under key {}, which is not among sealing.keys", old.id());
    assert!(refused.contains(&told), "{refused}");
    starts(&rig, &[new, old]).await.unwrap();
    assert!(starts(&rig, &[new]).await.is_err(), "what is sealed was not sealed anew yet");
    rig.sealing.replace(vec![new.clone(), old.clone()]).unwrap();
    assert_eq!(reseal(&rig, &new.id().to_string()).await.unwrap().left, 0);
    starts(&rig, &[new]).await.unwrap();
    let refused = starts(&rig, &[old]).await.unwrap_err();
    assert!(refused.contains(&new.id().to_string()), "{refused}");
}

async fn feeds(rig: &Rig) -> Vec<wire::Feed> {
    let method = "/beem.hooks.v1.Upkeep/ListFeeds";
    let answer = rig.admin::<_, wire::ListFeedsResponse>(method, wire::ListFeedsRequest {}).await;
    answer.unwrap().body.feeds
}

async fn restart(rig: &Rig, source: &str) -> Result<wire::Feed, Refusal> {
    let asked = wire::RestartFeedRequest { source: source.to_owned() };
    rig.admin("/beem.hooks.v1.Upkeep/RestartFeed", asked).await.map(|answer| answer.body)
}

async fn a_feed_is_begun_anew_by_an_operator_only(rig: Rig) {
    let feed = |source: &str, epoch: &str, position, lost| wire::Feed {
        source: source.to_owned(),
        epoch: epoch.to_owned(),
        position,
        lost,
    };
    let (fresh, ledger) = (feed("identity", "", 0, false), feed("ledger", "", 0, false));
    assert_eq!(feeds(&rig).await, [fresh.clone(), ledger.clone()]);
    let rows = [
        "INSERT INTO cursors (feed, epoch, position, updated_ms) VALUES ('ledger', 'e1', 7, 0), ('identity', 'e2', 3, 0)",
        "INSERT INTO lost_feeds (source, lost_ms) VALUES ('ledger', 0)",
    ];
    for sql in rows {
        rig.db.write(|tx| Box::pin(async move { tx.run(sql, vec![]).await })).await.unwrap();
    }
    let other = feed("identity", "e2", 3, false);
    assert_eq!(feeds(&rig).await, [other.clone(), feed("ledger", "e1", 7, true)]);
    assert_eq!(restart(&rig, "ledger").await.unwrap(), ledger);
    assert_eq!(feeds(&rig).await, [other, ledger]);
    for source in ["payments", "", "Ledger"] {
        assert_eq!(restart(&rig, source).await.unwrap_err().code(), "not-found");
    }
    let told = unpushed(&rig.db, 10).await.unwrap();
    let [row] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((row.row.action.as_str(), row.row.target_id.as_str()), ("RestartFeed", "ledger"));
    assert_eq!((row.row.account_id, &row.row.actor["kind"]), (None, &json!("INSTALLATION")));
    assert_eq!(row.row.before, Some(json!({ "epoch": "e1", "position": 7, "lost": true })));
}

async fn the_trail_goes_on_to_authz(rig: Rig) {
    rig.hook("https://a.example", &["*"]).await;
    assert_eq!(unpushed(&rig.db, 10).await.unwrap().len(), 1);
    rig.run_task("hooks-audit");
    until("authz takes the row", async || unpushed(&rig.db, 10).await.unwrap().is_empty()).await;
}
