//! What the processes of a cluster hold, read from their generated settings: enough to call a service as any of them, or
//! as none of them.

use crate::environment::internal_key;
use crate::raw_grpc::Peer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_caller::{ActorKey, Sealer, ServiceIdentity};
use beem_clock::Clock;
use beem_link::{RemoteTarget, TlsFiles};
use ed25519_dalek::SigningKey;
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
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
        self.identity_at(service, Clock::System)
    }

    /// The same by another clock.
    #[must_use]
    pub fn identity_at(&self, service: &str, clock: Clock) -> ServiceIdentity {
        let process = if service == "gateway" { "gateway-1" } else { service };
        let settings = settings(&self.folder, process);
        let seed = settings["keys"]["service"][service].as_str().unwrap();
        ServiceIdentity::new(service, SigningKey::from_bytes(&bytes(seed)), clock)
    }

    /// A service that is not built yet, as the clusters under test know it: `payments`, `channels`.
    #[must_use]
    pub fn internal(&self, service: &str) -> ServiceIdentity {
        ServiceIdentity::new(service, internal_key(service), Clock::System)
    }

    /// The gateway's seals.
    #[must_use]
    pub fn sealer(&self) -> Sealer {
        let actor = self.gateway["keys"]["actor"].as_table().unwrap();
        let keys =
            actor.iter().map(|(name, keys)| (name.clone(), ActorKey(bytes(keys[0].as_str().unwrap()))));
        Sealer::new(keys.collect::<BTreeMap<_, _>>())
    }

    /// A connection to a service as the gateway makes and keeps it.
    #[must_use]
    pub fn channel(&self, service: &str) -> Channel {
        self.channel_to(service, self.gateway["peers"][service].as_str().unwrap())
    }

    /// The same to another process of the service.
    #[must_use]
    pub fn channel_to(&self, service: &str, url: &str) -> Channel {
        // A second time is fine: somebody else of this process was first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (certificate, key, authority) =
            (self.file("certificate"), self.file("key"), self.file("authority"));
        let target = RemoteTarget {
            url: url.to_owned(),
            name: service.to_owned(),
            tls: Some(TlsFiles { certificate, key, authority }),
        };
        beem_link::connect(&target).unwrap()
    }

    /// A service, reached as the gateway reaches it, mutual TLS included.
    #[must_use]
    pub fn peer(&self, service: &str) -> Peer {
        let chain =
            CertificateDer::pem_file_iter(self.file("certificate")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(self.file("key")).unwrap();
        let url = self.gateway["peers"][service].as_str().unwrap();
        let address = url.trim_start_matches("https://").parse().unwrap();
        let tls = self.tls().with_client_auth_cert(chain, key).unwrap();
        Peer { address, name: service.to_owned(), tls: http2(tls) }
    }

    /// A TLS connection to a service by somebody who has no certificate, as far as one byte of an answer.
    ///
    /// # Errors
    /// When the service closes it.
    pub async fn knock_without_certificate(&self, peer: &Peer) -> std::io::Result<()> {
        let stream = TcpStream::connect(peer.address).await?;
        let name = ServerName::try_from(peer.name.clone()).unwrap();
        let tls = http2(self.tls().with_no_client_auth());
        let mut stream = TlsConnector::from(tls).connect(name, stream).await?;
        // The preface of HTTP/2 and empty settings: a server that takes the connection answers with its own.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").await?;
        stream.read_u8().await.map(drop)
    }

    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(self.gateway["grpc"]["tls"][name].as_str().unwrap())
    }

    fn tls(&self) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.file("authority")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        config.with_root_certificates(roots)
    }
}

fn http2(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

fn settings(folder: &Path, process: &str) -> Table {
    let path = folder.join(format!("{process}.toml"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn bytes(text: &str) -> [u8; 32] {
    STANDARD.decode(text).unwrap().try_into().unwrap()
}
