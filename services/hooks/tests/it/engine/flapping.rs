//! A receiver that flaps: every second request is refused, and now and then all of them are, for long enough to open the
//! circuit. Everything comes in the end.

use super::{burst, count, get, one};
use crate::on_both;
use crate::receiver::{Answer, Received, Receiver};
use crate::rig::{Rig, until};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

on_both!(everything_comes_to_a_receiver_that_flaps_between_500_and_200);

/// So often an event is refused at most: eleven times would end its delivery.
const REFUSALS: usize = 7;

/// Refuses every second request, and while it is down each, but no event too often.
fn flaps(down: Arc<AtomicBool>) -> impl Fn(&Received) -> Answer + Send + Sync {
    let known = Mutex::new((0, BTreeMap::<String, usize>::new()));
    move |request| {
        let mut known = known.lock().unwrap();
        let (requests, refused) = &mut *known;
        *requests += 1;
        let refused = refused.entry(request.event_id().to_owned()).or_default();
        let refuses = down.load(Ordering::Relaxed) || *requests % 2 == 0;
        if refuses && *refused < REFUSALS {
            *refused += 1;
            return Answer::status(500);
        }
        Answer::ok()
    }
}

async fn everything_comes_to_a_receiver_that_flaps_between_500_and_200(rig: Rig) {
    const BURST: usize = 30;
    const ROUNDS: usize = 3;
    let down = Arc::new(AtomicBool::new(false));
    let receiver = Receiver::start(flaps(down.clone())).await;
    let hook = rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    for round in 1..=ROUNDS {
        let all = i64::try_from(round * BURST).unwrap();
        burst(&rig, BURST).await;
        let sent = i64::try_from((round - 1) * BURST + BURST / 2).unwrap();
        count(&rig, sent, "deliveries WHERE status = 'DELIVERED'").await;
        count(&rig, 15, "deliveries WHERE status = 'PENDING' AND attempts = 1").await;
        down.store(true, Ordering::Relaxed);
        rig.clock.advance_ms(6_000);
        count(&rig, 15, "deliveries WHERE status = 'PENDING' AND attempts = 2").await;
        count(&rig, 1, "lanes WHERE failures >= 5").await;
        down.store(false, Ordering::Relaxed);
        until("all are delivered", async || {
            let next = "SELECT COALESCE(MIN(next_ms), 0) AS n FROM deliveries WHERE status = 'PENDING'";
            let wait_ms = one(&rig, next).await - rig.clock.now().unix_ms();
            rig.clock.advance_ms(wait_ms.max(0));
            rig.count("deliveries WHERE status = 'DELIVERED'").await == all
        })
        .await;
        assert_eq!(rig.count("deliveries").await, all);
        assert_eq!(rig.count("lanes WHERE failures >= 5").await, 0, "what came last was a success");
    }
    let hook = get(&rig, &hook.id).await;
    assert!(hook.enabled && hook.disabled_reason.is_none());
    let sequences = receiver.received().iter().map(Received::json).fold(
        BTreeMap::<u64, BTreeSet<u64>>::new(),
        |mut all, body| {
            all.entry(body["data"]["n"].as_u64().unwrap())
                .or_default()
                .insert(body["sequence"].as_u64().unwrap());
            all
        },
    );
    assert_eq!(sequences.len(), BURST);
    assert!(sequences.values().all(|of_one| of_one.iter().copied().eq(1..=3)), "{sequences:?}");
}
