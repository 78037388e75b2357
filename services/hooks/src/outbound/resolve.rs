//! Names to addresses. A name is resolved once for each connection, every answer is judged, and exactly what was
//! judged is dialled: an answer that changes afterwards changes nothing.

use super::target::is_this_machine;
use super::{Policy, addresses, judge};
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Whoever knows the addresses of names.
pub trait Resolver: Send + Sync {
    /// The addresses of a name, which is in lower case and ASCII and has no dot at its end. It is absolute.
    ///
    /// # Errors
    /// Why there are none.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, NoAddress>>;
}

/// Why a name has no addresses, in words for the log; a hook's owner is not shown them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// There is no such name, it has none, or those who would know its addresses do not answer.
    #[error("{0}")]
    Name(String),
    /// Nobody can be asked, whatever the name.
    #[error("{0}")]
    Ours(String),
}

/// Why a name is not called, as its hook's owner is told. Whether a name is unknown or leads to where it may not is one
/// text: names of the network that this runs in are nobody's to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("the host does not resolve to an address that may be reached")]
    Nowhere,
    #[error("names cannot be resolved on our side")]
    Ours,
}

/// A resolver whose every answer is judged; the only one the client has.
#[derive(Clone)]
pub(super) struct Judged {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) policy: Policy,
}

impl Judged {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let found = self.resolver.resolve(host).await.map_err(|why| match why {
            NoAddress::Name(why) => nowhere(host, &why),
            NoAddress::Ours(why) => {
                tracing::warn!(host, why, "a name of a receiver cannot be resolved");
                Unresolved::Ours
            }
        })?;
        self.judge(host, &found).map_err(|why| nowhere(host, why))?;
        Ok(found)
    }

    fn judge(&self, host: &str, found: &[IpAddr]) -> Result<(), &'static str> {
        if found.is_empty() {
            return Err("no address");
        }
        for address in found {
            judge(*address, self.policy)?;
            // It may be called by http, which must not leave this machine.
            if is_this_machine(host) && !addresses::is_loopback(*address) {
                return Err("elsewhere, and the name is this machine's");
            }
        }
        Ok(())
    }
}

fn nowhere(host: &str, why: &str) -> Unresolved {
    tracing::info!(host, why, "a name of a receiver leads nowhere that may be reached");
    Unresolved::Nowhere
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

    const NOWHERE: &str = "the host does not resolve to an address that may be reached";

    type Said = Result<Vec<IpAddr>, NoAddress>;

    /// Gives one answer after the other.
    struct Script(Mutex<VecDeque<Said>>);

    impl Resolver for Script {
        fn resolve<'a>(&'a self, _host: &'a str) -> BoxFuture<'a, Said> {
            Box::pin(async { self.0.lock().unwrap().pop_front().expect("it was asked once too often") })
        }
    }

    fn judged(policy: Policy, answers: impl IntoIterator<Item = Said>) -> Judged {
        Judged { resolver: Arc::new(Script(Mutex::new(answers.into_iter().collect()))), policy }
    }

    fn addresses(texts: &[&str]) -> Said {
        Ok(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    async fn asked(judged: &Judged, host: &str) -> Result<Vec<String>, String> {
        let found = judged.resolve(host.parse().unwrap()).await.map_err(|e| e.to_string())?;
        Ok(found.map(|address| address.to_string()).collect())
    }

    #[tokio::test]
    async fn row_26_every_answer_is_judged_and_one_refused_refuses_all() {
        let refused = [
            &["93.184.216.34", "10.0.0.1"][..],
            &["fd00:ec2::254", "93.184.216.34"],
            &["169.254.169.254"],
            &["::ffff:93.184.216.34"],
            &["127.0.0.1"],
        ];
        let allowed = addresses(&["93.184.216.34", "2606:4700:4700::1111"]);
        let public = Policy { allow_loopback: false };
        let judged = judged(public, [allowed].into_iter().chain(refused.map(addresses)));
        assert_eq!(
            asked(&judged, "a.example").await.unwrap(),
            ["93.184.216.34:0", "[2606:4700:4700::1111]:0"]
        );
        for answer in refused {
            assert_eq!(asked(&judged, "a.example").await.unwrap_err(), NOWHERE, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn row_26_a_name_that_is_unknown_and_one_that_leads_inside_are_the_same_to_its_owner() {
        let unknown = Err(NoAddress::Name("no records found for ledger.internal".to_owned()));
        let none = addresses(&[]);
        let judged = judged(Policy::default(), [unknown, none, addresses(&["10.0.0.53"])]);
        for _ in 0..3 {
            assert_eq!(asked(&judged, "ledger.internal").await.unwrap_err(), NOWHERE);
        }
    }

    #[tokio::test]
    async fn that_nobody_can_be_asked_is_ours() {
        let away = Err(NoAddress::Ours("10.0.0.53 is away".to_owned()));
        let judged = judged(Policy::default(), [away]);
        assert_eq!(asked(&judged, "a.example").await.unwrap_err(), "names cannot be resolved on our side");
    }

    #[tokio::test]
    async fn a_name_of_this_machine_leads_nowhere_else() {
        let elsewhere = || addresses(&["8.8.8.8"]);
        let answers = [addresses(&["127.0.0.1"]), elsewhere(), elsewhere()];
        let judged = judged(Policy { allow_loopback: true }, answers);
        assert_eq!(asked(&judged, "a.localhost").await.unwrap(), ["127.0.0.1:0"]);
        assert_eq!(asked(&judged, "a.localhost").await.unwrap_err(), NOWHERE);
        assert!(asked(&judged, "a.example").await.is_ok());
    }
}
