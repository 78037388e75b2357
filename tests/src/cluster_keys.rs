//! What the processes of a cluster hold, read from their generated settings: enough to call a service as any of them, or
//! as none of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_caller::{ActorKey, Sealer, ServiceIdentity};
use beem_clock::Clock;
use beem_link::{RemoteTarget, TlsFiles};
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Table;
use tonic::transport::Channel;

/// The keys of all processes of one cluster.
#[derive(Debug)]
pub struct ClusterKeys {
    folder: PathBuf,
    gateway: Table,
}

impl ClusterKeys {
    /// From the folder that `beem keygen --cluster` wrote.
    #[must_use]
    pub fn read(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), gateway: settings(folder, "gateway-1") }
    }

    /// The identity of a service as its own settings give it: `gateway`, `identity`, `authz`, `admin`.
    #[must_use]
    pub fn identity(&self, service: &str) -> ServiceIdentity {
        let process = if service == "gateway" { "gateway-1" } else { service };
        let settings = settings(&self.folder, process);
        let seed = settings["keys"]["service"][service].as_str().unwrap();
        ServiceIdentity::new(service, SigningKey::from_bytes(&bytes(seed)), Clock::System)
    }

    /// The gateway's seals.
    #[must_use]
    pub fn sealer(&self) -> Sealer {
        let actor = self.gateway["keys"]["actor"].as_table().unwrap();
        let keys = actor.iter().map(|(name, keys)| (name.clone(), ActorKey(bytes(keys[0].as_str().unwrap()))));
        Sealer::new(keys.collect::<BTreeMap<_, _>>())
    }

    /// A connection to a service as the gateway makes it, mutual TLS included.
    #[must_use]
    pub fn channel(&self, service: &str) -> Channel {
        // A second time is fine: somebody else of this process was first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tls = &self.gateway["grpc"]["tls"];
        let file = |name: &str| PathBuf::from(tls[name].as_str().unwrap());
        let target = RemoteTarget {
            url: self.gateway["peers"][service].as_str().unwrap().to_owned(),
            name: service.to_owned(),
            tls: Some(TlsFiles { certificate: file("certificate"), key: file("key"), authority: file("authority") }),
        };
        beem_link::connect(&target).unwrap()
    }
}

fn settings(folder: &Path, process: &str) -> Table {
    let path = folder.join(format!("{process}.toml"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn bytes(text: &str) -> [u8; 32] {
    STANDARD.decode(text).unwrap().try_into().unwrap()
}
