//! Against a name server on this machine.

use super::*;
use futures::future::join_all;
use hickory_resolver::Hosts;
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::UdpSocket;

/// What it says of a name.
#[derive(Clone, Copy)]
enum Told {
    /// These, for so many seconds.
    Addresses(&'static [&'static str], u32),
    Code(ResponseCode),
    Nothing,
}

use Told::{Addresses, Code, Nothing};

/// Answers until it is dropped.
struct NameServer {
    port: u16,
    /// Questions by their names, as they came.
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl NameServer {
    async fn start(told: impl Fn(&str) -> Told + Send + Sync + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let asked = Arc::<Mutex<BTreeMap<String, usize>>>::default();
        let counted = Arc::clone(&asked);
        let serving = beem_runtime::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let question = Message::from_vec(&buffer[..length]).unwrap();
                let name = question.queries[0].name().to_string();
                *counted.lock().unwrap().entry(name.clone()).or_default() += 1;
                if let Some(answer) = answer(question, told(&name)) {
                    socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
                }
            }
        });
        Self { port, asked, serving }
    }

    fn resolver(&self) -> SystemResolver {
        asking(self.port)
    }

    fn asked(&self) -> BTreeMap<String, usize> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn answer(question: Message, told: Told) -> Option<Message> {
    let query = question.queries[0].clone();
    let mut answer = question.into_response();
    match told {
        Nothing => return None,
        Code(code) => answer.metadata.response_code = code,
        Addresses(addresses, ttl_s) => {
            for address in addresses {
                let address: IpAddr = address.parse().unwrap();
                if address.is_ipv4() == (query.query_type() == RecordType::A) {
                    let data = RData::from(address);
                    answer.add_answer(Record::from_rdata(query.name().clone(), ttl_s, data));
                }
            }
        }
    }
    Some(answer)
}

fn asking(port: u16) -> SystemResolver {
    asking_with(port, ResolverOpts::default())
}

fn asking_with(port: u16, system: ResolverOpts) -> SystemResolver {
    let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
    server.connections[0].port = port;
    SystemResolver::asking(vec![server], system).unwrap()
}

fn texts(found: Vec<IpAddr>) -> Vec<String> {
    found.iter().map(IpAddr::to_string).collect()
}

#[tokio::test]
async fn a_name_has_its_addresses_of_both_kinds() {
    let server = NameServer::start(|_| Addresses(&["2606:4700:4700::1111", "8.8.8.8", "8.8.4.4"], 60)).await;
    let found = server.resolver().resolve("hook.example").await.unwrap();
    assert_eq!(texts(found), ["8.8.8.8", "8.8.4.4", "2606:4700:4700::1111"]);
    assert_eq!(server.asked(), [("hook.example.".to_owned(), 2)].into());
}

#[tokio::test]
async fn row_26_names_are_absolute_whatever_the_system_searches() {
    let server = NameServer::start(|_| Code(ResponseCode::NXDomain)).await;
    let mut system = ResolverOpts::default();
    system.ndots = 5;
    let resolver = asking_with(server.port, system);
    for name in ["internal", "ledger.prod.svc"] {
        assert!(matches!(resolver.resolve(name).await, Err(NoAddress::Name(_))), "{name}");
    }
    let asked: Vec<String> = server.asked().into_keys().collect();
    assert_eq!(asked, ["internal.", "ledger.prod.svc."]);
}

#[tokio::test]
async fn an_answer_is_remembered_as_long_as_it_says() {
    let ttl_s = |name: &str| if name.starts_with("kept") { 60 } else { 0 };
    let server = NameServer::start(move |name| Addresses(&["8.8.8.8", "::2"], ttl_s(name))).await;
    let resolver = server.resolver();
    for _ in 0..3 {
        for name in ["kept.example", "fleeting.example"] {
            assert_eq!(resolver.resolve(name).await.unwrap().len(), 2);
        }
    }
    let asked = server.asked();
    assert_eq!((asked["kept.example."], asked["fleeting.example."]), (2, 6));
}

#[tokio::test]
async fn a_name_is_to_blame_for_what_is_said_of_it_and_not_for_what_is_not_said_to_us() {
    for (told, ours) in [
        (Code(ResponseCode::NXDomain), false),
        (Code(ResponseCode::ServFail), false),
        (Addresses(&[], 60), false),
        (Code(ResponseCode::Refused), true),
    ] {
        let server = NameServer::start(move |_| told).await;
        let failed = server.resolver().resolve("hook.example").await.unwrap_err();
        assert_eq!(matches!(failed, NoAddress::Ours(_)), ours, "{failed}");
    }
    let long = "a".repeat(64);
    let failed = asking(9).resolve(&long).await.unwrap_err();
    assert!(matches!(failed, NoAddress::Name(_)), "{failed}");
}

#[tokio::test]
async fn where_no_name_server_is_known_or_listens_it_is_ours() {
    let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let unknown = SystemResolver::asking(Vec::new(), ResolverOpts::default()).unwrap();
    for mut resolver in [unknown, asking(nobody)] {
        let failed = resolver.resolve("hook.example").await.unwrap_err();
        assert!(matches!(failed, NoAddress::Ours(_)), "{failed}");
        // The hosts file needs nobody.
        let mut hosts = Hosts::default();
        hosts.read_hosts_conf(&b"192.0.2.7 hook.example\n2001:db8::7 hook.example\n"[..]).unwrap();
        resolver.0.set_hosts(Arc::new(hosts));
        assert_eq!(texts(resolver.resolve("hook.example").await.unwrap()), ["192.0.2.7", "2001:db8::7"]);
    }
}

/// Nothing but timers, once the questions were sent.
#[tokio::test(start_paused = true)]
async fn a_name_nobody_answers_for_is_asked_twice_and_then_given_up() {
    let server = NameServer::start(|_| Nothing).await;
    let failed = server.resolver().resolve("silent.example").await.unwrap_err();
    assert!(matches!(failed, NoAddress::Name(_)), "{failed}");
    // Once is three datagrams for each kind of address: some get lost.
    assert!(server.asked()["silent.example."] > 6, "{:?}", server.asked());
}

/// As many as an account may have hooks, again and again: as many lookups as would once have kept every thread.
#[tokio::test]
async fn names_nobody_answers_for_hold_up_no_other_name() {
    let told = |name: &str| if name.starts_with("silent") { Nothing } else { Addresses(&["8.8.8.8"], 0) };
    let server = NameServer::start(told).await;
    let resolver = server.resolver();
    for round in 0..3 {
        let names: Vec<String> = (0..100).map(|n| format!("silent-{n}.round-{round}.example")).collect();
        let other = async {
            let silent = || server.asked().into_keys().filter(|name| name.starts_with("silent")).count();
            while silent() < 100 * (round + 1) {
                tokio::task::yield_now().await;
            }
            texts(resolver.resolve("hook.example").await.unwrap())
        };
        tokio::select! {
            found = other => assert_eq!(found, ["8.8.8.8"]),
            gave_up = join_all(names.iter().map(|name| resolver.resolve(name))) => panic!("{gave_up:?}"),
        }
    }
}

#[tokio::test]
async fn this_machine_is_known_without_asking() {
    let found = SystemResolver::open().unwrap().resolve("hook.localhost").await.unwrap();
    assert!(found.iter().all(|address| address.is_loopback()) && found.len() == 2);
}
