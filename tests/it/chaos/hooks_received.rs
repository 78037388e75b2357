//! What came to the receivers of a burst of events, and whether it was what was to come.

use crate::hooks::hook;
use beem_receiver::{Answer, Received, Receiver};
use beem_tests::Client;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

/// One event of the burst, as the producer's database has it.
pub struct Committed {
    pub event: String,
    pub entity: String,
    pub sequence: u64,
}

/// A hook of several types, and which events have come to its receiver so far.
pub struct Destination {
    receiver: Receiver,
    pub codes: &'static [&'static str],
    known: Arc<Mutex<HashSet<String>>>,
}

impl Destination {
    pub async fn new(client: &Client, codes: &'static [&'static str]) -> Self {
        let known = Arc::new(Mutex::new(HashSet::new()));
        let noting = Arc::clone(&known);
        let receiver = Receiver::start(move |request: &Received| {
            noting.lock().unwrap().insert(id(request));
            Answer::status(204)
        })
        .await;
        hook(client, &receiver.url(), codes).await;
        Self { receiver, codes, known }
    }

    /// Different events.
    pub fn count(&self) -> usize {
        self.known.lock().unwrap().len()
    }

    /// Whether all of these have come.
    pub fn has(&self, ids: &HashSet<String>) -> bool {
        ids.is_subset(&self.known.lock().unwrap())
    }

    /// Nothing came but these events, by their ids, every copy of one is the same, and the sequences of an object have no gap.
    /// Copies of other receivers are in `bodies`, and this one's after it.
    pub fn judge(
        &self,
        expected: &HashMap<String, Committed>,
        ids: &HashSet<String>,
        bodies: &mut HashMap<String, Vec<u8>>,
    ) {
        let mut sequences: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        let received = self.receiver.received();
        for request in &received {
            let (id, body) = (id(request), request.json());
            assert!(ids.contains(&id), "{body} was not asked for");
            assert_eq!(body["eventId"].as_str().unwrap(), request.event_id());
            let Committed { event, entity, sequence } = &expected[&id];
            assert_eq!(
                (body["event"].as_str(), body["data"]["id"].as_str(), body["sequence"].as_u64()),
                (Some(event.as_str()), Some(entity.as_str()), Some(*sequence))
            );
            assert_eq!(bodies.entry(id).or_insert_with(|| request.body.clone()), &request.body);
            sequences.entry(entity).or_default().insert(*sequence);
        }
        for (entity, sequences) in sequences {
            let last = *sequences.last().unwrap();
            assert!(sequences.iter().copied().eq(1..=last), "{entity}: {sequences:?}");
        }
        println!("{} events, {} requests", ids.len(), received.len());
    }
}

/// Of the event, as databases print it in hex.
fn id(request: &Received) -> String {
    request.event_id().replace('-', "")
}
