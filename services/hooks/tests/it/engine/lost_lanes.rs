//! A lane that another process has taken while its first one was still sending: nothing that the first one learns late
//! unsettles what the second did, and it begins nothing more.

use super::{count, happen, one};
use crate::on_both;
use crate::receiver::{Answer, Received, Receiver};
use crate::rig::{Base, Rig, until};
use beem_database::Sql as _;
use beem_hooks::HooksSettings;
use beem_ids::EventId;
use std::collections::BTreeMap;
use std::sync::Mutex;

on_both!(a_lane_that_is_anothers_at_its_renewal_is_let_be);

/// A lease, and a little more.
const LEASE_MS: i64 = 26_000;

/// Held and then this, to the first request for each entity; to the second that; ok to any further one.
type Answers = BTreeMap<&'static str, (u16, u16)>;

fn script(answers: Answers) -> impl Fn(&Received) -> Answer + Send + Sync {
    let seen = Mutex::new(BTreeMap::<String, usize>::new());
    move |request| {
        let entity = request.json()["data"]["id"].as_str().unwrap().to_owned();
        let (first, second) = answers.get(entity.as_str()).copied().unwrap_or((200, 200));
        let mut seen = seen.lock().unwrap();
        let count = seen.entry(entity).or_default();
        *count += 1;
        match *count {
            1 if first != second => Answer::Held(Box::new(Answer::status(first))),
            1 | 2 => Answer::status(second),
            _ => Answer::ok(),
        }
    }
}

async fn happened(rig: &Rig, entities: &[&str]) -> Vec<EventId> {
    let mut ids = Vec::new();
    for entity in entities {
        ids.push(happen(rig, entity).await);
    }
    ids
}

/// How an event's delivery stands: its status, its tries, its attempts, and when it is tried again.
async fn stands(rig: &Rig, event: EventId) -> (String, i64, i64, Option<i64>) {
    let sql = "SELECT status, tries, attempts, next_ms FROM deliveries WHERE event_id = $1";
    let row = rig.db.read().row(sql, vec![event.0.into()]).await.unwrap().unwrap();
    let number = |column: &str| row.try_get("", column).unwrap();
    (
        row.try_get("", "status").unwrap(),
        number("tries"),
        number("attempts"),
        row.try_get("", "next_ms").unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_first_process_learns_late_unsettles_nothing_of_what_the_second_did() {
    // The first has room for no other lane: so it is the second that takes the lapsed one.
    let rig = Rig::start_with(Base::Postgres, HooksSettings { hooks_at_once: 1, ..Rig::settings() }).await;
    // What the first was told late, and what the second was told before that.
    let answers = Answers::from([("refused", (500, 200)), ("taken", (200, 500)), ("gone", (503, 500))]);
    let receiver = Receiver::start(script(answers)).await;
    rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks_but(&["hooks-audit", "hooks-leases"]);
    let [refused, taken, gone] = happened(&rig, &["refused", "taken", "gone"]).await.try_into().unwrap();
    receiver.wait_for(3).await;
    let first = one(&rig, "SELECT leased_until_ms AS n FROM lanes").await;

    rig.clock.advance_ms(LEASE_MS);
    let second = rig.another_with(Rig::settings()).await.unwrap();
    second.run_tasks();
    count(&rig, 3, "attempts").await;
    assert_eq!(receiver.received().len(), 6);
    assert!(one(&rig, "SELECT leased_until_ms AS n FROM lanes").await > first, "it is the second's");
    assert_eq!(stands(&rig, refused).await, ("DELIVERED".to_owned(), 1, 1, None));
    let (pending, .., again) = stands(&rig, gone).await;
    assert_eq!((pending.as_str(), stands(&rig, taken).await.0.as_str()), ("PENDING", "PENDING"));

    // The first renews nothing, and hears now what became of its requests.
    rig.run_task("hooks-leases");
    receiver.release();
    count(&rig, 6, "attempts").await;
    // Acknowledged once is for ever, late is not never, and a failure of both was counted once.
    assert_eq!(stands(&rig, refused).await, ("DELIVERED".to_owned(), 1, 2, None));
    assert_eq!(stands(&rig, taken).await, ("DELIVERED".to_owned(), 2, 2, None));
    assert_eq!(stands(&rig, gone).await, ("PENDING".to_owned(), 1, 2, again));

    happen(&rig, "after").await;
    count(&rig, 3, "deliveries WHERE status = 'DELIVERED'").await;
    rig.clock.advance_ms(again.unwrap() - rig.clock.now().unix_ms());
    count(&rig, 4, "deliveries WHERE status = 'DELIVERED'").await;
    count(&rig, 1, "lanes WHERE failures = 0 AND NOT closing").await;
    assert_eq!((receiver.received().len(), rig.count("attempts").await), (8, 8));
}

/// As when the clock of another machine is ahead: it takes the lane of a process that still counts on its lease.
async fn a_lane_that_is_anothers_at_its_renewal_is_let_be(rig: Rig) {
    let (lost, kept) = (Receiver::start(Answer::held()).await, Receiver::start(Answer::held()).await);
    let lost_hook = rig.hook(&lost.url(), &["*"]).await;
    rig.hook(&kept.url(), &["*"]).await;
    rig.run_tasks();
    happen(&rig, "w").await;
    lost.wait_for(1).await;
    kept.wait_for(1).await;
    let id: beem_ids::HookId = lost_hook.id.parse().unwrap();
    let other = beem_ids::draw(rig.clock.now(), &rig.entropy);
    let anothers = format!("lanes WHERE leased_until_ms = {}", rig.clock.now().unix_ms() + 25_002);
    let take =
        format!("UPDATE lanes SET owner = $1, {} WHERE hook = $2", anothers.split_once("WHERE ").unwrap().1);
    let take = &take;
    rig.db
        .write(|tx| Box::pin(async move { tx.run(take, vec![other.into(), id.0.into()]).await }))
        .await
        .unwrap();

    rig.clock.advance_ms(1);
    let renewed = format!("lanes WHERE leased_until_ms = {}", rig.clock.now().unix_ms() + 25_000);
    count(&rig, 1, &renewed).await;
    assert_eq!(rig.count(&anothers).await, 1, "it was not renewed");
    kept.answers(Answer::ok());
    kept.release();
    for n in 1..=3 {
        happen(&rig, &format!("x{n}")).await;
        count(&rig, 1 + n, "deliveries WHERE status = 'DELIVERED'").await;
    }
    assert_eq!(lost.received().len(), 1, "nothing more was begun");
    lost.answers(Answer::ok());
    lost.release();
    // What was under way counts, and the lane stays the other's.
    count(&rig, 5, "deliveries WHERE status = 'DELIVERED'").await;
    until("the one that was kept is left", async || rig.count("lanes WHERE owner IS NULL").await == 1).await;
    assert_eq!(rig.count(&anothers).await, 1);
    rig.clock.advance_ms(LEASE_MS);
    count(&rig, 8, "deliveries WHERE status = 'DELIVERED'").await;
    assert_eq!((lost.received().len(), kept.received().len(), rig.count("attempts").await), (4, 4, 8));
}
