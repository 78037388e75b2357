//! What is forgotten, what is not, and that whoever reads from before is told so.

use crate::deliveries::{all, attempted};
use crate::hooks::{delete, get};
use crate::intake::{NOWHERE, WALLET, follow, taken_in};
use crate::on_both;
use crate::rig::{Rig, until};
use crate::rotation::rotate;
use beem_database::Sql as _;
use beem_hooks::store::purge;
use beem_runtime::PURGE_BATCH;
use serde_json::json;

on_both!(
    old_events_go_and_their_accounts_have_a_floor,
    an_event_that_is_under_way_stays_until_its_delivery_has_ended,
    ended_deliveries_go_with_their_attempts,
    attempts_go_by_their_own_age,
    keys_that_retired_long_ago_go,
    keys_of_a_deleted_hook_retire_with_it,
    the_task_forgets_everything_that_is_past_its_time,
);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const KEPT_MS: i64 = 30 * DAY_MS;

async fn change(rig: &Rig, sql: &str) {
    rig.db.write(|tx| Box::pin(async move { tx.run(sql, vec![]).await })).await.unwrap();
}

async fn wallets(rig: &Rig, account: beem_ids::AccountId, count: usize) {
    let before = rig.count("events").await;
    let event = |n: usize| rig.ledger.event(account, WALLET, &format!("w{n}"), json!({}));
    rig.ledger.append_all((0..count).map(event).collect()).await;
    taken_in(rig, before + i64::try_from(count).unwrap()).await;
}

async fn floors(rig: &Rig) -> Vec<i64> {
    let rows =
        rig.db.read().rows("SELECT purged_to FROM event_floors ORDER BY purged_to", vec![]).await.unwrap();
    rows.iter().map(|row| row.try_get("", "purged_to").unwrap()).collect()
}

async fn old_events_go_and_their_accounts_have_a_floor(rig: Rig) {
    follow(&rig);
    wallets(&rig, rig.account(), 7).await;
    wallets(&rig, rig.stranger().account, 3).await;
    rig.clock.advance_ms(DAY_MS);
    wallets(&rig, rig.account(), 5).await;
    rig.clock.advance_ms(29 * DAY_MS);
    assert_eq!(purge::events(&rig.db, KEPT_MS, 100).await.unwrap(), 0, "to the millisecond");
    assert!(floors(&rig).await.is_empty());
    rig.clock.advance_ms(1);
    assert_eq!(purge::events(&rig.db, KEPT_MS, 4).await.unwrap(), 4);
    assert_eq!(floors(&rig).await, [4]);
    assert_eq!(purge::events(&rig.db, KEPT_MS, 100).await.unwrap(), 6);
    assert_eq!(floors(&rig).await, [7, 10]);
    assert_eq!(purge::events(&rig.db, KEPT_MS, 100).await.unwrap(), 0);
    assert_eq!(rig.count("events WHERE position > 10").await, 5);
    rig.clock.advance_ms(2 * DAY_MS);
    wallets(&rig, rig.account(), 1).await;
    assert_eq!(purge::events(&rig.db, KEPT_MS, 100).await.unwrap(), 5);
    assert_eq!(floors(&rig).await, [10, 15]);
    assert_eq!(rig.count("events WHERE position = 16").await, 1, "positions never return");
}

async fn an_event_that_is_under_way_stays_until_its_delivery_has_ended(rig: Rig) {
    rig.hook(NOWHERE, &["*"]).await;
    follow(&rig);
    wallets(&rig, rig.account(), 6).await;
    let second = "event_id IN (SELECT event_id FROM events WHERE position = 2)";
    let now = rig.clock.now().unix_ms();
    let end = format!("UPDATE deliveries SET status = 'FAILED', next_ms = NULL, ended_ms = {now}");
    change(&rig, &format!("{end} WHERE NOT {second}")).await;
    rig.clock.advance_ms(KEPT_MS + 1);
    assert_eq!(purge::events(&rig.db, KEPT_MS, 3).await.unwrap(), 3, "what stays is in nobody's way");
    assert_eq!(purge::events(&rig.db, KEPT_MS, 100).await.unwrap(), 2);
    assert_eq!(rig.count("events").await, 1);
    assert_eq!(floors(&rig).await, [6]);
    change(&rig, &end).await;
    assert_eq!(purge::events(&rig.db, KEPT_MS, 100).await.unwrap(), 1);
    assert_eq!(floors(&rig).await, [6], "it never goes back");
}

async fn ended_deliveries_go_with_their_attempts(rig: Rig) {
    rig.hook(NOWHERE, &["*"]).await;
    follow(&rig);
    wallets(&rig, rig.account(), 9).await;
    let now = rig.clock.now().unix_ms();
    for (status, rest, ended) in [("DELIVERED", 0, now), ("FAILED", 1, now + DAY_MS)] {
        change(
            &rig,
            &format!(
                "UPDATE deliveries SET status = '{status}', next_ms = NULL, ended_ms = {ended} \
                 WHERE event_id IN (SELECT event_id FROM events WHERE position % 3 = {rest})"
            ),
        )
        .await;
    }
    // Two attempts each; an id is as good as any.
    for column in ["id", "event_id"] {
        change(
            &rig,
            &format!(
                "INSERT INTO attempts (id, delivery, time_ms, duration_ms) SELECT {column}, id, {now}, 5 FROM deliveries"
            ),
        )
        .await;
    }
    rig.clock.advance_ms(KEPT_MS);
    assert_eq!(purge::deliveries(&rig.db, KEPT_MS, 2).await.unwrap(), 2);
    assert_eq!(purge::deliveries(&rig.db, KEPT_MS, 2).await.unwrap(), 1);
    assert_eq!(purge::deliveries(&rig.db, KEPT_MS, 2).await.unwrap(), 0);
    assert_eq!((rig.count("deliveries").await, rig.count("attempts").await), (6, 12));
    assert_eq!(rig.count("deliveries WHERE status = 'DELIVERED'").await, 0);
    rig.clock.advance_ms(365 * DAY_MS);
    assert_eq!(purge::deliveries(&rig.db, KEPT_MS, 100).await.unwrap(), 3);
    assert_eq!(rig.count("deliveries WHERE status = 'PENDING'").await, 3);
    assert_eq!(rig.count("attempts a JOIN deliveries d ON d.id = a.delivery").await, 6);
}

async fn keys_that_retired_long_ago_go(rig: Rig) {
    rig.hook(NOWHERE, &["*"]).await;
    rig.hook(NOWHERE, &["*"]).await;
    let now = rig.clock.now().unix_ms();
    let columns = "rsa_public, rsa_private, ed25519_public, ed25519_private, secret, created_ms";
    let sql = format!(
        "INSERT INTO hook_keys (hook, number, {columns}, retires_ms)
         SELECT hook, number + 1, {columns}, {now} FROM hook_keys"
    );
    change(&rig, &sql).await;
    assert_eq!(rig.count("hook_keys").await, 4);
    rig.clock.advance_ms(KEPT_MS - 1);
    assert_eq!(purge::keys(&rig.db, KEPT_MS, 100).await.unwrap(), 0);
    rig.clock.advance_ms(1);
    assert_eq!(purge::keys(&rig.db, KEPT_MS, 1).await.unwrap(), 1);
    assert_eq!(purge::keys(&rig.db, KEPT_MS, 100).await.unwrap(), 1);
    assert_eq!(rig.count("hook_keys WHERE retires_ms IS NULL").await, 2);
}

async fn attempts_go_by_their_own_age(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    follow(&rig);
    wallets(&rig, rig.account(), 2).await;
    let [one, other] = all(&rig, &hook).await.try_into().unwrap();
    let began = rig.clock.now().unix_ms();
    for day in 0..5 {
        attempted(&rig, &one.id, began + day * DAY_MS).await;
    }
    attempted(&rig, &other.id, began).await;
    rig.clock.advance_ms(KEPT_MS - 1);
    assert_eq!(purge::attempts(&rig.db, KEPT_MS, 100).await.unwrap(), 0);
    rig.clock.advance_ms(1 + 2 * DAY_MS);
    assert_eq!(purge::attempts(&rig.db, KEPT_MS, 3).await.unwrap(), 3, "in parts");
    assert_eq!(purge::attempts(&rig.db, KEPT_MS, 3).await.unwrap(), 1);
    assert_eq!(rig.count("attempts").await, 2);
    assert_eq!(rig.count(&format!("attempts WHERE time_ms > {}", began + 2 * DAY_MS)).await, 2);
    assert_eq!(rig.count("deliveries").await, 2, "they are under way still");
}

async fn keys_of_a_deleted_hook_retire_with_it(rig: Rig) {
    let (deleted, kept) = (rig.hook(NOWHERE, &["*"]).await, rig.hook(NOWHERE, &["*"]).await);
    let answer = rotate(&rig, &rig.owner, "r", &deleted.id, Some(86_400)).await.unwrap().body;
    let ended = delete(&rig, &rig.owner, "d", &deleted.id).await.unwrap();
    assert_eq!((ended.body.public_key, ended.body.retiring_key), (answer.public_key, answer.retiring_key));
    assert!(delete(&rig, &rig.owner, "d", &deleted.id).await.unwrap().replayed);
    rig.clock.advance_ms(KEPT_MS);
    assert_eq!(purge::keys(&rig.db, KEPT_MS, 100).await.unwrap(), 2);
    assert_eq!(rig.count("hook_keys WHERE retires_ms IS NULL").await, 1);
    get(&rig, &rig.owner, &kept.id).await.unwrap();
}

async fn the_task_forgets_everything_that_is_past_its_time(rig: Rig) {
    rig.hook(NOWHERE, &["*"]).await;
    follow(&rig);
    let more_than_a_batch = usize::try_from(PURGE_BATCH).unwrap() + 200;
    wallets(&rig, rig.account(), more_than_a_batch).await;
    let now = rig.clock.now().unix_ms();
    change(&rig, &format!("UPDATE deliveries SET status = 'DELIVERED', next_ms = NULL, ended_ms = {now}"))
        .await;
    // Of a delivery that is not there: nobody else forgets it.
    change(
        &rig,
        &format!(
            "INSERT INTO attempts (id, delivery, time_ms, duration_ms) SELECT id, id, {now}, 5 FROM hooks"
        ),
    )
    .await;
    rig.clock.advance_ms(31 * DAY_MS);
    wallets(&rig, rig.account(), 1).await;
    rig.run_task("hooks-purge");
    until("they are gone", async || rig.count("events").await == 1 && rig.count("deliveries").await == 1)
        .await;
    until("the attempt is gone, too", async || rig.count("attempts").await == 0).await;
    until("the request key is gone, too", async || rig.count("claims").await == 0).await;
    assert_eq!(rig.count("hooks").await, 1);
}
