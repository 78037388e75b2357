//! A burst of events while whatever carries them is killed: a receiver gets every event at least once, each time the same
//! bytes under the same id, and the sequence of every object is without a gap. Events are written into the producer's outbox
//! by the code that producers write them with, on a connection of the test's own: what is killed is the process that numbers
//! and serves them, the one that takes them in and sends them, and what they stand on.

use super::installation::{House, Installation};
use super::kills::{SEED_ENV, seed};
use super::trying::within;
use super::writers::Choices;
use beem_clock::{Clock, Entropy};
use beem_database::{Database, DatabaseSettings};
use beem_events::{NewEvent, append};
use beem_fault::Fault;
use beem_receiver::{Answer, Receiver};
use beem_tests::Rig;
use beem_tests::rig::Shape;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::block_in_place;

/// Objects that events are about.
const ENTITIES: u64 = 50;
/// Longer than leases of killed processes last, retries and circuits included.
const SETTLES: Duration = Duration::from_secs(120);

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
async fn produce(db: Database, account: String, choices: Choices, wanted: u64, made: Arc<AtomicU64>) {
    let account = account.parse().unwrap();
    while made.load(Ordering::Relaxed) < wanted {
        let count = 1 + choices.below(20);
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
                        event: "layer1:ledger:wallet:created".to_owned(),
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

/// What there is to be received: the sequences of each object, by event id.
async fn committed(house: &House) -> HashMap<String, (String, u64)> {
    let rows = house
        .column("ledger", "SELECT {id:event_id} || ' ' || entity_id || ' ' || sequence AS one FROM outbox WHERE entity_id LIKE 'burst-%'")
        .await;
    let parsed = rows.into_iter().map(|row| {
        let parts: Vec<&str> = row.split(' ').collect();
        (parts[0].to_owned(), (parts[1].to_owned(), parts[2].parse().unwrap()))
    });
    parsed.collect()
}

async fn burst(mut house: House, wanted: u64, mut victims: Vec<&'static str>) {
    let seed = seed();
    println!("{SEED_ENV}={seed}");
    let choices = Choices::new(seed);
    let receiver = Receiver::start(Answer::status(204)).await;
    let client = house.everywhere(house.main()).remove(0);
    crate::hooks::hook(&client, &receiver.url(), &[crate::hooks::WALLET_CREATED]).await;
    let made = Arc::new(AtomicU64::new(0));
    let account = client.creds.account_id.clone();
    let own = Choices::new(seed.wrapping_add(1));
    let producing =
        beem_runtime::spawn(produce(producer(&house).await, account, own, wanted, Arc::clone(&made)));
    let kills = u64::try_from(victims.len()).unwrap();
    for n in 1..=kills {
        let victim = victims.swap_remove(choices.index(victims.len()));
        // Anywhere within its share of the burst, so that there is something left to break afterwards.
        let at = wanted * (n - 1) / kills + choices.below(wanted / kills);
        within(SETTLES, "events are made", async || (made.load(Ordering::Relaxed) >= at).then_some(())).await;
        block_in_place(|| {
            println!(
                "kills {victim} at {} events, {} received",
                made.load(Ordering::Relaxed),
                receiver.received().len()
            );
            house.kill(victim);
        });
        tokio::time::sleep(Duration::from_millis(choices.below(500))).await;
        block_in_place(|| house.start_again(victim));
    }
    producing.await.unwrap();
    let expected = committed(&house).await;
    assert!(expected.len() >= usize::try_from(wanted).unwrap());
    within(SETTLES, "everything is received", async || {
        let received = receiver.received();
        let ids: std::collections::HashSet<String> =
            received.iter().map(|event| event.event_id().replace('-', "")).collect();
        expected.keys().all(|id| ids.contains(id)).then_some(())
    })
    .await;
    judge(&receiver, &expected);
    house.all_run();
}

/// Every copy of an event is the same, and the sequences of an object have no gap.
fn judge(receiver: &Receiver, expected: &HashMap<String, (String, u64)>) {
    let mut bodies: HashMap<String, Vec<u8>> = HashMap::new();
    let mut sequences: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let received = receiver.received();
    for event in &received {
        let id = event.event_id().replace('-', "");
        let body = event.json();
        assert_eq!(body["eventId"].as_str().unwrap(), event.event_id());
        let (entity, sequence) = &expected[&id];
        assert_eq!(
            (body["data"]["id"].as_str().unwrap(), body["sequence"].as_u64().unwrap()),
            (entity.as_str(), *sequence)
        );
        match bodies.entry(id) {
            std::collections::hash_map::Entry::Occupied(known) => assert_eq!(known.get(), &event.body),
            std::collections::hash_map::Entry::Vacant(new) => {
                sequences.entry(entity.clone()).or_default().push(*sequence);
                new.insert(event.body.clone());
            }
        }
    }
    for (entity, mut sequences) in sequences {
        sequences.sort_unstable();
        let gapless: Vec<u64> = (1..=u64::try_from(sequences.len()).unwrap()).collect();
        assert_eq!(sequences, gapless, "{entity}");
    }
    println!("{} events, {} requests", bodies.len(), received.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clustered_kill_9_of_anything_during_a_burst_of_ten_thousand_events() {
    let house = House::Clustered(Box::new(Installation::start(&[])));
    burst(house, 10_000, vec!["ledger", "hooks", "postgres", "redis", "hooks", "ledger"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_kill_9_during_a_burst_of_events() {
    let house = House::Embedded(Box::new(Rig::start_embedded(&[])));
    burst(house, 3_000, vec!["beem"; 3]).await;
}
