//! SIGTERM under load from kept-alive connections: what was accepted is answered, and the process exits 0. A request whose
//! connection ended without an answer was never taken up, so that its sender may send it elsewhere.

use super::installation::{House, Installation};
use super::keep_alive::{Heard, Line};
use super::trying::{Write, within};
use beem_signing::KeyKind;
use beem_tests::creds::new_key;
use beem_tests::forge::unique;
use beem_tests::{Client, Rig};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::Instant;

const CLIENTS: &str = "/platform/v1/clients";
const LINES: usize = 8;
const PROGRESS: Duration = Duration::from_secs(30);
/// How long a link tries to reach a peer that is away, less a little.
const LINKS_WAIT: Duration = Duration::from_millis(1_800);

/// What the senders of a load share.
#[derive(Clone, Debug, Default)]
struct Load {
    answered: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
}

/// What one sender saw: the names of the clients it made, and of those it heard nothing of.
#[derive(Debug, Default)]
struct Seen {
    made: Vec<String>,
    unheard: Vec<String>,
    refused: Vec<String>,
    cut: Vec<String>,
}

impl Load {
    /// Reads and writes in turn on one connection, until nobody listens or the end is called.
    async fn send(self, client: Client) -> Seen {
        let (mut line, mut seen) = (Line::default(), Seen::default());
        while !self.end.load(Ordering::Relaxed) {
            let read = client.forge("GET", "/platform/v1/me").sign();
            match line.ask(&read).await {
                Heard::Answer(200, _) => self.count(),
                Heard::Answer(_, body) => seen.refused.push(body),
                Heard::Nothing => {}
                Heard::Unreachable => break,
                Heard::Cut(why) => seen.cut.push(why),
            }
            let name = unique();
            let body = json!({ "name": name, "publicKey": new_key(KeyKind::Ed25519).public().pem() });
            match line.ask(&client.forge("POST", CLIENTS).json(&body).sign()).await {
                Heard::Answer(201, _) => {
                    self.count();
                    seen.made.push(name);
                }
                Heard::Answer(_, body) => seen.refused.push(body),
                Heard::Nothing => seen.unheard.push(name),
                Heard::Unreachable => break,
                Heard::Cut(why) => seen.cut.push(why),
            }
        }
        seen
    }

    fn count(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn start(&self, clients: &[Client]) -> JoinSet<Seen> {
        let mut senders = JoinSet::new();
        for client in clients.iter().cycle().take(LINES) {
            senders.spawn(self.clone().send(client.clone()));
        }
        senders
    }

    async fn goes_on(&self) {
        let wanted = self.answered.load(Ordering::Relaxed) + 100;
        within(PROGRESS, "requests are answered", || async {
            (self.answered.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }
}

/// Nothing was cut off or refused; what was promised is there once, and what was not heard of is not there.
async fn as_seen(seen: &[Seen], client: &Client) {
    let all = |pick: fn(&Seen) -> &Vec<String>| seen.iter().flat_map(pick).collect::<Vec<_>>();
    assert_eq!((all(|s| &s.refused), all(|s| &s.cut)), (vec![], vec![]), "refused and cut off");
    there_once(&all(|s| &s.made), &all(|s| &s.unheard), client).await;
}

async fn there_once(made: &[&String], unheard: &[&String], client: &Client) {
    let mut names: BTreeMap<String, u32> = BTreeMap::new();
    let mut token = String::new();
    loop {
        let page = client.get(&format!("{CLIENTS}?max=500&pageToken={token}")).await.expect(200);
        for one in page["content"].as_array().unwrap() {
            *names.entry(one["name"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        page["nextPageToken"].as_str().unwrap().clone_into(&mut token);
        if token.is_empty() {
            break;
        }
    }
    assert!(!made.is_empty());
    println!("{} writes made, {} never heard of", made.len(), unheard.len());
    for name in made {
        assert_eq!(names.get(*name), Some(&1), "{name} was promised");
    }
    for name in unheard {
        assert_eq!(names.get(*name), None, "{name} was taken up, and its sender heard nothing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_told_to_stop_answers_what_it_accepted() {
    let mut installation = Installation::start(&[]);
    let (load, main) = (Load::default(), installation.main.clone());
    let [first, second] = &installation.everywhere(&main)[..] else { unreachable!("there are two gateways") };
    let senders = load.start(std::slice::from_ref(first));
    load.goes_on().await;
    let ended = block_in_place(|| installation.cluster.stop("gateway-1")).unwrap();
    let seen = senders.join_all().await;
    assert_eq!(ended.code(), Some(0));
    as_seen(&seen, second).await;
    installation.cluster.start_again("gateway-1").unwrap();
    first.get("/platform/v1/me").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedded_installation_told_to_stop_answers_what_it_accepted() {
    let mut rig = Rig::start_embedded(&[]);
    let load = Load::default();
    let senders = load.start(&[rig.client()]);
    load.goes_on().await;
    let ended = block_in_place(|| rig.embedded_mut().process.stop()).unwrap();
    let seen = senders.join_all().await;
    assert_eq!(ended.code(), Some(0));
    rig.embedded_mut().start_again().unwrap();
    as_seen(&seen, &rig.client()).await;
}

/// With one process of a service, requests wait for the next one as long as links try to reach it; if that took longer on
/// this machine, they may be told so, but no other way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_told_to_stop_answers_what_it_accepted() {
    let mut installation = Installation::start(&[]);
    let (load, main) = (Load::default(), installation.main.clone());
    let clients = installation.everywhere(&main);
    let senders = load.start(&clients);
    let mut longest = Duration::ZERO;
    for service in ["identity", "authz"] {
        load.goes_on().await;
        let began = Instant::now();
        let ended = block_in_place(|| installation.cluster.stop(service)).unwrap();
        assert_eq!(ended.code(), Some(0), "{service}");
        block_in_place(|| installation.cluster.start_again(service)).unwrap();
        println!("{service} was away for {:?}", began.elapsed());
        longest = longest.max(began.elapsed());
    }
    load.goes_on().await;
    load.end.store(true, Ordering::Relaxed);
    let mut seen = senders.join_all().await;
    if longest > LINKS_WAIT {
        for one in &mut seen {
            one.refused.retain(|body| !body.contains("\"unavailable\""));
        }
    }
    // A write that was answered 503 may have been done; there is none unless it took that long.
    as_seen(&seen, &clients[0]).await;
    installation.all_run();
}

/// A write is half way when the process is told to stop: it goes no further than the drain lets it, which is to its end.
async fn a_write_half_way_is_answered(house: &mut House, name: &str) {
    let client = house.everywhere(house.main()).remove(0);
    client.get("/platform/v1/me").await.expect(200);
    let body = json!({ "name": unique(), "publicKey": new_key(KeyKind::Ed25519).public().pem() });
    let write = Write { method: "POST", target: CLIENTS.into(), body, key: unique() };
    let mut held = house.hold_standings().await;
    let stops = async {
        held.half_way(house).await;
        assert!(house.process(name).signal("TERM"));
        let address = house.address(name);
        within(PROGRESS, "it takes no new connections", || async {
            tokio::net::TcpStream::connect(address).await.is_err().then_some(())
        })
        .await;
        assert!(house.process(name).is_running(), "{name} left before the write had ended");
        held.release().await;
    };
    let (answer, ()) = tokio::join!(write.attempt(&client), stops);
    answer.unwrap_or_else(|e| panic!("{name} was told to stop: {e}")).expect(201);
    assert_eq!(house.process(name).wait().unwrap().code(), Some(0), "{name}");
    house.start_again(name);
}

#[tokio::test]
async fn clustered_a_write_half_way_is_answered() {
    let mut house = House::Clustered(Box::new(Installation::start(&[])));
    for name in ["gateway-1", "identity", "authz"] {
        a_write_half_way_is_answered(&mut house, name).await;
    }
}

#[tokio::test]
async fn embedded_a_write_half_way_is_answered() {
    let mut house = House::Embedded(Box::new(Rig::start_embedded(&[])));
    a_write_half_way_is_answered(&mut house, "beem").await;
}
