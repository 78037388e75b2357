//! One slow or dead destination never delays another; one that fails is tried one at a time, and always again.

use super::{advance_to_next, burst, count, get, happen};
use crate::on_both;
use crate::receiver::{Answer, Receiver};
use crate::rig::{Base, Rig, Said, until};
use beem_hooks::HooksSettings;
use beem_proto::hooks::v1 as wire;
use prost_types::FieldMask;
use std::time::Duration;
use tokio::time::Instant;

on_both!(
    a_receiver_that_fails_is_tried_one_at_a_time,
    row_21_a_hook_that_failed_long_is_delivered_to_when_its_receiver_is_back,
    row_21_a_panic_ends_one_attempt_and_no_worker,
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_hooks_get_everything_while_the_tenth_hangs_on_sqlite() {
    nine_hooks_get_everything_while_the_tenth_hangs(Base::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_hooks_get_everything_while_the_tenth_hangs_on_postgres() {
    nine_hooks_get_everything_while_the_tenth_hangs(Base::Postgres).await;
}

async fn nine_hooks_get_everything_while_the_tenth_hangs(base: Base) {
    let rig = Rig::start_with(base, HooksSettings { answer_within_s: 60, ..Rig::settings() }).await;
    let hanging = Receiver::start(Answer::Hang).await;
    let mut others = Vec::new();
    for _ in 0..9 {
        let receiver = Receiver::start(Answer::ok()).await;
        rig.hook(&receiver.url(), &["*"]).await;
        others.push(receiver);
    }
    rig.hook(&hanging.url(), &["*"]).await;
    rig.run_tasks();
    happen(&rig, "first").await;
    hanging.wait_for(1).await;
    burst(&rig, 40).await;
    for receiver in &others {
        receiver.wait_for(41).await;
    }
    count(&rig, 9 * 41, "deliveries WHERE status = 'DELIVERED'").await;
    assert_eq!(rig.count("attempts").await, 9 * 41, "what hangs had not even come to its end");
    assert!(hanging.under_way() <= 8);
}

async fn a_receiver_that_fails_is_tried_one_at_a_time(rig: Rig) {
    let (failing, other) = (Receiver::start(Answer::status(500)).await, Receiver::start(Answer::ok()).await);
    rig.hook(&failing.url(), &["*"]).await;
    rig.hook(&other.url(), &["*"]).await;
    rig.run_tasks();
    for n in 1..=5 {
        happen(&rig, &format!("w{n}")).await;
        count(&rig, n, "attempts WHERE status_code = 500").await;
    }
    failing.answers(Answer::Held(Box::new(Answer::status(500))));
    burst(&rig, 10).await;
    count(&rig, 15, "deliveries WHERE status = 'DELIVERED'").await;
    assert_eq!(failing.received().len(), 5, "a first attempt waits now");
    rig.clock.advance_ms(10_000);
    for n in 6..=10 {
        failing.wait_for(n).await;
        failing.release();
    }
    assert_eq!(failing.most_under_way(), 1);
}

async fn row_21_a_hook_that_failed_long_is_delivered_to_when_its_receiver_is_back(rig: Rig) {
    let receiver = Receiver::start(Answer::CloseEarly).await;
    let hook = rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    for n in 0..6 {
        happen(&rig, &format!("w{n}")).await;
    }
    count(&rig, 6, "deliveries").await;
    // Four days of failures, and every day brings more.
    for step in 0..24 {
        if step % 6 == 0 {
            happen(&rig, &format!("step{step}")).await;
            count(&rig, 7 + step / 6, "deliveries").await;
        }
        rig.clock.advance_ms(4 * 3_600_000);
        let now_ms = rig.clock.now().unix_ms();
        let overdue = format!("deliveries WHERE status = 'PENDING' AND next_ms <= {now_ms}");
        until("all that is due was tried", async || rig.count(&overdue).await == 0).await;
    }
    let pending = rig.count("deliveries WHERE status = 'PENDING'").await;
    assert!(pending > 0 && get(&rig, &hook.id).await.failing_since.is_some());
    receiver.answers(Answer::ok());
    let seen = receiver.received().len();
    let event = happen(&rig, "back").await;
    // Its first attempt is held up for ten seconds at most, however long it has failed.
    count(&rig, pending + 1, "deliveries WHERE status = 'PENDING'").await;
    rig.clock.advance_ms(10_000);
    let received = receiver.wait_for(seen + 1).await;
    assert!(received[seen..].iter().any(|got| got.event_id() == event.to_string()));
    until("it is forgiven", async || get(&rig, &hook.id).await.failing_since.is_none()).await;
    rig.clock.advance_ms(86_400_000 * 6 / 5);
    count(&rig, pending + 1, "deliveries WHERE status = 'DELIVERED'").await;
    count(&rig, 0, "deliveries WHERE status = 'PENDING'").await;
}

async fn row_21_a_panic_ends_one_attempt_and_no_worker(rig: Rig) {
    let (broken, other) = (Receiver::start(Answer::ok()).await, Receiver::start(Answer::ok()).await);
    rig.resolver.then("broken.localhost", Said::Panics);
    rig.hook(&broken.url_at("broken.localhost"), &["*"]).await;
    rig.hook(&other.url(), &["*"]).await;
    rig.run_tasks();
    happen(&rig, "w").await;
    count(&rig, 1, "attempts WHERE error = 'broken off on our side'").await;
    count(&rig, 1, "deliveries WHERE status = 'DELIVERED'").await;
    count(&rig, 2, "lanes WHERE failures = 0").await;
    advance_to_next(&rig).await;
    count(&rig, 2, "deliveries WHERE status = 'DELIVERED'").await;
    assert_eq!((broken.received().len(), other.received().len()), (1, 1));
}

/// Receivers that have failed often enough for their circuits to be open, and hang from now on. The tasks run.
async fn dead(rig: &Rig, receivers: i64) -> Vec<Receiver> {
    let mut dead = Vec::new();
    for _ in 0..receivers {
        let receiver = Receiver::start(Answer::status(500)).await;
        rig.hook(&receiver.url(), &["*"]).await;
        dead.push(receiver);
    }
    rig.run_tasks();
    for n in 1..=5 {
        happen(rig, &format!("w{n}")).await;
        count(rig, receivers * n, "attempts").await;
    }
    dead.iter().for_each(|receiver| receiver.answers(Answer::Hang));
    dead
}

/// Requests to all of them.
fn under_way(receivers: &[Receiver]) -> usize {
    receivers.iter().map(Receiver::under_way).sum()
}

/// However few lanes and requests there are: those that have been failing leave some to the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_dead_receivers_leave_room_for_one_that_answers() {
    let few = HooksSettings { at_once: 4, hooks_at_once: 8, at_once_per_hook: 1, ..Rig::settings() };
    let rig = Rig::start_with(Base::Postgres, few).await;
    let dead = dead(&rig, 5).await;
    let alive = Receiver::start(Answer::ok()).await;
    rig.hook(&alive.url(), &["*"]).await;
    rig.clock.advance_ms(10_000);
    until("one of the dead has a request", async || under_way(&dead) > 0).await;
    burst(&rig, 20).await;
    count(&rig, 20, "deliveries WHERE status = 'DELIVERED'").await;
    assert_eq!(under_way(&dead), 1, "a quarter of four");
}

/// With one lane at a time, those that wait get theirs while the first still has plenty to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_lane_makes_room_for_those_that_wait() {
    let few = HooksSettings { hooks_at_once: 1, at_once_per_hook: 1, ..Rig::settings() };
    let rig = Rig::start_with(Base::Sqlite, few).await;
    let busy = Receiver::start(Answer::ok()).await;
    rig.hook(&busy.url(), &["*"]).await;
    rig.run_tasks();
    busy.answers(Answer::DripBody);
    burst(&rig, 100).await;
    let waiting = Receiver::start(Answer::ok()).await;
    busy.wait_for(1).await;
    rig.hook(&waiting.url(), &["*"]).await;
    happen(&rig, "w").await;
    count(&rig, 102, "deliveries").await;
    // Whoever has waited for longer is first.
    rig.clock.advance_ms(1);
    waiting.wait_for(1).await;
    assert!(rig.count("deliveries WHERE status = 'PENDING'").await > 0, "the first was not done");
}

/// A receiver that acknowledges late has not failed, but holds a request as one that hangs does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_slow_receivers_leave_room_for_one_that_is_quick() {
    let few = HooksSettings { at_once: 4, at_once_per_hook: 1, answer_within_s: 60, ..Rig::settings() };
    let rig = Rig::start_with(Base::Postgres, few).await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let receiver = Receiver::start(Answer::Held(Box::new(Answer::ok()))).await;
        rig.hook(&receiver.url(), &["*"]).await;
        slow.push(receiver);
    }
    rig.run_tasks();
    happen(&rig, "slowly").await;
    for receiver in &slow {
        receiver.wait_for(1).await;
    }
    let asked = Instant::now();
    until("they are slow", async || asked.elapsed() > Duration::from_millis(2_100)).await;
    slow.iter().for_each(Receiver::release);
    count(&rig, 4, "deliveries WHERE status = 'DELIVERED'").await;
    let quick = Receiver::start(Answer::ok()).await;
    rig.hook(&quick.url(), &["*"]).await;
    burst(&rig, 20).await;
    quick.wait_for(20).await;
    until("one of the slow has a request", async || under_way(&slow) > 0).await;
    assert_eq!(under_way(&slow), 1, "a quarter of four");
}

/// With as many dead receivers as there are lanes, one whose worker only waits for its turn makes room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_dead_receivers_as_lanes_leave_room_for_one_that_answers() {
    let few = HooksSettings { at_once: 4, hooks_at_once: 2, answer_within_s: 60, ..Rig::settings() };
    let rig = Rig::start_with(Base::Postgres, few).await;
    let dead = dead(&rig, 2).await;
    rig.clock.advance_ms(10_000);
    until("one of the dead has a request", async || under_way(&dead) > 0).await;
    count(&rig, 2, "lanes WHERE owner IS NOT NULL").await;
    let alive = Receiver::start(Answer::ok()).await;
    rig.hook(&alive.url(), &["*"]).await;
    happen(&rig, "alive").await;
    alive.wait_for(1).await;
    assert_eq!(under_way(&dead), 1, "which still hangs");
}

/// Whoever waits for a turn goes by what is so when it comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_was_moved_while_it_waited_for_its_turn_is_sent_to_where_it_is_now() {
    let one = HooksSettings { at_once: 1, answer_within_s: 60, ..Rig::settings() };
    let rig = Rig::start_with(Base::Sqlite, one).await;
    let first = Receiver::start(Answer::Held(Box::new(Answer::ok()))).await;
    rig.hook(&first.url(), &["*"]).await;
    rig.run_tasks();
    happen(&rig, "first").await;
    first.wait_for(1).await;
    let (before, now) = (Receiver::start(Answer::ok()).await, Receiver::start(Answer::ok()).await);
    let hook = rig.hook(&before.url(), &["*"]).await;
    happen(&rig, "second").await;
    count(&rig, 2, "lanes WHERE owner IS NOT NULL").await;
    let waits = Instant::now();
    until("what was read before is old", async || waits.elapsed() > Duration::from_millis(300)).await;
    let moved = wire::UpdateHookRequest {
        id: hook.id,
        url: now.url(),
        present: Some(FieldMask { paths: vec!["url".to_owned()] }),
        ..Default::default()
    };
    let path = "/beem.hooks.v1.Hooks/UpdateHook";
    rig.call::<_, wire::Hook>(&rig.owner, &rig.key(), path, moved).await.unwrap();
    first.answers(Answer::ok());
    first.release();
    now.wait_for(1).await;
    assert_eq!(before.received().len(), 0);
}
