//! The ways between services: in this process where both are here, over the network where the settings name a peer. Who
//! may call whom is held here: a link that the graph does not have cannot be asked for.

use crate::keys::Keys;
use crate::settings::{GrpcSettings, Settings};
use anyhow::{Context, Result, bail};
use beem_link::{Link, LocalService, RemoteTarget, TlsFiles, connect};
use beem_telemetry::Telemetry;
use std::collections::BTreeMap;

/// Who calls whom, and nothing else. Acyclic, so that services can be built in order.
pub const CALLS: [(&str, &[&str]); 5] = [
    ("gateway", &["identity", "authz", "ledger", "hooks"]),
    ("identity", &["authz"]),
    ("ledger", &["authz"]),
    ("hooks", &["authz", "identity", "ledger"]),
    ("admin", &["identity", "authz", "ledger", "hooks"]),
];

/// The services that make events: each serves its feed, and hooks takes all of them in.
pub const FEEDS: [&str; 2] = ["identity", "ledger"];

/// The services of this process so far, and the way to all others.
pub struct Links<'a> {
    settings: &'a Settings,
    keys: &'a Keys,
    telemetry: &'a Telemetry,
    local: BTreeMap<String, LocalService>,
}

impl<'a> Links<'a> {
    #[must_use]
    pub const fn new(settings: &'a Settings, keys: &'a Keys, telemetry: &'a Telemetry) -> Self {
        Self { settings, keys, telemetry, local: BTreeMap::new() }
    }

    /// A service of this process, guarded, which later ones may call.
    pub fn add(&mut self, name: &str, service: LocalService) {
        self.local.insert(name.to_owned(), service);
    }

    /// The guarded services of this process.
    #[must_use]
    pub const fn local(&self) -> &BTreeMap<String, LocalService> {
        &self.local
    }

    /// The way from one service to another.
    ///
    /// # Errors
    /// When the graph has no such call, or the settings do not say where the peer is.
    pub fn link(&self, from: &str, to: &str) -> Result<Link> {
        if !CALLS.iter().any(|(caller, callees)| *caller == from && callees.contains(&to)) {
            bail!("{from} does not call {to}: see who calls whom");
        }
        let identity = self.keys.identity(from)?;
        if let Some(service) = self.local.get(to) {
            return Ok(Link::local(to, service.clone(), identity, self.telemetry.clone()));
        }
        let url = self.settings.peers.get(to);
        let url =
            url.with_context(|| format!("peers.{to}: {from} calls {to}, and the settings do not say where"))?;
        let tls = self.settings.grpc.as_ref().and_then(tls_files);
        let channel = connect(&RemoteTarget { url: url.clone(), name: to.to_owned(), tls })?;
        Ok(Link::remote(to, channel, identity, self.telemetry.clone()))
    }

    /// Every way a service has.
    ///
    /// # Errors
    /// As [`Links::link`].
    pub fn all_from(&self, from: &str) -> Result<BTreeMap<String, Link>> {
        let callees = CALLS.iter().filter(|(caller, _)| *caller == from).flat_map(|(_, callees)| *callees);
        callees.map(|to| Ok(((*to).to_owned(), self.link(from, to)?))).collect()
    }
}

fn tls_files(grpc: &GrpcSettings) -> Option<TlsFiles> {
    let tls = grpc.tls.as_ref()?;
    Some(TlsFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        authority: tls.authority.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_proto::{Access, Contract, Method};

    /// The contract's internal callers and the graph say the same: no service can call what it may not, and every call
    /// of the graph is allowed somewhere.
    #[test]
    fn the_graph_and_the_contract_agree() {
        let contract = Contract::load().unwrap();
        // What every service that makes events serves has no one owner.
        let owners = |method: &Method| -> Vec<String> {
            if method.owner == "*" { FEEDS.map(str::to_owned).into() } else { vec![method.owner.clone()] }
        };
        let calls =
            |from: &str, to: &str| CALLS.iter().any(|(c, callees)| *c == from && callees.contains(&to));
        for (from, callees) in CALLS {
            for to in callees {
                let allowed = contract.methods().any(|m| {
                    owners(m).iter().any(|owner| owner == to)
                        && (from == "gateway"
                            || matches!(&m.access, Access::Internal(c) if c.iter().any(|c| c == from)))
                });
                assert!(allowed, "nothing of {to} may be called by {from}");
            }
        }
        for method in contract.methods() {
            let Access::Internal(callers) = &method.access else { continue };
            // Services that are not built yet are named by the contract already.
            let built =
                callers.iter().filter(|c| crate::settings::SERVICES.contains(&c.as_str()) || *c == "admin");
            for caller in built {
                for owner in owners(method) {
                    assert!(calls(caller, &owner), "{} of {owner} names {caller}", method.path);
                }
            }
        }
        for (from, callees) in CALLS {
            assert!(callees.iter().all(|to| !calls(to, from)), "{from} is in a circle");
        }
        assert!(FEEDS.iter().all(|source| calls("hooks", source)), "a feed that nobody takes in");
    }
}
