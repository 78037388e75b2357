//! A burst of events while whatever carries them is killed: each receiver gets every event it asked for at least once, each
//! time the same bytes under the same id, and the sequence of every object is without a gap. Events are written into the
//! producer's outbox by the code that producers write them with, on a connection of the test's own: what is killed is the
//! process that numbers and serves them, the one that takes them in and sends them, and what they stand on. Each of these dies
//! while events are coming to receivers and more of them are still to come.

use super::hooks_received::{Committed, Destination};
use super::installation::{House, Installation};
use super::kills::{SEED_ENV, seed};
use super::trying::within;
use super::writers::Choices;
use crate::hooks::{EXECUTED, WALLET_CREATED};
use beem_clock::{Clock, Entropy};
use beem_database::{Database, DatabaseSettings};
use beem_events::{NewEvent, append};
use beem_fault::Fault;
use beem_tests::Rig;
use beem_tests::rig::Shape;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::block_in_place;

/// Objects that events are about: all events of one are of one type, every tenth object's are conversions.
const ENTITIES: u64 = 50;
/// Hooks that ask for conversions alone, beside the one that asks for everything.
const FEW: usize = 3;
/// So much is made and not received when something is killed: more than comes until it is dead.
const BACKLOG: usize = 100;
/// Longer than leases of killed processes last, retries and circuits included.
const SETTLES: Duration = Duration::from_secs(120);

fn event_of(entity: u64) -> &'static str {
    if entity.is_multiple_of(10) { EXECUTED } else { WALLET_CREATED }
}

/// The producer's database, as its own process opens it.
async fn producer(house: &House) -> Database {
    let url = match house {
        House::Embedded(rig) => {
            let Shape::Embedded(embedded) = &rig.shape else { unreachable!("it is embedded") };
            format!("sqlite:{}", embedded.data_dir().join("ledger.sqlite").display())
        }
        House::Clustered(installation) => installation.cluster.database("ledger").unwrap().to_owned(),
    };
    Database::connect(&DatabaseSettings::at(url), Clock::System, Entropy::System).await.unwrap()
}

/// Appends events in transactions of one to twenty until there are so many, whatever breaks meanwhile.
async fn produce(db: Database, account: String, choices: Choices, wanted: usize, made: Arc<AtomicUsize>) {
    let account = account.parse().unwrap();
    while made.load(Ordering::Relaxed) < wanted {
        let count = 1 + choices.index(20);
        let entities: Vec<u64> = (0..count).map(|_| choices.below(ENTITIES)).collect();
        let entities = &entities;
        let written = db.write(|tx| {
            Box::pin(async move {
                // In one order, so that transactions do not wait for each other in circles.
                let mut entities = entities.clone();
                entities.sort_unstable();
                for entity in entities {
                    let event = NewEvent {
                        account_id: account,
                        event: event_of(entity).to_owned(),
                        source: "ledger".to_owned(),
                        entity_id: format!("burst-{entity}"),
                        data: json!({ "id": format!("burst-{entity}"), "name": "ein Beutel" }),
                    };
                    append(tx, event).await?;
                }
                Ok::<_, Fault>(())
            })
        });
        match written.await {
            Ok(()) => drop(made.fetch_add(count, Ordering::Relaxed)),
            // Whether it was committed is seen in the end, in the outbox itself.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// What was made of the burst, by id.
async fn committed(house: &House) -> HashMap<String, Committed> {
    let rows = house
        .column(
            "ledger",
            "SELECT {id:event_id} || ' ' || event || ' ' || entity_id || ' ' || sequence AS one
            FROM outbox WHERE entity_id LIKE 'burst-%'",
        )
        .await;
    let parsed = rows.into_iter().map(|row| {
        let [id, event, entity, sequence] = row.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let sequence = sequence.parse().unwrap();
        (id.to_owned(), Committed { event: event.to_owned(), entity: entity.to_owned(), sequence })
    });
    parsed.collect()
}

/// Kills and starts again one victim after the other, at moments that the seed chooses by what has been received. Each dies
/// with events on their way, and the next only after more have come since.
async fn torment(
    house: &mut House,
    mut victims: Vec<&'static str>,
    choices: &Choices,
    wanted: usize,
    made: &AtomicUsize,
    destination: &Destination,
) {
    let (share, mut so_far) = (wanted / victims.len(), 0);
    for begin in (0..).step_by(share).take(victims.len()) {
        let victim = victims.swap_remove(choices.index(victims.len()));
        // In the first half of its share of the burst, so that there is something left to break afterwards.
        let mark = (begin + choices.index(share / 2)).max(so_far + 1);
        within(SETTLES, &format!("{mark} events are received, and there are more"), async || {
            let received = destination.count();
            (received >= mark && received + BACKLOG <= made.load(Ordering::Relaxed)).then_some(())
        })
        .await;
        let made = made.load(Ordering::Relaxed);
        block_in_place(|| house.kill(victim));
        so_far = destination.count();
        println!("killed {victim} with {so_far} of {made} events received");
        assert!(so_far < made, "nothing was on its way when {victim} died");
        tokio::time::sleep(Duration::from_millis(choices.below(500))).await;
        block_in_place(|| house.start_again(victim));
        so_far = destination.count();
    }
}

async fn burst(mut house: House, wanted: usize, victims: Vec<&'static str>) {
    let seed = seed();
    println!("{SEED_ENV}={seed}");
    let choices = Choices::new(seed);
    let client = house.everywhere(house.main()).remove(0);
    let mut destinations = vec![Destination::new(&client, &[WALLET_CREATED, EXECUTED]).await];
    for _ in 0..FEW {
        destinations.push(Destination::new(&client, &[EXECUTED]).await);
    }
    let made = Arc::new(AtomicUsize::new(0));
    let account = client.creds.account_id.clone();
    let own = Choices::new(seed.wrapping_add(1));
    let producing =
        beem_runtime::spawn(produce(producer(&house).await, account, own, wanted, Arc::clone(&made)));
    torment(&mut house, victims, &choices, wanted, &made, &destinations[0]).await;
    producing.await.unwrap();
    let expected = committed(&house).await;
    assert!(expected.len() >= wanted);
    // The same for all receivers.
    let mut bodies = HashMap::new();
    for destination in &destinations {
        let asked = |committed: &Committed| destination.codes.contains(&committed.event.as_str());
        let ids: HashSet<String> =
            expected.iter().filter(|(_, committed)| asked(committed)).map(|(id, _)| id.clone()).collect();
        within(SETTLES, "everything is received", async || destination.has(&ids).then_some(())).await;
        destination.judge(&expected, &ids, &mut bodies);
    }
    house.all_run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clustered_kill_9_of_anything_during_a_burst_of_ten_thousand_events() {
    let house = House::Clustered(Box::new(Installation::start(&[])));
    burst(house, 10_000, vec!["ledger", "hooks", "postgres", "redis", "ledger"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_kill_9_during_a_burst_of_events() {
    let house = House::Embedded(Box::new(Rig::start_embedded(&[])));
    burst(house, 3_000, vec!["beem"; 3]).await;
}
