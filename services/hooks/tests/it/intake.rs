//! Events on their way in: each once, whatever is repeated and whoever dies; in an order that a reader can follow.

use crate::hooks::enable;
use crate::on_both;
use crate::rig::{Base, Hooks, Rig, until};
use beem_clock::Moment;
use beem_database::{Database, Sql as _};
use beem_events::NewEvent;
use beem_ids::HookId;
use beem_proto::hooks::v1 as wire;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use uuid::Uuid;

on_both!(
    each_event_is_taken_in_once_by_two_processes_and_through_kills,
    a_feed_that_is_restarted_brings_nothing_twice,
    what_commits_late_or_never_is_taken_in_late_or_never,
    a_lost_feed_waits_for_an_operator_in_every_process,
    a_feed_that_has_forgotten_what_comes_next_is_lost,
    hooks_get_what_they_ask_for_from_when_they_are_made_and_enabled,
    a_hook_that_is_disabled_meanwhile_gets_nothing,
    a_burst_is_taken_in_whole_and_without_a_gap,
    a_reader_of_positions_misses_nothing_while_two_feeds_come_in,
    an_open_circuit_holds_a_first_attempt_ten_seconds_at_most,
    what_makes_no_sense_stops_nobody,
);

pub const WALLET: &str = "layer1:ledger:wallet:created";
pub const EXECUTED: &str = "layer1:ledger:conversion:executed";
pub const ROTATED: &str = "layer1:identity:client:key-rotated";

const FEEDS: [&str; 2] = ["hooks-intake-ledger", "hooks-intake-identity"];

/// A receiver that is never called: no engine runs here.
pub const NOWHERE: &str = "https://receiver.example/hook";

pub fn follow(process: &Hooks) {
    FEEDS.iter().for_each(|task| process.run_task(task));
}

/// Until so many events were taken in.
pub async fn taken_in(rig: &Rig, events: i64) {
    until(&format!("{events} events are taken in"), async || rig.count("events").await >= events).await;
    assert_eq!(rig.count("events").await, events);
}

/// Position, event id and body of each event.
async fn stored(db: &Database) -> Vec<(i64, Uuid, Json)> {
    let rows = db
        .read()
        .rows("SELECT position, event_id, body FROM events ORDER BY position", vec![])
        .await
        .unwrap();
    let body = |text: String| serde_json::from_str(&text).unwrap();
    let read = rows.iter().map(|row| {
        let body = body(row.try_get("", "body").unwrap());
        (row.try_get("", "position").unwrap(), row.try_get("", "event_id").unwrap(), body)
    });
    read.collect()
}

/// Positions count from 1, every event is there once, and each entity's sequence grows by one.
async fn assert_in_order(db: &Database, events: usize) {
    let stored = stored(db).await;
    assert_eq!(
        stored.iter().map(|(position, ..)| *position).collect::<Vec<_>>(),
        (1..).take(events).collect::<Vec<i64>>()
    );
    assert_eq!(stored.iter().map(|(_, id, _)| *id).collect::<BTreeSet<_>>().len(), events);
    let mut sequences: BTreeMap<String, u64> = BTreeMap::new();
    for (_, id, body) in stored {
        assert_eq!(body["eventId"], id.to_string());
        let last = sequences.entry(body["data"]["entity"].as_str().unwrap().to_owned()).or_default();
        *last += 1;
        assert_eq!(body["sequence"], *last, "{body}");
    }
}

/// So many wallets of the owner, each its own entity unless there are few.
fn wallets(rig: &Rig, count: usize, entities: usize) -> Vec<NewEvent> {
    let event = |n: usize| {
        let entity = format!("wallet-{}", n % entities);
        rig.ledger.event(rig.account(), WALLET, &entity, json!({ "entity": entity, "n": n }))
    };
    (0..count).map(event).collect()
}

async fn deliveries_of(rig: &Rig, hook: &wire::Hook) -> Vec<String> {
    let sql = "SELECT event FROM deliveries WHERE hook = $1 ORDER BY event";
    let id: HookId = hook.id.parse().unwrap();
    let rows = rig.db.read().rows(sql, vec![id.0.into()]).await.unwrap();
    rows.iter().map(|row| row.try_get("", "event").unwrap()).collect()
}

pub async fn feed(rig: &Rig, source: &str) -> wire::Feed {
    let listed = rig.admin("/beem.hooks.v1.Upkeep/ListFeeds", wire::ListFeedsRequest {}).await;
    let listed: wire::ListFeedsResponse = listed.unwrap().body;
    listed.feeds.into_iter().find(|feed| feed.source == source).unwrap()
}

pub async fn restart_feed(rig: &Rig, source: &str) -> wire::Feed {
    let asked = wire::RestartFeedRequest { source: source.to_owned() };
    rig.admin("/beem.hooks.v1.Upkeep/RestartFeed", asked).await.unwrap().body
}

async fn each_event_is_taken_in_once_by_two_processes_and_through_kills(mut rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    let other = rig.another().await;
    follow(&rig);
    follow(&other);
    let mut made = 0;
    for round in 0..6_i64 {
        for part in wallets(&rig, 40, 7).chunks(10) {
            rig.ledger.append_all(part.to_vec()).await;
        }
        let data = json!({ "entity": "client" });
        rig.happen(rig.account(), ROTATED, "client", data).await;
        made += 41;
        if round % 2 == 0 {
            // In the middle of whatever it does.
            until("some are in", async || rig.count("events").await > 41 * round).await;
            rig.restart().await;
            follow(&rig);
        }
    }
    taken_in(&rig, made).await;
    assert_in_order(&rig.db, usize::try_from(made).unwrap()).await;
    assert_eq!(deliveries_of(&rig, &hook).await.len(), usize::try_from(made).unwrap());
    assert_eq!(rig.count("deliveries WHERE status = 'PENDING' AND attempts = 0 AND tries = 0").await, made);
    assert_eq!(rig.count("lanes WHERE due_ms IS NOT NULL").await, 1);
}

async fn a_feed_that_is_restarted_brings_nothing_twice(rig: Rig) {
    rig.hook(NOWHERE, &["*"]).await;
    rig.ledger.append_all(wallets(&rig, 30, 3)).await;
    follow(&rig);
    taken_in(&rig, 30).await;
    let before = stored(&rig.db).await;
    let restarted = restart_feed(&rig, "ledger").await;
    assert_eq!((restarted.position, restarted.lost), (0, false));
    until("it has come to the end again", async || feed(&rig, "ledger").await.position == 30).await;
    assert_eq!(stored(&rig.db).await, before);
    // A part that is new behind a part that is known.
    restart_feed(&rig, "ledger").await;
    rig.ledger.append_all(wallets(&rig, 3, 3)).await;
    taken_in(&rig, 33).await;
    assert_in_order(&rig.db, 33).await;
    assert_eq!(rig.count("deliveries").await, 33);
    assert_eq!(rig.count("audit_rows WHERE action = 'RestartFeed'").await, 2);
}

async fn what_commits_late_or_never_is_taken_in_late_or_never(rig: Rig) {
    follow(&rig);
    let one =
        |entity: &str| vec![rig.ledger.event(rig.account(), WALLET, entity, json!({ "entity": entity }))];
    let never = rig.ledger.begin(one("never")).await;
    if rig.base == Base::Postgres {
        let late = rig.ledger.begin(one("late")).await;
        rig.ledger.append_all(one("early")).await;
        taken_in(&rig, 1).await;
        late.commit().await;
        taken_in(&rig, 2).await;
    } else {
        never.roll_back().await;
        rig.ledger.append_all(one("early")).await;
        rig.ledger.begin(one("late")).await.commit().await;
        taken_in(&rig, 2).await;
        assert_in_order(&rig.db, 2).await;
        return;
    }
    never.roll_back().await;
    rig.ledger.append_all(one("late")).await;
    taken_in(&rig, 3).await;
    assert_in_order(&rig.db, 3).await;
}

async fn a_lost_feed_waits_for_an_operator_in_every_process(rig: Rig) {
    rig.hook(NOWHERE, &["*"]).await;
    let other = rig.another().await;
    follow(&rig);
    rig.ledger.append_all(wallets(&rig, 5, 1)).await;
    taken_in(&rig, 5).await;
    rig.ledger.restored().await;
    until("it is seen to be lost", async || feed(&rig, "ledger").await.lost).await;
    // Whoever comes later does not follow either, and another feed is not concerned.
    follow(&other);
    rig.ledger.append_all(wallets(&rig, 2, 1)).await;
    rig.happen(rig.account(), ROTATED, "client", json!({ "entity": "client" })).await;
    taken_in(&rig, 6).await;
    let lost = feed(&rig, "ledger").await;
    assert_eq!((lost.position, lost.lost), (5, true));
    restart_feed(&rig, "ledger").await;
    taken_in(&rig, 8).await;
    assert!(!feed(&rig, "ledger").await.lost);
    assert_in_order(&rig.db, 8).await;
    assert_eq!(rig.count("deliveries").await, 8);
}

async fn a_feed_that_has_forgotten_what_comes_next_is_lost(mut rig: Rig) {
    follow(&rig);
    rig.ledger.append_all(wallets(&rig, 3, 1)).await;
    taken_in(&rig, 3).await;
    rig.restart().await;
    rig.ledger.append_all(wallets(&rig, 2, 1)).await;
    until("they are numbered", async || rig.ledger.head().await == 5).await;
    rig.clock.advance_ms(1_000);
    rig.ledger.forget().await;
    rig.ledger.append_all(wallets(&rig, 1, 1)).await;
    follow(&rig);
    until("it is seen to be lost", async || feed(&rig, "ledger").await.lost).await;
    assert_eq!(rig.count("events").await, 3, "never a gap without a word");
    restart_feed(&rig, "ledger").await;
    taken_in(&rig, 4).await;
    assert_eq!(stored(&rig.db).await[3].2["sequence"], 6);
}

async fn hooks_get_what_they_ask_for_from_when_they_are_made_and_enabled(rig: Rig) {
    follow(&rig);
    let strange = rig.stranger();
    let happen =
        async |event: &str| rig.happen(rig.account(), event, event, json!({ "entity": event })).await;
    let mut events = 0;
    let mut all_happen = async || {
        for event in [WALLET, EXECUTED, ROTATED, "layer1:ledger:wallet:renamed"] {
            happen(event).await;
        }
        events += 4;
        taken_in(&rig, events).await;
    };
    all_happen().await;
    let viewer = rig.actor_with(
        [beem_roles::Role::HookOperator, beem_roles::Role::LedgerViewer]
            .into_iter()
            .fold(beem_roles::RoleSet::EMPTY, beem_roles::RoleSet::with),
    );
    let everything = rig.hook(NOWHERE, &["*"]).await;
    let ledger_only = rig.hook_of(&viewer, NOWHERE, &["*"]).await;
    let one = rig.hook(NOWHERE, &[EXECUTED]).await;
    let another_account = rig.hook_of(&strange, NOWHERE, &["*"]).await;
    let off = rig.hook(NOWHERE, &["*"]).await;
    enable(&rig, &off.id, false).await;
    all_happen().await;
    let renamed = "layer1:ledger:wallet:renamed";
    assert_eq!(deliveries_of(&rig, &everything).await, [ROTATED, EXECUTED, WALLET, renamed]);
    assert_eq!(deliveries_of(&rig, &ledger_only).await, [WALLET, renamed]);
    assert_eq!(deliveries_of(&rig, &one).await, [EXECUTED]);
    assert!(deliveries_of(&rig, &another_account).await.is_empty());
    assert!(deliveries_of(&rig, &off).await.is_empty());
    enable(&rig, &off.id, true).await;
    all_happen().await;
    assert_eq!(deliveries_of(&rig, &off).await.len(), 4);
    assert_eq!(deliveries_of(&rig, &one).await.len(), 2);
}

async fn a_hook_that_is_disabled_meanwhile_gets_nothing(rig: Rig) {
    let hook: HookId = rig.hook(NOWHERE, &["*"]).await.id.parse().unwrap();
    follow(&rig);
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let disabling = beem_runtime::spawn({
        let (db, begun, go_on) = (rig.db.clone(), begun.clone(), go_on.clone());
        async move {
            let (begun, go_on) = (&begun, &go_on);
            let disabled = db.write(|tx| {
                Box::pin(async move {
                    let sql = "UPDATE hooks SET enabled = $2, disabled_reason = 'GONE' WHERE id = $1";
                    tx.run(sql, vec![hook.0.into(), false.into()]).await?;
                    beem_hooks::store::lanes::close(tx, hook).await?;
                    begun.notify_one();
                    go_on.notified().await;
                    Ok(())
                })
            });
            disabled.await.unwrap();
        }
    });
    begun.notified().await;
    rig.happen(rig.account(), WALLET, "a", json!({ "entity": "a" })).await;
    if rig.base == Base::Postgres {
        let waiting = "pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        until("the intake waits for it", async || rig.count(waiting).await > 0).await;
    }
    go_on.notify_one();
    disabling.await.unwrap();
    taken_in(&rig, 1).await;
    assert_eq!(rig.count("deliveries").await, 0);
}

async fn a_burst_is_taken_in_whole_and_without_a_gap(rig: Rig) {
    for codes in [&["*"][..], &[WALLET], &[EXECUTED]] {
        rig.hook(NOWHERE, codes).await;
    }
    for part in wallets(&rig, 2_000, 50).chunks(500) {
        rig.ledger.append_all(part.to_vec()).await;
    }
    follow(&rig);
    taken_in(&rig, 2_000).await;
    assert_in_order(&rig.db, 2_000).await;
    assert_eq!(rig.count("deliveries").await, 4_000);
    assert_eq!(rig.count("events e WHERE area = 4").await, 2_000);
    assert_eq!(rig.count("intake WHERE head = 2000").await, 1);
}

async fn a_reader_of_positions_misses_nothing_while_two_feeds_come_in(rig: Rig) {
    let other = rig.another().await;
    // Each event is a transaction of its own there, so that many commits of the two feeds meet.
    let ended = Arc::new(AtomicBool::new(false));
    let reader = beem_runtime::spawn({
        let (db, ended) = (rig.db.clone(), ended.clone());
        async move {
            let (mut seen, mut last) = (Vec::new(), 0_i64);
            loop {
                let whole = ended.load(Ordering::SeqCst);
                let sql = "SELECT position FROM events WHERE position > $1 ORDER BY position";
                let rows = db.read().rows(sql, vec![last.into()]).await.unwrap();
                for row in &rows {
                    last = row.try_get("", "position").unwrap();
                    seen.push(last);
                }
                if whole {
                    return seen;
                }
                tokio::task::yield_now().await;
            }
        }
    });
    follow(&rig);
    follow(&other);
    for n in 0..60 {
        let entity = format!("e{}", n % 5);
        let client = rig.identity.event(
            rig.account(),
            ROTATED,
            &entity,
            json!({ "entity": format!("identity {entity}") }),
        );
        let wallet = rig.ledger.event(rig.account(), WALLET, &entity, json!({ "entity": entity }));
        tokio::join!(rig.identity.append(client), rig.ledger.append(wallet));
    }
    taken_in(&rig, 120).await;
    ended.store(true, Ordering::SeqCst);
    assert_eq!(reader.await.unwrap(), (1..=120).collect::<Vec<_>>());
    assert_in_order(&rig.db, 120).await;
}

async fn an_open_circuit_holds_a_first_attempt_ten_seconds_at_most(rig: Rig) {
    let now = rig.clock.now();
    let held = [None, Some(4_000), Some(3_600_000), Some(-1)];
    let mut expected = BTreeMap::new();
    for hold_ms in held {
        let hook: HookId = rig.hook(NOWHERE, &["*"]).await.id.parse().unwrap();
        let until_ms = hold_ms.map_or(0, |ms| now.plus_ms(ms).unix_ms());
        let sql = "UPDATE lanes SET failures = 9, failing_since_ms = $2, held_until_ms = $3 WHERE hook = $1";
        let values = &vec![hook.0.into(), now.unix_ms().into(), until_ms.into()];
        rig.db.write(|tx| Box::pin(async move { tx.run(sql, values.clone()).await })).await.unwrap();
        expected.insert(hook.0, now.plus_ms(hold_ms.unwrap_or(0).clamp(0, 10_000)));
    }
    follow(&rig);
    rig.happen(rig.account(), WALLET, "a", json!({ "entity": "a" })).await;
    taken_in(&rig, 1).await;
    for sql in ["SELECT hook, next_ms AS due FROM deliveries", "SELECT hook, due_ms AS due FROM lanes"] {
        let rows = rig.db.read().rows(sql, vec![]).await.unwrap();
        let due: BTreeMap<Uuid, Moment> = rows
            .iter()
            .map(|row| {
                (row.try_get("", "hook").unwrap(), Moment::from_unix_ms(row.try_get("", "due").unwrap()))
            })
            .collect();
        assert_eq!(due, expected, "{sql}");
    }
}

async fn what_makes_no_sense_stops_nobody(rig: Rig) {
    rig.hook(NOWHERE, &["*"]).await;
    let event =
        async |name: &str, data: &str| rig.happen(rig.account(), name, name, json!({ "entity": data })).await;
    let bad = event(WALLET, "bad").await;
    let sql = "UPDATE outbox SET data = '{\"entity\": ' WHERE event_id = $1";
    rig.ledger.db.write(|tx| Box::pin(async move { tx.run(sql, vec![bad.0.into()]).await })).await.unwrap();
    let unread = event("layer2:nobody:reads", "unread").await;
    let good = event(EXECUTED, "good").await;
    follow(&rig);
    taken_in(&rig, 2).await;
    let ids: Vec<Uuid> = stored(&rig.db).await.into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(ids, [unread.0, good.0]);
    assert_eq!(rig.count("events WHERE area = 0 AND position = 1").await, 1);
    assert_eq!(rig.count("deliveries").await, 1);
    assert_eq!(feed(&rig, "ledger").await.position, 3);
}
