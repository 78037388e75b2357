//! Operators are told once of a hook that was disabled by itself, however long identity is away.

use crate::hooks::enable;
use crate::intake::NOWHERE;
use crate::on_both;
use crate::rig::{Rig, until};
use beem_database::Sql as _;
use beem_hooks::domain::DisabledReason;
use beem_hooks::store::notices;
use beem_ids::HookId;
use beem_proto::hooks::v1 as wire;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

on_both!(
    every_operator_gets_one_mail_whoever_sends_it,
    while_identity_is_away_nothing_is_lost,
    nobody_to_tell_is_no_reason_to_wait,
    one_that_is_enabled_again_is_told_of_to_nobody,
    a_hook_makes_one_mail_an_hour,
    a_mail_says_since_when_something_may_have_been_missed,
);

const HOUR_MS: i64 = 60 * 60 * 1000;

const URL: &str = "https://shop.example/beem?token=very-secret";

fn run(rig: &Rig) {
    rig.run_task("hooks-notices");
    rig.run_task("hooks-mailer");
}

async fn disable(rig: &Rig, hook: &wire::Hook, reason: DisabledReason) {
    let hook: HookId = hook.id.parse().unwrap();
    let disabled = rig.db.write(|tx| {
        Box::pin(async move {
            let sql = "UPDATE hooks SET enabled = $2, disabled_reason = $3 WHERE id = $1";
            tx.run(sql, vec![hook.0.into(), false.into(), reason.as_str().into()]).await?;
            notices::add(tx, hook, reason).await
        })
    });
    disabled.await.unwrap();
}

async fn told(rig: &Rig) {
    until("the notice is gone", async || rig.count("notices").await == 0).await;
}

async fn every_operator_gets_one_mail_whoever_sends_it(rig: Rig) {
    let hook = rig.hook(URL, &["*"]).await;
    rig.operators.set(rig.account(), &["ada@example.com", "not an address", "grace@example.com"]);
    rig.operators.set(rig.stranger().account, &["eve@example.com"]);
    disable(&rig, &hook, DisabledReason::Failing).await;
    let other = rig.another().await;
    other.run_task("hooks-notices");
    run(&rig);
    told(&rig).await;
    until("both mails are there", async || rig.mails().len() == 2).await;
    let mails = rig.mails();
    for address in ["<ada@example.com>", "<grace@example.com>"] {
        assert!(mails.iter().any(|mail| mail.to.ends_with(address)), "{address}");
    }
    // It was made just now, so it has missed nothing older.
    let since = format!("{{\"since\": \"{}\"}}", rig.clock.now().rfc3339());
    for mail in mails {
        assert_eq!(mail.subject, "A hook was disabled");
        for part in [&hook.id, "https://shop.example/beem", "five days", &since] {
            assert!(mail.text.contains(part), "{part} in {}", mail.text);
        }
        assert!(!mail.text.contains("very-secret"), "{}", mail.text);
    }
    let asked = &rig.operators.asked()[0];
    assert_eq!(
        (asked.account_id.as_str(), asked.role.as_str()),
        (rig.account().to_string().as_str(), "hook:operator")
    );
    assert_eq!(rig.count("mails").await, 2);
}

async fn while_identity_is_away_nothing_is_lost(mut rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    rig.operators.set(rig.account(), &["ada@example.com"]);
    disable(&rig, &hook, DisabledReason::Gone).await;
    rig.directory.close();
    run(&rig);
    let began = Instant::now();
    let calls = AtomicUsize::new(0);
    until("it has asked twice", async || {
        let new = rig.directory.calls().len();
        calls.fetch_add(new, Ordering::Relaxed) + new >= 2
    })
    .await;
    assert!(began.elapsed() >= Duration::from_secs(1), "it does not ask all the time");
    assert_eq!((rig.count("notices").await, rig.count("mails").await), (1, 0));
    rig.restart().await;
    rig.directory.open();
    run(&rig);
    told(&rig).await;
    until("the mail is there", async || rig.mails().len() == 1).await;
    assert!(rig.mails()[0].text.contains("410"));
}

async fn nobody_to_tell_is_no_reason_to_wait(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    let deleted = rig.hook(NOWHERE, &["*"]).await;
    disable(&rig, &hook, DisabledReason::Gone).await;
    run(&rig);
    told(&rig).await;
    let asked = rig.operators.asked().len();
    rig.operators.set(rig.account(), &["ada@example.com"]);
    let ended = wire::DeleteHookRequest { id: deleted.id.clone() };
    let ended =
        rig.call::<_, wire::Hook>(&rig.owner, &rig.key(), "/beem.hooks.v1.Hooks/DeleteHook", ended).await;
    ended.unwrap();
    disable(&rig, &deleted, DisabledReason::Failing).await;
    told(&rig).await;
    assert_eq!(rig.count("mails").await, 0);
    assert_eq!(rig.operators.asked().len(), asked, "whoever deleted it knows");
}

async fn one_that_is_enabled_again_is_told_of_to_nobody(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    rig.operators.set(rig.account(), &["ada@example.com"]);
    for _ in 0..3 {
        disable(&rig, &hook, DisabledReason::Gone).await;
    }
    enable(&rig, &hook.id, true).await;
    run(&rig);
    told(&rig).await;
    assert_eq!((rig.count("mails").await, rig.operators.asked().len()), (0, 0));
    disable(&rig, &hook, DisabledReason::Gone).await;
    told(&rig).await;
    assert_eq!(rig.count("mails").await, 1, "nobody was told before");
}

async fn a_hook_makes_one_mail_an_hour(mut rig: Rig) {
    let (hook, other) = (rig.hook(NOWHERE, &["*"]).await, rig.hook(NOWHERE, &["*"]).await);
    rig.operators.set(rig.account(), &["ada@example.com", "grace@example.com"]);
    let again = async |rig: &Rig| {
        enable(rig, &hook.id, true).await;
        disable(rig, &hook, DisabledReason::Gone).await;
        told(rig).await;
    };
    run(&rig);
    again(&rig).await;
    assert_eq!(rig.count("mails").await, 2);
    for _ in 0..2 {
        again(&rig).await;
    }
    assert_eq!((rig.count("mails").await, rig.operators.asked().len()), (2, 1), "both know");
    disable(&rig, &other, DisabledReason::Gone).await;
    told(&rig).await;
    assert_eq!(rig.count("mails").await, 4, "of another hook they do not");
    rig.restart().await;
    run(&rig);
    rig.clock.advance_ms(HOUR_MS - 1);
    again(&rig).await;
    assert_eq!(rig.count("mails").await, 4, "whoever asks");
    rig.clock.advance_ms(1);
    again(&rig).await;
    assert_eq!(rig.count("mails").await, 6);
}

async fn a_mail_says_since_when_something_may_have_been_missed(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    rig.operators.set(rig.account(), &["ada@example.com"]);
    rig.clock.advance_ms(20 * 24 * HOUR_MS);
    disable(&rig, &hook, DisabledReason::Failing).await;
    run(&rig);
    until("the mail is there", async || rig.mails().len() == 1).await;
    let since = rig.clock.now().plus_ms(-16 * 24 * HOUR_MS).rfc3339();
    assert!(rig.mails()[0].text.contains(&format!("\"since\": \"{since}\"")), "{}", rig.mails()[0].text);
}
