//! Audit rows: with the write or not at all, pushed in order, and forgotten once they are old.

use crate::rig::{Rig, on_both};
use beem_database::Database;
use beem_events::Feed;
use beem_events::audit::{self, NewAuditRow, Trail};
use beem_fault::{Fault, Result};
use beem_ids::AccountId;
use beem_proto::authz::v1 as wire;
use futures::future::BoxFuture;
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

on_both!(
    a_row_comes_back_whole_and_is_pushed_once,
    a_row_of_a_write_that_did_not_happen_is_gone,
    a_row_arrives_at_once,
    nothing_is_lost_while_the_trail_is_away,
    a_trail_that_took_rows_and_died_is_told_again,
    a_push_is_bounded,
    what_is_pushed_and_old_is_forgotten,
);

/// Keeps rows as authz does, each once, and fails as often as told: before it takes them, or after.
#[derive(Default)]
struct Kept {
    rows: Mutex<Vec<wire::AuditRow>>,
    pushes: Mutex<Vec<usize>>,
    away: AtomicU32,
    deaf: AtomicU32,
}

fn still(failures: &AtomicU32) -> bool {
    failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

impl Trail for Kept {
    fn push(&self, rows: Vec<wire::AuditRow>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if still(&self.away) {
                return Err(Fault::unavailable("away"));
            }
            self.pushes.lock().unwrap().push(rows.len());
            let mut kept = self.rows.lock().unwrap();
            for row in rows {
                if kept.iter().all(|earlier| earlier.id != row.id) {
                    kept.push(row);
                }
            }
            if still(&self.deaf) { Err(Fault::unavailable("died")) } else { Ok(()) }
        })
    }
}

impl Kept {
    fn ids(&self) -> Vec<Uuid> {
        self.rows.lock().unwrap().iter().map(|row| row.id.parse().unwrap()).collect()
    }
}

/// Pushes, beside the feed's sequencer, while the story runs.
async fn pushing(db: &Database, trail: &Kept, story: impl Future<Output = ()>) {
    let feed = Feed::open(db.clone()).await.unwrap();
    let cancel = CancellationToken::new();
    let story = async {
        tokio::time::timeout(Duration::from_secs(30), story).await.expect("it moves");
        cancel.cancel();
    };
    tokio::join!(feed.sequence(cancel.clone()), audit::push(&feed, trail, cancel.clone()), story);
}

async fn until(look: impl AsyncFn() -> bool) {
    while !look().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn all_marked(db: &Database) -> bool {
    audit::unpushed(db, 1).await.unwrap().is_empty()
}

fn row(target: &str) -> NewAuditRow {
    NewAuditRow {
        account_id: Some(AccountId(Uuid::from_u128(7))),
        actor: json!({ "principal": "p1", "kind": "client" }),
        action: "CreateClient".into(),
        target_type: "client".into(),
        target_id: target.into(),
        outcome: "done".into(),
        before: None,
        after: Some(json!({ "name": "tills" })),
        address: "192.0.2.7".into(),
        key_fingerprint: "ab12".into(),
        request_id: "r1".into(),
    }
}

async fn record(db: &Database, new: &NewAuditRow) -> Uuid {
    db.write(|tx| Box::pin(audit::record(tx, new.clone()))).await.unwrap()
}

async fn a_row_comes_back_whole_and_is_pushed_once(rig: Rig) {
    let db = rig.process().await;
    let anonymous = NewAuditRow { account_id: None, before: Some(json!([1])), ..row("first") };
    let mut ids = vec![record(&db, &anonymous).await];
    for n in 0..4 {
        rig.clock.advance_ms(1);
        ids.push(record(&db, &row(&format!("c{n}"))).await);
    }
    let unpushed = audit::unpushed(&db, 2).await.unwrap();
    assert_eq!(
        unpushed.iter().map(|r| r.id).collect::<Vec<_>>(),
        ids[..2],
        "oldest first, no more than asked"
    );
    assert_eq!(unpushed[0].row, anonymous);
    assert_eq!(unpushed[1].row, row("c0"));
    assert_eq!(unpushed[1].time, rig.clock.now().plus_ms(-3));
    audit::mark_pushed(&db, &ids[..2]).await.unwrap();
    audit::mark_pushed(&db, &ids[..2]).await.unwrap();
    audit::mark_pushed(&db, &[]).await.unwrap();
    let left = audit::unpushed(&db, 100).await.unwrap();
    assert_eq!(left.iter().map(|r| r.id).collect::<Vec<_>>(), ids[2..]);
}

async fn a_row_of_a_write_that_did_not_happen_is_gone(rig: Rig) {
    let db = rig.process().await;
    let undone = db.write(|tx| {
        Box::pin(async move {
            audit::record(tx, row("never")).await?;
            Err::<(), _>(Fault::not_found("reason"))
        })
    });
    undone.await.unwrap_err();
    assert!(audit::unpushed(&db, 100).await.unwrap().is_empty());
}

async fn a_row_arrives_at_once(rig: Rig) {
    let db = rig.process().await;
    let trail = Kept::default();
    let began = Instant::now();
    let story = async {
        for n in 1..=20 {
            record(&db, &row("c")).await;
            until(async || trail.ids().len() == n && all_marked(&db).await).await;
        }
    };
    pushing(&db, &trail, story).await;
    assert!(began.elapsed() < Duration::from_secs(10), "woken, not found by looking once a second");
    let sent = trail.rows.lock().unwrap()[0].clone();
    let actor = wire::AuditActor { principal_id: String::new(), kind: "CLIENT".into(), name: String::new() };
    assert_eq!(sent.actor, Some(actor));
    assert_eq!((sent.account_id, sent.time_ms), (Uuid::from_u128(7).to_string(), rig.clock.now().unix_ms()));
    assert_eq!((sent.before.as_str(), sent.after.as_str()), ("", r#"{"name":"tills"}"#));
    assert_eq!(sent.target, Some(wire::AuditTarget { r#type: "client".into(), id: "c".into() }));
}

async fn nothing_is_lost_while_the_trail_is_away(rig: Rig) {
    let db = rig.process().await;
    let trail = Kept { away: AtomicU32::new(3), ..Kept::default() };
    let mut ids = vec![record(&db, &row("before")).await];
    let story = async {
        for n in 0..30 {
            rig.clock.advance_ms(1);
            ids.push(record(&db, &row(&format!("c{n}"))).await);
        }
        until(async || trail.ids().len() == 31 && all_marked(&db).await).await;
    };
    pushing(&db, &trail, story).await;
    assert_eq!(trail.ids(), ids, "in the order in which they were recorded");
}

async fn a_trail_that_took_rows_and_died_is_told_again(rig: Rig) {
    let db = rig.process().await;
    let trail = Kept { deaf: AtomicU32::new(2), ..Kept::default() };
    for n in 0..3 {
        rig.clock.advance_ms(1);
        record(&db, &row(&format!("c{n}"))).await;
    }
    pushing(&db, &trail, until(async || all_marked(&db).await)).await;
    assert_eq!(trail.ids().len(), 3);
    assert_eq!(trail.pushes.lock().unwrap().as_slice(), [3, 3, 3]);
}

async fn a_push_is_bounded(rig: Rig) {
    let db = rig.process().await;
    let trail = Kept::default();
    let large = NewAuditRow { before: Some(json!(["x".repeat(200_000)])), ..row("large") };
    let larger = NewAuditRow { before: Some(json!(["x".repeat(300_000)])), ..row("larger") };
    let fill = db.write(|tx| {
        let (large, larger) = (&large, &larger);
        Box::pin(async move {
            for n in 0..600 {
                audit::record(tx, row(&format!("c{n}"))).await?;
            }
            for _ in 0..12 {
                audit::record(tx, large.clone()).await?;
            }
            audit::record(tx, larger.clone()).await?;
            Ok(())
        })
    });
    fill.await.unwrap();
    pushing(&db, &trail, until(async || all_marked(&db).await)).await;
    let pushes = trail.pushes.lock().unwrap().clone();
    assert_eq!(pushes.iter().sum::<usize>(), 613);
    assert!(pushes.len() >= 3 && pushes.iter().all(|rows| *rows <= 500), "{pushes:?}");
    let sent = trail.rows.lock().unwrap();
    let before = |target: &str| {
        let found = sent.iter().find(|row| row.target.as_ref().unwrap().id == target);
        found.unwrap().before.clone()
    };
    assert!(before("large").starts_with(r#"{"value":["x"#), "what is no object becomes one");
    assert_eq!(before("larger"), r#"{"tooLargeBytes":300014}"#, "a row that no push could hold still goes");
}

async fn what_is_pushed_and_old_is_forgotten(rig: Rig) {
    let db = rig.process().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(record(&db, &row(&format!("c{n}"))).await);
        rig.clock.advance_ms(1000);
    }
    // The second was never pushed; the last two are young.
    let pushed: Vec<_> = ids.iter().copied().filter(|id| *id != ids[1]).collect();
    audit::mark_pushed(&db, &pushed).await.unwrap();
    assert_eq!(audit::purge(&db, 2000, 2).await.unwrap(), 2);
    assert_eq!(audit::purge(&db, 2000, 2).await.unwrap(), 1);
    assert_eq!(audit::purge(&db, 2000, 2).await.unwrap(), 0);
    assert!(!all_marked(&db).await, "what authz does not have stays");
    rig.clock.advance_ms(1_000_000);
    assert_eq!(audit::purge(&db, 2000, 100).await.unwrap(), 2);
}
