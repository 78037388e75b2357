//! Operators are told once of a hook that was disabled by itself, however long identity is away.

use crate::intake::NOWHERE;
use crate::on_both;
use crate::rig::{Rig, until};
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
);

const URL: &str = "https://shop.example/beem?token=very-secret";

fn run(rig: &Rig) {
    rig.run_task("hooks-notices");
    rig.run_task("hooks-mailer");
}

async fn disable(rig: &Rig, hook: &wire::Hook, reason: DisabledReason) {
    let hook: HookId = hook.id.parse().unwrap();
    rig.db.write(|tx| Box::pin(notices::add(tx, hook, reason))).await.unwrap();
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
