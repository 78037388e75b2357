//! Several processes on one database, and what becomes of a lane when its process goes.

use super::{burst, count, happen};
use crate::on_both;
use crate::receiver::{Answer, Received, Receiver};
use crate::rig::{Base, Rig, until};
use std::collections::BTreeSet;

on_both!(
    what_a_killed_process_was_sending_is_sent_again_byte_for_byte,
    a_burst_goes_on_after_kills_with_nothing_but_the_database,
    a_process_that_drains_gives_its_lanes_back,
);

/// A lease, and a little more.
const LEASE_MS: i64 = 26_000;

fn events(received: &[Received]) -> BTreeSet<String> {
    received.iter().map(|got| got.event_id().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_send_nothing_twice_when_nobody_dies() {
    let rig = Rig::start(Base::Postgres).await;
    let mut receivers = Vec::new();
    for _ in 0..6 {
        let receiver = Receiver::start(Answer::ok()).await;
        rig.hook(&receiver.url(), &["*"]).await;
        receivers.push(receiver);
    }
    let other = rig.another().await;
    rig.run_tasks();
    other.run_tasks();
    for _ in 0..5 {
        burst(&rig, 30).await;
        happen(&rig, "between").await;
    }
    let all = 6 * 5 * 31;
    count(&rig, all, "deliveries WHERE status = 'DELIVERED'").await;
    for receiver in &receivers {
        let received = receiver.received();
        assert_eq!((received.len(), events(&received).len()), (155, 155));
    }
    assert_eq!(rig.count("attempts").await, all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_whose_process_is_gone_is_taken_up_by_another_and_not_before() {
    let mut rig = Rig::start(Base::Postgres).await;
    let (receiver, elsewhere) = (Receiver::start(Answer::held()).await, Receiver::start(Answer::ok()).await);
    rig.hook(&receiver.url(), &["*"]).await;
    rig.hook(&elsewhere.url(), &["*"]).await;
    let other = rig.another().await;
    rig.run_tasks();
    happen(&rig, "w").await;
    receiver.wait_for(1).await;
    count(&rig, 1, "deliveries WHERE status = 'DELIVERED'").await;
    count(&rig, 1, "lanes WHERE owner IS NULL").await;
    rig.hooks.kill();
    other.run_tasks();
    // The other process certainly looks for lanes: it takes up the one that was left.
    happen(&rig, "x").await;
    elsewhere.wait_for(2).await;
    assert_eq!(receiver.received().len(), 1, "the lease has not lapsed");
    receiver.answers(Answer::ok());
    rig.clock.advance_ms(LEASE_MS);
    let received = receiver.wait_for(3).await;
    assert_eq!(events(&received).len(), 2);
    count(&rig, 4, "deliveries WHERE status = 'DELIVERED'").await;
}

/// Longer than a lease, in steps that a renewal follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_is_kept_as_long_as_it_is_worked_on() {
    let rig = Rig::start(Base::Postgres).await;
    let receiver = Receiver::start(Answer::held()).await;
    rig.hook(&receiver.url(), &["*"]).await;
    let other = rig.another().await;
    rig.run_tasks();
    happen(&rig, "w").await;
    receiver.wait_for(1).await;
    other.run_tasks();
    rig.clock.advance_ms(15_000);
    let renewed = format!("lanes WHERE leased_until_ms >= {}", rig.clock.now().unix_ms() + 25_000);
    count(&rig, 1, &renewed).await;
    rig.clock.advance_ms(15_000);
    happen(&rig, "x").await;
    receiver.wait_for(2).await;
    receiver.release();
    count(&rig, 2, "deliveries WHERE status = 'DELIVERED'").await;
    assert_eq!((receiver.received().len(), rig.count("attempts").await), (2, 2));
}

async fn what_a_killed_process_was_sending_is_sent_again_byte_for_byte(mut rig: Rig) {
    let receiver = Receiver::start(Answer::held()).await;
    rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    happen(&rig, "w").await;
    receiver.wait_for(1).await;
    // It is acknowledged, and the process dies before it can write that down.
    let lock = rig.holding("UPDATE deliveries SET tries = tries").await;
    receiver.release();
    until("it is answered", async || receiver.under_way() == 0).await;
    rig.hooks.kill();
    lock.let_go().await;
    receiver.answers(Answer::ok());
    rig.restart().await;
    rig.run_tasks();
    rig.clock.advance_ms(LEASE_MS);
    let received = receiver.wait_for(2).await;
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(received[0].event_id(), received[1].event_id());
    count(&rig, 1, "deliveries WHERE status = 'DELIVERED'").await;
    assert_eq!(receiver.received().len(), 2);
}

async fn a_burst_goes_on_after_kills_with_nothing_but_the_database(mut rig: Rig) {
    let mut receivers = Vec::new();
    for _ in 0..3 {
        let receiver = Receiver::start(Answer::ok()).await;
        rig.hook(&receiver.url(), &["*"]).await;
        receivers.push(receiver);
    }
    rig.run_tasks();
    burst(&rig, 200).await;
    for seen in [1, 60, 120] {
        receivers[0].wait_for(seen).await;
        rig.restart().await;
        rig.run_tasks();
        rig.clock.advance_ms(LEASE_MS);
    }
    count(&rig, 600, "deliveries WHERE status = 'DELIVERED'").await;
    for receiver in &receivers {
        let received = receiver.received();
        assert_eq!(events(&received).len(), 200, "every event");
        for event in events(&received) {
            let bodies: BTreeSet<_> =
                received.iter().filter(|got| got.event_id() == event).map(|got| &got.body).collect();
            assert_eq!(bodies.len(), 1, "the same bytes");
        }
    }
}

async fn a_process_that_drains_gives_its_lanes_back(mut rig: Rig) {
    let (slow, hanging) = (Receiver::start(Answer::held()).await, Receiver::start(Answer::Hang).await);
    rig.hook(&slow.url(), &["*"]).await;
    rig.hook(&hanging.url(), &["*"]).await;
    rig.run_tasks();
    for n in 0..20 {
        happen(&rig, &format!("w{n}")).await;
    }
    slow.wait_for(8).await;
    hanging.wait_for(8).await;
    let (drained, ()) = tokio::join!(rig.drain(), async {
        // What is under way is finished, and nothing more is begun.
        slow.release();
        count(&rig, 8, "deliveries WHERE status = 'DELIVERED'").await;
    });
    assert!(drained, "it ended in time, although one receiver hangs");
    assert_eq!(slow.received().len(), 8);
    count(&rig, 2, "lanes WHERE owner IS NULL AND leased_until_ms = 0 AND due_ms IS NOT NULL").await;
    count(&rig, 8, "attempts").await;
    slow.answers(Answer::ok());
    hanging.answers(Answer::ok());
    rig.restart().await;
    rig.run_tasks();
    count(&rig, 40, "deliveries WHERE status = 'DELIVERED'").await;
    assert_eq!(
        (slow.received().len(), hanging.received().len()),
        (20, 28),
        "only what was broken off came again"
    );
}
