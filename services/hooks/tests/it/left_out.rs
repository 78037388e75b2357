//! Events that are not taken in, and those that are all the same.

use crate::intake::{NOWHERE, ROTATED, WALLET, feed, follow, restart_feed, taken_in};
use crate::on_both;
use crate::rig::{Rig, until};
use beem_database::Sql as _;
use beem_hooks::store::purge;
use beem_proto::hooks::v1 as wire;
use serde_json::json;

on_both!(
    what_no_reader_takes_is_left_out_and_pulls_go_on,
    a_restart_does_not_bring_back_what_was_forgotten,
    without_a_restart_an_event_comes_however_late,
);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const KEPT_MS: i64 = 30 * DAY_MS;

async fn pulled(rig: &Rig) -> Vec<wire::Event> {
    let asked = wire::ListEventsRequest::default();
    let page = rig.call(&rig.owner, "", "/beem.hooks.v1.Events/ListEvents", asked).await;
    page.map(|answer: crate::rig::Answer<wire::ListEventsResponse>| answer.body.content).unwrap()
}

async fn what_no_reader_takes_is_left_out_and_pulls_go_on(rig: Rig) {
    rig.hook(NOWHERE, &["*"]).await;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(500), "}".repeat(500));
    let odd = ["[1]", "null", "7", r#"{"n": 1e999}"#, &deep, r#"{"a": "#];
    for data in odd {
        let event = rig.happen(rig.account(), WALLET, "odd", json!({})).await;
        let values = &vec![event.0.into(), data.into()];
        let sql = "UPDATE outbox SET data = $2 WHERE event_id = $1";
        rig.ledger.db.write(|tx| Box::pin(async move { tx.run(sql, values.clone()).await })).await.unwrap();
    }
    let good = rig.happen(rig.account(), WALLET, "good", json!({ "n": 1e300, "list": [[[1]]] })).await;
    follow(&rig);
    taken_in(&rig, 1).await;
    let events = pulled(&rig).await;
    assert_eq!(events.iter().map(|event| event.event_id.as_str()).collect::<Vec<_>>(), [good.to_string()]);
    assert_eq!(rig.count("deliveries").await, 1);
    let position = u64::try_from(odd.len()).unwrap() + 1;
    assert_eq!(feed(&rig, "ledger").await.position, position, "nothing stands still for it");
}

async fn a_restart_does_not_bring_back_what_was_forgotten(rig: Rig) {
    rig.hook(NOWHERE, &["*"]).await;
    follow(&rig);
    for entity in ["a", "b"] {
        rig.happen(rig.account(), WALLET, entity, json!({})).await;
    }
    taken_in(&rig, 2).await;
    let now = rig.clock.now().unix_ms();
    let sql = &format!("UPDATE deliveries SET status = 'DELIVERED', next_ms = NULL, ended_ms = {now}");
    rig.db.write(|tx| Box::pin(async move { tx.run(sql, vec![]).await })).await.unwrap();
    rig.clock.advance_ms(KEPT_MS + 1);
    assert_eq!(purge::deliveries(&rig.db, KEPT_MS, 100).await.unwrap(), 2);
    assert_eq!(purge::events(&rig.db, KEPT_MS, 100).await.unwrap(), 2);
    let young = rig.happen(rig.account(), WALLET, "c", json!({})).await;
    taken_in(&rig, 1).await;

    // Its source still has all of them.
    restart_feed(&rig, "ledger").await;
    until("it has come to the end again", async || feed(&rig, "ledger").await.position == 3).await;
    assert_eq!(rig.count("events").await, 1);
    assert_eq!(rig.count("deliveries").await, 1);
    // What is young enough to be kept and is missing comes back.
    let values = &vec![young.0.into()];
    let sql = "DELETE FROM events WHERE event_id = $1";
    rig.db.write(|tx| Box::pin(async move { tx.run(sql, values.clone()).await })).await.unwrap();
    rig.clock.advance_ms(KEPT_MS);
    restart_feed(&rig, "ledger").await;
    taken_in(&rig, 1).await;
    assert_eq!(pulled(&rig).await[0].event_id, young.to_string());
}

async fn without_a_restart_an_event_comes_however_late(mut rig: Rig) {
    rig.hook(NOWHERE, &["*"]).await;
    follow(&rig);
    rig.happen(rig.account(), WALLET, "a", json!({})).await;
    taken_in(&rig, 1).await;
    restart_feed(&rig, "ledger").await;
    until("it has come to the end again", async || feed(&rig, "ledger").await.position == 1).await;
    // We are away for long; what was made after the restart was never here.
    rig.restart().await;
    rig.clock.advance_ms(1);
    rig.happen(rig.account(), WALLET, "b", json!({})).await;
    rig.happen(rig.account(), ROTATED, "client", json!({})).await;
    rig.clock.advance_ms(2 * KEPT_MS);
    follow(&rig);
    taken_in(&rig, 3).await;
    assert_eq!(rig.count("deliveries").await, 3);
}
