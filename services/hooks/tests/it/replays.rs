//! Replays: what was missed is sent, what was acknowledged or is under way is not sent again, whoever dies or works on it.

use crate::hooks::enable;
use crate::intake::{EXECUTED, NOWHERE, WALLET, follow, taken_in};
use crate::on_both;
use crate::rig::{Base, Hooks, Refusal, Rig, until};
use beem_clock::Moment;
use beem_database::Sql as _;
use beem_ids::HookId;
use beem_proto::hooks::v1 as wire;
use beem_proto::to_timestamp;
use serde_json::json;

on_both!(
    a_hook_gets_what_came_before_it_from_the_time_asked_for,
    what_failed_is_tried_anew_and_nothing_else,
    a_replay_goes_on_after_a_kill_and_sends_nothing_twice,
    overlapping_replays_in_two_processes_send_each_event_once,
    the_replay_of_a_hook_that_is_disabled_ends,
    asking_again_widens_the_one_that_waits,
    one_that_fails_holds_up_no_other,
    what_it_looks_up_holds_up_no_intake,
);

const TASK: &str = "hooks-replays";

async fn ask(rig: &Rig, hook: &wire::Hook, since: Moment) -> Result<wire::ReplayHookResponse, Refusal> {
    let since = Some(to_timestamp(since.unix_ms()));
    let asked = wire::ReplayHookRequest { id: hook.id.clone(), since };
    let answer = rig.call(&rig.owner, &rig.key(), "/beem.hooks.v1.Hooks/ReplayHook", asked).await;
    answer.map(|answer| answer.body)
}

async fn worked_off(rig: &Rig, process: &Hooks) {
    process.run_task(TASK);
    until("the replays are worked off", async || rig.count("replays").await == 0).await;
}

/// So many wallets of the owner, taken in.
async fn wallets(rig: &Rig, count: usize) {
    let before = rig.count("events").await;
    let event = |n: usize| rig.ledger.event(rig.account(), WALLET, &format!("w{}", n % 9), json!({ "n": n }));
    for part in (0..count).map(event).collect::<Vec<_>>().chunks(500) {
        rig.ledger.append_all(part.to_vec()).await;
    }
    taken_in(rig, before + i64::try_from(count).unwrap()).await;
}

async fn change(rig: &Rig, sql: &str) {
    rig.db.write(|tx| Box::pin(async move { tx.run(sql, vec![]).await })).await.unwrap();
}

async fn a_hook_gets_what_came_before_it_from_the_time_asked_for(rig: Rig) {
    follow(&rig);
    let began = rig.clock.now();
    wallets(&rig, 3).await;
    rig.clock.advance_ms(60_000);
    let middle = rig.clock.now();
    wallets(&rig, 1_200).await;
    rig.happen(rig.stranger().account, WALLET, "strange", json!({})).await;
    rig.happen(rig.account(), EXECUTED, "quote", json!({})).await;
    taken_in(&rig, 1_205).await;
    rig.clock.advance_ms(60_000);
    let hook = rig.hook(NOWHERE, &[WALLET]).await;
    let answer = ask(&rig, &hook, middle).await.unwrap();
    assert_eq!(answer.until, Some(to_timestamp(rig.clock.now().unix_ms())));
    worked_off(&rig, &rig).await;
    assert_eq!(rig.count("deliveries").await, 1_200);
    let due = format!("next_ms = {} AND status = 'PENDING' AND tries = 0", rig.clock.now().unix_ms());
    assert_eq!(rig.count(&format!("deliveries WHERE {due}")).await, 1_200);
    assert_eq!(rig.count(&format!("lanes WHERE due_ms = {}", rig.clock.now().unix_ms())).await, 1);
    // A moment after the last one, and one before the first.
    ask(&rig, &hook, rig.clock.now()).await.unwrap();
    assert_eq!(rig.count("replays").await, 0, "there is nothing to do");
    ask(&rig, &hook, middle.plus_ms(-1)).await.unwrap();
    ask(&rig, &hook, began.plus_ms(-1)).await.unwrap();
    until("they are worked off", async || rig.count("replays").await == 0).await;
    assert_eq!(rig.count("deliveries").await, 1_203);
    assert_eq!(
        rig.count("deliveries d JOIN events e ON e.event_id = d.event_id WHERE e.event = d.event").await,
        1_203
    );
}

async fn what_failed_is_tried_anew_and_nothing_else(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    follow(&rig);
    wallets(&rig, 12).await;
    let ended = rig.clock.now().unix_ms();
    let some = |rest: i64| format!("event_id IN (SELECT event_id FROM events WHERE position % 3 = {rest})");
    let end = |status: &str, rest| {
        format!(
            "UPDATE deliveries SET status = '{status}', attempts = 11, tries = 11, next_ms = NULL, ended_ms = {ended} \
             WHERE {}",
            some(rest)
        )
    };
    change(&rig, &end("FAILED", 0)).await;
    change(&rig, &end("DELIVERED", 1)).await;
    change(
        &rig,
        &format!("UPDATE deliveries SET tries = 3, attempts = 3, next_ms = {} WHERE {}", ended + 77, some(2)),
    )
    .await;
    change(&rig, "UPDATE lanes SET due_ms = NULL").await;
    rig.clock.advance_ms(5_000);
    let now = rig.clock.now().unix_ms();
    ask(&rig, &hook, rig.clock.now().plus_ms(-10_000)).await.unwrap();
    worked_off(&rig, &rig).await;
    let anew = format!(
        "status = 'PENDING' AND attempts = 11 AND tries = 0 AND next_ms = {now} AND ended_ms IS NULL"
    );
    assert_eq!(rig.count(&format!("deliveries WHERE {anew} AND {}", some(0))).await, 4);
    assert_eq!(rig.count(&format!("deliveries WHERE status = 'DELIVERED' AND {}", some(1))).await, 4);
    let as_before = format!("status = 'PENDING' AND tries = 3 AND next_ms = {}", ended + 77);
    assert_eq!(rig.count(&format!("deliveries WHERE {as_before} AND {}", some(2))).await, 4);
    assert_eq!(rig.count(&format!("lanes WHERE due_ms = {now}")).await, 1);
}

async fn a_replay_goes_on_after_a_kill_and_sends_nothing_twice(mut rig: Rig) {
    follow(&rig);
    wallets(&rig, 3_000).await;
    let hook = rig.hook(NOWHERE, &["*"]).await;
    ask(&rig, &hook, rig.clock.now()).await.unwrap();
    for least in [1, 1_001] {
        rig.run_task(TASK);
        until("some of it is done", async || rig.count("deliveries").await >= least).await;
        rig.restart().await;
    }
    worked_off(&rig, &rig).await;
    assert_eq!(rig.count("deliveries").await, 3_000);
}

async fn overlapping_replays_in_two_processes_send_each_event_once(rig: Rig) {
    follow(&rig);
    let began = rig.clock.now();
    wallets(&rig, 700).await;
    rig.clock.advance_ms(1_000);
    let middle = rig.clock.now();
    wallets(&rig, 700).await;
    let (one, two) = (rig.hook(NOWHERE, &["*"]).await, rig.hook(NOWHERE, &["*"]).await);
    for since in [began, middle, began] {
        ask(&rig, &one, since).await.unwrap();
        ask(&rig, &two, since).await.unwrap();
    }
    let other = rig.another().await;
    other.run_task(TASK);
    // New ones come in meanwhile.
    rig.run_task(TASK);
    wallets(&rig, 300).await;
    until("the replays are worked off", async || rig.count("replays").await == 0).await;
    assert_eq!(rig.count("deliveries").await, 2 * 1_700);
}

async fn the_replay_of_a_hook_that_is_disabled_ends(rig: Rig) {
    follow(&rig);
    wallets(&rig, 5).await;
    let hook = rig.hook(NOWHERE, &["*"]).await;
    ask(&rig, &hook, rig.clock.now()).await.unwrap();
    enable(&rig, &hook.id, false).await;
    worked_off(&rig, &rig).await;
    assert_eq!(rig.count("deliveries").await, 0);
    assert_eq!(ask(&rig, &hook, rig.clock.now()).await.unwrap_err().code(), "hook-disabled");
}

async fn asking_again_widens_the_one_that_waits(rig: Rig) {
    follow(&rig);
    let mut began = Vec::new();
    for count in [2, 3, 4] {
        rig.clock.advance_ms(1_000);
        began.push(rig.clock.now());
        wallets(&rig, count).await;
    }
    let (hook, other) = (rig.hook(NOWHERE, &["*"]).await, rig.hook(NOWHERE, &["*"]).await);
    let stretch = async |hook: &wire::Hook| {
        let sql = "SELECT after_position, until_position FROM replays WHERE hook = $1";
        let id: HookId = hook.id.parse().unwrap();
        let rows = rig.db.read().rows(sql, vec![id.0.into()]).await.unwrap();
        let [row] = rows.as_slice() else { panic!("{} replays", rows.len()) };
        (row.try_get::<i64>("", "after_position").unwrap(), row.try_get::<i64>("", "until_position").unwrap())
    };
    ask(&rig, &hook, began[1]).await.unwrap();
    ask(&rig, &other, began[2]).await.unwrap();
    assert_eq!((stretch(&hook).await, stretch(&other).await), ((2, 9), (5, 9)));
    wallets(&rig, 1).await;
    ask(&rig, &hook, began[2]).await.unwrap();
    assert_eq!(stretch(&hook).await, (2, 10), "nothing that was asked for is left out");
    ask(&rig, &hook, began[0]).await.unwrap();
    assert_eq!((stretch(&hook).await, stretch(&other).await), ((0, 10), (5, 9)));
    worked_off(&rig, &rig).await;
    // The other was there when the last one came.
    assert_eq!(rig.count("deliveries").await, 10 + 4 + 1);
}

/// A row that cannot be read stands for whatever may be wrong with one.
async fn one_that_fails_holds_up_no_other(rig: Rig) {
    follow(&rig);
    let began = rig.clock.now();
    wallets(&rig, 600).await;
    let mut hooks = Vec::new();
    for n in 0..3 {
        let hook = rig.hook(&format!("{NOWHERE}/{n}"), &["*"]).await;
        ask(&rig, &hook, began).await.unwrap();
        hooks.push(hook);
    }
    let codes =
        |codes: &str, url: &str| format!("UPDATE hooks SET event_codes = '{codes}' WHERE url = '{url}'");
    change(&rig, &codes("garbled", &hooks[0].url)).await;
    rig.run_task(TASK);
    until("the others are worked off", async || rig.count("replays").await == 1).await;
    assert_eq!(rig.count("deliveries").await, 2 * 600);
    change(&rig, &codes("[\"*\"]", &hooks[0].url)).await;
    until("it goes on", async || rig.count("replays").await == 0).await;
    assert_eq!(rig.count("deliveries").await, 3 * 600);
}

async fn what_it_looks_up_holds_up_no_intake(rig: Rig) {
    if rig.base == Base::Sqlite {
        return;
    }
    let hook = rig.hook(NOWHERE, &["*"]).await;
    let held = rig.holding("LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await;
    let waiting = "pg_locks WHERE NOT granted AND relation = 'events'::regclass";
    let asks = ask(&rig, &hook, rig.clock.now());
    let looks = async {
        until("it looks for the events", async || rig.count(waiting).await == 1).await;
        change(&rig, "SELECT head FROM intake FOR UPDATE NOWAIT").await;
        held.let_go().await;
    };
    let (asked, ()) = futures::join!(asks, looks);
    asked.unwrap();
}
