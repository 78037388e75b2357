//! The task that sends: killed, refused, put off, several at once; never lost, and once as long as nothing dies.

use crate::rig::{Answer, LATER, NEVER, Rig, Script, eventually, invitation, on_both, row, row_when};
use beem_mail::{NewMail, Stage, Undelivered};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::Notify;

on_both!(
    killed_between_sending_and_noting_it_sends_again,
    told_to_stop_it_ends_what_it_began,
    what_is_not_taken_is_tried_again_after_growing_waits,
    what_is_never_taken_fails_at_once,
    what_is_not_taken_for_three_days_fails,
    a_template_that_fails_or_panics_holds_nobody_up,
    two_mailers_send_each_mail_once,
    a_mail_that_was_sent_after_its_lease_is_not_sent_again,
);

const LEASE_MS: i64 = 61_000;

async fn killed_between_sending_and_noting_it_sends_again(rig: Rig) {
    let db = rig.process().await;
    let script = Script::new([Answer::Silence]);
    let running = rig.mailer(script.clone()).await;
    let id = rig.invite(&db, "ada@example.com").await;
    eventually("delivered", || async { (script.count() == 1).then_some(()) }).await;
    running.kill().await;
    let left = row(&db, id).await.unwrap();
    assert!(left.leased && !left.sent && left.payload.is_some());
    // Another process leaves it alone until the lease has lapsed.
    let running = rig.mailer(script.clone()).await;
    let other = rig.invite(&db, "bob@example.com").await;
    row_when(&db, other, "the other is sent", |row| row.sent).await;
    assert_eq!(script.ids(), [id, other]);
    rig.clock.advance_ms(LEASE_MS);
    let row = row_when(&db, id, "sent again", |row| row.sent).await;
    running.stop().await;
    assert_eq!((row.attempts, row.payload), (2, None));
    assert_eq!(script.ids(), [id, other, id]);
    let taken = script.taken.lock().unwrap();
    assert!(taken[0].bytes == taken[2].bytes, "the same mail, byte for byte");
}

async fn told_to_stop_it_ends_what_it_began(rig: Rig) {
    let db = rig.process().await;
    let told = Arc::new(Notify::new());
    let script = Script::new([Answer::Wait(told.clone())]);
    let running = rig.mailer(script.clone()).await;
    let id = rig.invite(&db, "ada@example.com").await;
    eventually("delivered", || async { (script.count() == 1).then_some(()) }).await;
    told.notify_one();
    running.stop().await;
    assert!(row(&db, id).await.unwrap().sent);
    // What does not end is given back, for another to send at once.
    let script = Script::new([Answer::Silence]);
    let running = rig.mailer(script.clone()).await;
    let id = rig.invite(&db, "bob@example.com").await;
    eventually("delivered", || async { (script.count() == 1).then_some(()) }).await;
    running.stop().await;
    assert!(!row(&db, id).await.unwrap().leased);
    let running = rig.mailer(script.clone()).await;
    row_when(&db, id, "sent", |row| row.sent).await;
    running.stop().await;
    assert_eq!(script.ids(), [id, id]);
}

async fn what_is_not_taken_is_tried_again_after_growing_waits(rig: Rig) {
    let db = rig.process().await;
    let script = Script::new([LATER, LATER, LATER].map(Answer::Refuse));
    let running = rig.mailer(script.clone()).await;
    let id = rig.invite(&db, "ada@example.com").await;
    for (attempts, wait_ms) in [(1, 5_000), (2, 30_000), (3, 120_000)] {
        let row = row_when(&db, id, "put off", |row| row.attempts == attempts && !row.leased).await;
        assert_eq!((row.wait_ms, row.last_error.as_deref()), (wait_ms, Some("connect")));
        assert!(row.payload.is_some() && !row.sent && !row.failed);
        rig.clock.advance_ms(wait_ms);
    }
    row_when(&db, id, "sent in the end", |row| row.sent && row.attempts == 4).await;
    running.stop().await;
    assert_eq!(script.ids(), [id]);
}

async fn what_is_never_taken_fails_at_once(rig: Rig) {
    let db = rig.process().await;
    let script = Script::new([Answer::Refuse(NEVER)]);
    let running = rig.mailer(script.clone()).await;
    let id = rig.invite(&db, "ada@example.com").await;
    let row = row_when(&db, id, "failed", |row| row.failed).await;
    assert_eq!((row.attempts, row.payload, row.sent), (1, None, false));
    assert_eq!(row.last_error.as_deref(), Some("recipient 550"));
    running.stop().await;
    assert_eq!(script.count(), 0);
}

async fn what_is_not_taken_for_three_days_fails(rig: Rig) {
    let db = rig.process().await;
    let refusals = std::iter::repeat_with(|| Answer::Refuse(LATER)).take(2);
    let script = Script::new(refusals);
    let running = rig.mailer(script.clone()).await;
    let id = rig.invite(&db, "ada@example.com").await;
    row_when(&db, id, "put off", |row| row.attempts == 1 && !row.leased).await;
    rig.clock.advance_ms(72 * 60 * 60 * 1000);
    let row = row_when(&db, id, "failed", |row| row.failed).await;
    assert_eq!((row.attempts, row.payload), (2, None));
    running.stop().await;
}

async fn a_template_that_fails_or_panics_holds_nobody_up(rig: Rig) {
    let db = rig.process().await;
    let script = Script::new([]);
    let broken = [("panics", "panic"), ("fails", "render")];
    let mut ids = Vec::new();
    for (kind, error) in broken {
        let mail = &NewMail { to: "eve@example.com".into(), kind, content: json!({}) };
        ids.push((db.write(|tx| Box::pin(rig.queue.add(tx, mail))).await.unwrap(), error));
    }
    let good = rig.invite(&db, "ada@example.com").await;
    let running = rig.mailer(script.clone()).await;
    row_when(&db, good, "sent", |row| row.sent).await;
    for (id, error) in ids {
        let row = row_when(&db, id, "put off", |row| row.attempts == 1 && !row.leased).await;
        assert_eq!(row.last_error.as_deref(), Some(error));
    }
    running.stop().await;
    assert_eq!(script.ids(), [good]);
}

async fn two_mailers_send_each_mail_once(rig: Rig) {
    let db = rig.process().await;
    let script = Script::new([]);
    let (one, two) = (rig.mailer(script.clone()).await, rig.mailer(script.clone()).await);
    let mut ids = Vec::new();
    for round in 0..4 {
        let mails: Vec<_> = (0..10).map(|n| invitation(&format!("ada{round}{n}@example.com"))).collect();
        let mails = &mails;
        let queued = db.write(|tx| {
            Box::pin(async {
                let mut ids = Vec::new();
                for mail in mails {
                    ids.push(rig.queue.add(tx, mail).await?);
                }
                Ok(ids)
            })
        });
        ids.extend(queued.await.unwrap());
    }
    for id in &ids {
        row_when(&db, *id, "sent", |row| row.sent && row.attempts == 1).await;
    }
    one.stop().await;
    two.stop().await;
    let mut sent = script.ids();
    sent.sort();
    ids.sort();
    assert!(sent == ids, "{} sent of {}", sent.len(), ids.len());
    assert!(script.most_under_way.load(Ordering::SeqCst) <= 8, "four at once each");
}

async fn a_mail_that_was_sent_after_its_lease_is_not_sent_again(rig: Rig) {
    let db = rig.process().await;
    let told = Arc::new(Notify::new());
    let refused = Undelivered { stage: Stage::Content, code: Some(451), permanent: false };
    let script = Script::new([Answer::Wait(told.clone()), Answer::Refuse(refused)]);
    let slow = rig.mailer(script.clone()).await;
    let id = rig.invite(&db, "ada@example.com").await;
    eventually("delivered", || async { (script.count() == 1).then_some(()) }).await;
    rig.clock.advance_ms(LEASE_MS);
    // Another takes it over and is refused; then the first says that it was taken after all.
    row_when(&db, id, "taken over and put off", |row| row.attempts == 2 && !row.leased).await;
    told.notify_one();
    let row = row_when(&db, id, "sent", |row| row.sent).await;
    assert_eq!((row.payload, row.failed), (None, false));
    slow.stop().await;
    assert_eq!(script.ids(), [id]);
}
