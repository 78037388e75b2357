//! Names to addresses. A name is resolved once for each connection, every answer is judged, and exactly what was
//! judged is dialled: an answer that changes afterwards changes nothing.

use super::target::is_this_machine;
use super::{Policy, addresses, judge};
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Less than a connection may take altogether, so that this is what is told when it is what was slow.
const ANSWERED_WITHIN: Duration = Duration::from_secs(4);

/// The system resolves on threads of their own and cannot be interrupted. Slow name servers get half of the threads
/// that the runtime has for such work, and never those that others wait for.
const LOOKUPS_AT_ONCE: usize = 256;

/// Whoever knows the addresses of names.
pub trait Resolver: Send + Sync {
    /// The addresses of a name, which is in lower case and ASCII.
    ///
    /// # Errors
    /// Why there are none; it is not shown to anybody.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver; names of this machine are not asked for.
#[derive(Debug)]
pub struct SystemResolver {
    free: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)) }
    }
}

impl SystemResolver {
    async fn look_up(&self, host: String) -> io::Result<Vec<IpAddr>> {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(io::Error::other)?;
        let looking = tokio::task::spawn_blocking(move || {
            // Until the thread is free again, which may be long after anybody waited.
            let _permit = permit;
            (host, 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect())
        });
        looking.await.map_err(io::Error::other)?
    }
}

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        if is_this_machine(host) {
            let own = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            return Box::pin(async move { Ok(own) });
        }
        Box::pin(async move {
            let looking = self.look_up(host.to_owned());
            tokio::time::timeout(ANSWERED_WITHIN, looking).await.map_err(io::Error::other)?
        })
    }
}

/// Why a name is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("the host does not resolve")]
    NoAddress,
    #[error("the address is in {0}")]
    Network(&'static str),
    #[error("the host is this machine's and its address is not")]
    Elsewhere,
}

/// A resolver whose every answer is judged; the only one the client has.
#[derive(Clone)]
pub(super) struct Judged {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) policy: Policy,
}

impl Judged {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let found = self.resolver.resolve(host).await.map_err(|_| Unresolved::NoAddress)?;
        if found.is_empty() {
            return Err(Unresolved::NoAddress);
        }
        for address in &found {
            judge(*address, self.policy).map_err(Unresolved::Network)?;
            // It may be called by http, which must not leave this machine.
            if is_this_machine(host) && !addresses::is_loopback(*address) {
                return Err(Unresolved::Elsewhere);
            }
        }
        Ok(found)
    }
}

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let judged = self.clone();
        Box::pin(async move {
            let found = judged.addresses(name.as_str()).await?;
            // Port 0: the client puts in the URL's.
            let addresses: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Mutex;

    /// Gives one answer after the other.
    struct Script(Mutex<VecDeque<io::Result<Vec<IpAddr>>>>);

    impl Resolver for Script {
        fn resolve<'a>(&'a self, _host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
            Box::pin(async { self.0.lock().unwrap().pop_front().expect("it was asked once too often") })
        }
    }

    fn judged(policy: Policy, answers: &[&[&str]]) -> Judged {
        let addresses = |answer: &&[&str]| Ok(answer.iter().map(|text| text.parse().unwrap()).collect());
        Judged { resolver: Arc::new(Script(Mutex::new(answers.iter().map(addresses).collect()))), policy }
    }

    async fn asked(judged: &Judged, host: &str) -> Result<Vec<String>, String> {
        let found = judged.resolve(host.parse().unwrap()).await.map_err(|e| e.to_string())?;
        Ok(found.map(|address| address.to_string()).collect())
    }

    #[tokio::test]
    async fn row_26_every_answer_is_judged_and_one_refused_refuses_all() {
        let public = Policy { allow_loopback: false };
        let judged = judged(
            public,
            &[
                &["93.184.216.34", "2606:4700:4700::1111"],
                &["93.184.216.34", "10.0.0.1"],
                &["fd00:ec2::254", "93.184.216.34"],
                &["169.254.169.254"],
                &["::ffff:93.184.216.34"],
                &[],
            ],
        );
        assert_eq!(
            asked(&judged, "a.example").await.unwrap(),
            ["93.184.216.34:0", "[2606:4700:4700::1111]:0"]
        );
        for want in [
            "the address is in a private network",
            "the address is in a private network",
            "the address is in a link-local network",
            "the address is in a network that carries IPv4 inside IPv6",
            "the host does not resolve",
        ] {
            assert_eq!(asked(&judged, "a.example").await.unwrap_err(), want);
        }
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_and_one_of_this_machine_that_leads_elsewhere_are_refused() {
        let failing = Script(Mutex::new([Err(io::Error::other("10.0.0.53 is away"))].into()));
        let policy = Policy { allow_loopback: true };
        let away = Judged { resolver: Arc::new(failing), policy };
        assert_eq!(asked(&away, "a.example").await.unwrap_err(), "the host does not resolve");
        let elsewhere = judged(policy, &[&["127.0.0.1"], &["8.8.8.8"], &["8.8.8.8"]]);
        assert_eq!(asked(&elsewhere, "a.localhost").await.unwrap(), ["127.0.0.1:0"]);
        assert_eq!(
            asked(&elsewhere, "a.localhost").await.unwrap_err(),
            "the host is this machine's and its address is not"
        );
        assert!(asked(&elsewhere, "a.example").await.is_ok());
    }

    #[tokio::test]
    async fn the_system_knows_this_machine_without_asking() {
        let found = SystemResolver::default().resolve("hook.localhost").await.unwrap();
        assert!(found.iter().all(|address| address.is_loopback()) && found.len() == 2);
    }
}
