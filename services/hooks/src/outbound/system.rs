//! The system's names: its hosts file, then its name servers. They are asked here and not by `getaddrinfo`, which holds
//! a thread until it returns, however long nobody waits any more: a few names whose servers are silent would keep all
//! threads. A lookup of ours is gone when it is dropped.

use super::resolve::{NoAddress, Resolver};
use super::sockets::Sockets;
use super::target::is_this_machine;
use beem_fault::{Fault, Result};
use futures::future::BoxFuture;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::read_system_conf;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tokio::time::timeout;

/// Less than a connection may take altogether, so that this is what is told when it is what was slow.
const ANSWERED_WITHIN: Duration = Duration::from_secs(4);

/// A name server that is silent so long is asked once more, or another one in its place, within [`ANSWERED_WITHIN`].
const SILENT_FOR: Duration = Duration::from_millis(1_900);

/// Answers that are remembered, of 64 KiB at most each.
const REMEMBERED: u64 = 512;

/// However long they may be remembered: an owner who mends a name is soon believed.
const REMEMBERED_FOR: Duration = Duration::from_secs(300);
const MISSED_FOR: Duration = Duration::from_secs(30);

/// Questions to one name server under way at once over TCP, which it is asked by when an answer is long.
const LONG_AT_ONCE: usize = 1_024;

/// The system's resolver; names of this machine are not asked for. Names are absolute: a search list would lead
/// `https://ledger.prod.svc/` into the cluster that this runs in.
pub struct SystemResolver(hickory_resolver::Resolver<Sockets>);

impl SystemResolver {
    /// Reads `/etc/resolv.conf` and `/etc/hosts`, once: a change of them needs a restart. A system without name servers
    /// is no error, for whoever develops without a network; lookups then fail as [`NoAddress::Ours`].
    ///
    /// # Errors
    /// `internal` when the resolver cannot be made.
    pub fn open() -> Result<Self> {
        let (servers, options) = match read_system_conf() {
            Ok((system, options)) => (system.name_servers, options),
            Err(error) => {
                tracing::warn!(%error, "this system names no name servers: no name of a receiver resolves");
                (Vec::new(), ResolverOpts::default())
            }
        };
        Self::asking(servers, options)
    }

    fn asking(servers: Vec<NameServerConfig>, mut options: ResolverOpts) -> Result<Self> {
        options.timeout = SILENT_FOR;
        options.attempts = 1;
        // A slow question is six sockets already, three for each kind of address.
        options.num_concurrent_reqs = 1;
        options.max_active_requests = LONG_AT_ONCE;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.cache_size = REMEMBERED;
        options.positive_max_ttl = Some(REMEMBERED_FOR);
        options.negative_max_ttl = Some(MISSED_FOR);
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let builder = hickory_resolver::Resolver::builder_with_config(config, Sockets::default());
        Ok(Self(builder.with_options(options).build().map_err(Fault::internal)?))
    }

    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, NoAddress> {
        let mut name = Name::from_ascii(host).map_err(|error| NoAddress::Name(error.to_string()))?;
        name.set_fqdn(true);
        Ok(self.0.lookup_ip(name).await.map_err(weighed)?.iter().collect())
    }
}

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, NoAddress>> {
        if is_this_machine(host) {
            let own = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            return Box::pin(async move { Ok(own) });
        }
        Box::pin(async move {
            let late = || Err(NoAddress::Name("no answer in time".to_owned()));
            timeout(ANSWERED_WITHIN, self.look_up(host)).await.unwrap_or_else(|_| late())
        })
    }
}

/// Ours is what a name cannot bring about: that no name server is known, can be reached or wants to answer us.
fn weighed(error: NetError) -> NoAddress {
    let text = error.to_string();
    match error {
        NetError::NoConnections
        | NetError::Busy
        | NetError::Io(_)
        | NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => NoAddress::Ours(text),
        _ => NoAddress::Name(text),
    }
}

#[cfg(test)]
mod tests;
