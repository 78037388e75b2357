//! Names of the test's own making.

use beem_hooks::outbound::{NoAddress, Resolver};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;

/// What becomes of one question.
#[derive(Clone, Debug)]
pub enum Said {
    Addresses(Vec<IpAddr>),
    Fails,
    /// Nobody can be asked.
    Away,
    Hangs,
    /// As a bug in the resolver would.
    Panics,
}

/// Knows the hosts it was told; and `localhost`, with everything below it, is this machine.
#[derive(Default)]
pub struct Scripted {
    hosts: Mutex<BTreeMap<String, Host>>,
}

#[derive(Default)]
struct Host {
    next: VecDeque<Said>,
    always: Option<Said>,
    asked: usize,
}

impl Scripted {
    /// From now on.
    pub fn says(&self, host: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.always(host, Said::Addresses(addresses));
    }

    /// From now on.
    pub fn always(&self, host: &str, said: Said) {
        self.hosts.lock().unwrap().entry(host.to_owned()).or_default().always = Some(said);
    }

    /// Once, before what it says otherwise, and after what else it was told to say once.
    pub fn then(&self, host: &str, said: Said) {
        self.hosts.lock().unwrap().entry(host.to_owned()).or_default().next.push_back(said);
    }

    /// How often it was asked for the host.
    pub fn asked(&self, host: &str) -> usize {
        self.hosts.lock().unwrap().get(host).map_or(0, |host| host.asked)
    }

    fn say(&self, host: &str) -> Said {
        let mut hosts = self.hosts.lock().unwrap();
        let known = hosts.entry(host.to_owned()).or_default();
        known.asked += 1;
        let said = known.next.pop_front().or_else(|| known.always.clone());
        let local = host == "localhost" || host.ends_with(".localhost");
        let otherwise = if local { Said::Addresses(vec![Ipv4Addr::LOCALHOST.into()]) } else { Said::Fails };
        said.unwrap_or(otherwise)
    }
}

impl Resolver for Scripted {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, NoAddress>> {
        async move {
            match self.say(host) {
                Said::Addresses(addresses) => Ok(addresses),
                Said::Fails => Err(NoAddress::Name("no such host".to_owned())),
                Said::Away => Err(NoAddress::Ours("no name server".to_owned())),
                Said::Hangs => std::future::pending().await,
                Said::Panics => panic!("a bug in the resolver, as the test wants it"),
            }
        }
        .boxed()
    }
}
