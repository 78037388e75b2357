//! The queue itself: what a transaction leaves in it, what it keeps to itself, and what it forgets.

use crate::rig::{Rig, Script, TOKEN, invitation, on_both, row, row_when};
use beem_clock::Entropy;
use beem_fault::{Fault, Result};
use beem_mail::{MailQueue, MailSettings, Mailer, Resealed, purge, reseal};

use beem_sealing::{Sealing, SealingKey};
use beem_telemetry::Telemetry;

use uuid::Uuid;

on_both!(
    what_was_rolled_back_is_never_sent,
    a_token_lies_in_no_row_and_goes_when_it_was_sent,
    what_is_not_an_address_is_not_queued,
    a_rotation_seals_what_waits_again,
    only_what_has_ended_is_forgotten,
    without_a_way_out_there_is_no_mailer,
);

async fn what_was_rolled_back_is_never_sent(rig: Rig) {
    let db = rig.process().await;
    let script = Script::new([]);
    let running = rig.mailer(script.clone()).await;
    let mail = &invitation("eve@example.com");
    let refused: Result<Uuid> = db
        .write(|tx| {
            Box::pin(async {
                rig.queue.add(tx, mail).await?;
                Err(Fault::not_found("inviter"))
            })
        })
        .await;
    assert!(refused.is_err());
    let id = rig.invite(&db, "ada@example.com").await;
    row_when(&db, id, "the second is sent", |row| row.sent).await;
    running.stop().await;
    assert_eq!(script.ids(), [id]);
}

async fn a_token_lies_in_no_row_and_goes_when_it_was_sent(rig: Rig) {
    let db = rig.process().await;
    let id = rig.invite(&db, "ada@example.com").await;
    let payload = row(&db, id).await.unwrap().payload.unwrap();
    assert!(!payload.windows(TOKEN.len()).any(|bytes| bytes == TOKEN.as_bytes()));
    let script = Script::new([]);
    let running = rig.mailer(script.clone()).await;
    let row = row_when(&db, id, "sent", |row| row.sent).await;
    assert_eq!(row.payload, None);
    let text = String::from_utf8(script.taken.lock().unwrap()[0].bytes.clone()).unwrap();
    assert!(text.contains(TOKEN), "{text}");
    running.stop().await;
}

async fn what_is_not_an_address_is_not_queued(rig: Rig) {
    let db = rig.process().await;
    for to in ["ada", "ada@example.com\r\nBcc: eve@example.com", "Ada <ada@example.com>"] {
        let mail = &invitation(to);
        let fault = db.write(|tx| Box::pin(rig.queue.add(tx, mail))).await.unwrap_err();
        assert!(!format!("{fault:?}").contains("ada"), "{fault:?}");
    }
}

async fn a_rotation_seals_what_waits_again(mut rig: Rig) {
    let db = rig.process().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(rig.invite(&db, &format!("ada{n}@example.com")).await);
    }
    let fresh = SealingKey::draw(&Entropy::System);
    let both = Sealing::new(vec![fresh.clone(), rig.key.clone()]).unwrap();
    let rounds = [(2, true), (2, true), (1, false), (0, false)];
    for (resealed, more) in rounds {
        assert_eq!(reseal(&db, &both, 2).await.unwrap(), Resealed { resealed, more });
    }
    // From here on without the key they were sealed with.
    let queue = MailQueue::new(Sealing::new(vec![fresh]).unwrap());
    let script = Script::new([]);
    rig.queue = queue;
    let running = rig.mailer(script.clone()).await;
    for id in &ids {
        row_when(&db, *id, "sent", |row| row.sent).await;
    }
    running.stop().await;
    assert_eq!(script.count(), ids.len());
}

async fn only_what_has_ended_is_forgotten(rig: Rig) {
    let db = rig.process().await;
    let script = Script::new([]);
    let running = rig.mailer(script).await;
    let (a, b) = (rig.invite(&db, "a@example.com").await, rig.invite(&db, "b@example.com").await);
    for id in [a, b] {
        row_when(&db, id, "sent", |row| row.sent).await;
    }
    running.stop().await;
    let waiting = rig.invite(&db, "c@example.com").await;
    assert_eq!(purge(&db, 1000, 10).await.unwrap(), 0);
    rig.clock.advance_ms(1000);
    assert_eq!(purge(&db, 1000, 1).await.unwrap(), 1);
    assert_eq!(purge(&db, 1000, 10).await.unwrap(), 1);
    assert_eq!((row(&db, a).await, row(&db, b).await), (None, None));
    assert!(row(&db, waiting).await.is_some());
}

async fn without_a_way_out_there_is_no_mailer(rig: Rig) {
    let mailer = |settings: MailSettings| {
        let queue = rig.queue.clone();
        let db = rig.process();
        async move { Mailer::new(db.await, queue, &settings, crate::rig::render, Telemetry::off()).err() }
    };
    let fault = mailer(MailSettings::default()).await.unwrap();
    assert_eq!(fault.fields[0].field, "smtp");
    let fault = mailer(MailSettings { from: "nobody".into(), ..MailSettings::default() }).await.unwrap();
    assert_eq!(fault.fields[0].field, "from");
}
