//! A database that is away for a while: nothing is lost, and nothing is sent twice for it.

use super::{burst, count, happen};
use crate::on_both;
use crate::receiver::{Answer, Receiver};
use crate::rig::{Base, Rig, until};
use beem_database::Sql as _;

on_both!(what_cannot_be_written_for_a_while_is_written_then);

async fn what_cannot_be_written_for_a_while_is_written_then(rig: Rig) {
    let receiver = Receiver::start(Answer::held()).await;
    rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    burst(&rig, 8).await;
    receiver.wait_for(8).await;
    let lock = rig.holding("UPDATE deliveries SET tries = tries").await;
    receiver.release();
    until("all are answered", async || receiver.under_way() == 0).await;
    lock.let_go().await;
    count(&rig, 8, "deliveries WHERE status = 'DELIVERED' AND attempts = 1").await;
    receiver.answers(Answer::ok());
    happen(&rig, "after").await;
    count(&rig, 9, "deliveries WHERE status = 'DELIVERED'").await;
    assert_eq!((receiver.received().len(), rig.count("attempts").await), (9, 9));
}

/// Every connection that waits to write outcomes is cut, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_being_written_when_the_connection_broke_counts_once() {
    const WAITING: &str = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let rig = Rig::start(Base::Postgres).await;
    let receiver = Receiver::start(Answer::held()).await;
    rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    burst(&rig, 8).await;
    receiver.wait_for(8).await;
    let lock = rig.holding("UPDATE deliveries SET tries = tries").await;
    receiver.release();
    // More often than a transaction is run again by itself.
    for _ in 0..8 {
        until("outcomes wait to be written", async || rig.count(WAITING).await > 0).await;
        let cut = format!("SELECT pg_terminate_backend(pid) FROM {WAITING}");
        rig.db.read().rows(&cut, vec![]).await.unwrap();
    }
    lock.let_go().await;
    count(&rig, 8, "deliveries WHERE status = 'DELIVERED' AND attempts = 1").await;
    count(&rig, 8, "attempts").await;
    assert_eq!(receiver.received().len(), 8);
}
