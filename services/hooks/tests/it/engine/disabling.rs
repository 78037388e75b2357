//! When a hook is disabled by itself, what becomes of what waits for it, and what forgives.

use super::{advance_to_next, count, get, happen};
use crate::on_both;
use crate::receiver::{Answer, Receiver};
use crate::rig::{Rig, until};
use beem_proto::hooks::v1 as wire;
use prost_types::FieldMask;
use std::time::Duration;
use tokio::time::Instant;

on_both!(
    gone_disables_at_once_and_ends_what_waits,
    five_days_of_nothing_but_failures_disable_and_tell_the_operators,
    a_time_in_which_nothing_was_tried_disables_nobody,
    one_success_in_five_days_forgives,
    what_the_receiver_before_said_disables_nobody,
    a_hook_that_an_operator_disables_is_sent_nothing_more,
);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

async fn update(rig: &Rig, asked: wire::UpdateHookRequest, field: &str) -> wire::Hook {
    let asked =
        wire::UpdateHookRequest { present: Some(FieldMask { paths: vec![field.to_owned()] }), ..asked };
    rig.call(&rig.owner, &rig.key(), "/beem.hooks.v1.Hooks/UpdateHook", asked).await.unwrap().body
}

async fn gone_disables_at_once_and_ends_what_waits(rig: Rig) {
    let receiver = Receiver::start(Answer::status(500)).await;
    let hook = rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    happen(&rig, "waits").await;
    count(&rig, 1, "deliveries WHERE attempts = 1").await;
    receiver.answers(Answer::status(410));
    happen(&rig, "gone").await;
    count(&rig, 2, "deliveries WHERE status = 'FAILED' AND next_ms IS NULL AND ended_ms IS NOT NULL").await;
    let hook = get(&rig, &hook.id).await;
    assert_eq!((hook.enabled, hook.disabled_reason()), (false, "GONE"));
    count(&rig, 1, "audit_rows WHERE action = 'DisableHook' AND outcome = 'done'").await;
    count(&rig, 1, "lanes WHERE NOT closing AND due_ms IS NULL AND owner IS NULL").await;
    // Nothing is made for it any more, and nothing is sent: not while another's is, and not when a day has gone.
    let other = Receiver::start(Answer::ok()).await;
    rig.hook(&other.url(), &["*"]).await;
    for (n, wait_ms) in [(1, 0), (2, DAY_MS)] {
        rig.clock.advance_ms(wait_ms);
        happen(&rig, "after").await;
        count(&rig, n, "deliveries WHERE status = 'DELIVERED'").await;
    }
    assert_eq!((other.received().len(), receiver.received().len()), (2, 2));
    assert_eq!((rig.count("deliveries").await, rig.count("attempts").await), (4, 4));
}

async fn five_days_of_nothing_but_failures_disable_and_tell_the_operators(rig: Rig) {
    rig.operators.set(rig.account(), &["ada@example.com"]);
    let (_receiver, hook) = failed_once(&rig).await;
    fails_daily(&rig, 4).await;
    rig.clock.advance_ms(DAY_MS - 1);
    count(&rig, 1, "deliveries WHERE attempts = 6 AND status = 'PENDING'").await;
    assert!(get(&rig, &hook.id).await.enabled, "not a moment before");
    rig.clock.advance_ms(DAY_MS);
    count(&rig, 1, "deliveries WHERE attempts = 7 AND status = 'FAILED'").await;
    let hook = get(&rig, &hook.id).await;
    assert_eq!((hook.enabled, hook.disabled_reason()), (false, "FAILING"));
    until("an operator is told", async || rig.mails().iter().any(|mail| mail.to.contains("ada@example.com")))
        .await;
    assert_eq!(rig.mails().len(), 1);
}

/// A hook, with a delivery that its receiver has refused once and goes on refusing. The tasks run.
async fn failed_once(rig: &Rig) -> (Receiver, wire::Hook) {
    let receiver = Receiver::start(Answer::status(500)).await;
    let hook = rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    happen(rig, "first").await;
    count(rig, 1, "deliveries WHERE attempts = 1").await;
    (receiver, hook)
}

/// A day passes and brings another failure, so many times; there was one already.
async fn fails_daily(rig: &Rig, days: u32) {
    for day in 1..=days {
        rig.clock.advance_ms(DAY_MS);
        count(rig, 1, &format!("deliveries WHERE attempts = {} AND status = 'PENDING'", day + 1)).await;
    }
}

async fn a_time_in_which_nothing_was_tried_disables_nobody(rig: Rig) {
    let (_receiver, hook) = failed_once(&rig).await;
    fails_daily(&rig, 4).await;
    rig.clock.advance_ms(28 * DAY_MS);
    count(&rig, 1, "deliveries WHERE attempts = 6 AND status = 'PENDING'").await;
    assert!(get(&rig, &hook.id).await.enabled, "the first attempt in four weeks");
}

async fn one_success_in_five_days_forgives(rig: Rig) {
    let (receiver, hook) = failed_once(&rig).await;
    assert!(get(&rig, &hook.id).await.failing_since.is_some());
    fails_daily(&rig, 4).await;
    receiver.first([Answer::ok()]);
    rig.clock.advance_ms(DAY_MS - 1);
    count(&rig, 1, "deliveries WHERE status = 'DELIVERED'").await;
    assert!(get(&rig, &hook.id).await.failing_since.is_none());
    happen(&rig, "second").await;
    count(&rig, 1, "deliveries WHERE status = 'PENDING' AND attempts = 1").await;
    rig.clock.advance_ms(DAY_MS);
    count(&rig, 1, "deliveries WHERE status = 'PENDING' AND attempts = 2").await;
    assert!(get(&rig, &hook.id).await.enabled);
}

async fn what_the_receiver_before_said_disables_nobody(rig: Rig) {
    let before = Receiver::start(Answer::Held(Box::new(Answer::status(410)))).await;
    let hook = rig.hook(&before.url(), &["*"]).await;
    rig.run_tasks();
    happen(&rig, "w").await;
    before.wait_for(1).await;
    let now = Receiver::start(Answer::ok()).await;
    let url = wire::UpdateHookRequest { id: hook.id.clone(), url: now.url(), ..Default::default() };
    update(&rig, url, "url").await;
    before.release();
    count(&rig, 1, "attempts WHERE status_code = 410").await;
    assert!(get(&rig, &hook.id).await.enabled);
    advance_to_next(&rig).await;
    count(&rig, 1, "deliveries WHERE status = 'DELIVERED'").await;
    assert_eq!((before.received().len(), now.received().len()), (1, 1));
}

async fn a_hook_that_an_operator_disables_is_sent_nothing_more(rig: Rig) {
    let receiver = Receiver::start(Answer::held()).await;
    let hook = rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    for n in 0..20 {
        happen(&rig, &format!("w{n}")).await;
    }
    count(&rig, 20, "deliveries").await;
    receiver.wait_for(8).await;
    let read = Instant::now();
    let disabled = wire::UpdateHookRequest { id: hook.id.clone(), enabled: false, ..Default::default() };
    update(&rig, disabled, "enabled").await;
    count(&rig, 20, "deliveries WHERE status = 'FAILED'").await;
    let is_old = async || read.elapsed() > Duration::from_millis(200);
    until("what was read before is too old to be acted on", is_old).await;
    // What it acknowledges now was delivered all the same.
    receiver.release();
    count(&rig, 8, "deliveries WHERE status = 'DELIVERED'").await;
    count(&rig, 1, "lanes WHERE NOT closing AND owner IS NULL AND due_ms IS NULL").await;
    let enabled = wire::UpdateHookRequest { id: hook.id, enabled: true, ..Default::default() };
    update(&rig, enabled, "enabled").await;
    receiver.answers(Answer::ok());
    happen(&rig, "again").await;
    count(&rig, 9, "deliveries WHERE status = 'DELIVERED'").await;
    assert_eq!(receiver.received().len(), 9);
}
