//! The network under a remote link: a lazily connected channel, over mutual TLS when certificates are given.

use std::path::PathBuf;
use std::time::Duration;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// How long one connection attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A peer that does not answer a ping within this is gone.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a peer may send ahead of one answer's reader, bytes: all that an export whose reader pauses holds on this side.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// And of all readers. As much as 1,024 calls, which is what a peer serves at one time on a connection: however many of
/// them pause, they leave room for the others.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * STREAM_WINDOW_BYTES;

/// Where a peer is.
#[derive(Clone, Debug)]
pub struct RemoteTarget {
    /// `https://identity.internal:7001`, or `http://` without TLS.
    pub url: String,
    /// The name in the peer's certificate: the service's.
    pub name: String,
    pub tls: Option<TlsFiles>,
}

/// This side's certificate and key, and whose signatures it trusts. PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub authority: PathBuf,
}

/// The target is no URL, or a file of it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error("{0} is not a URL of a peer")]
    Url(String, #[source] tonic::transport::Error),
    #[error("cannot read {0}")]
    File(PathBuf, #[source] std::io::Error),
    #[error("the certificates do not fit")]
    Tls(#[source] tonic::transport::Error),
}

/// A channel that connects at its first use, and again whenever it must.
///
/// # Errors
/// When the target cannot be used at all; a peer that is away is no error here.
pub fn connect(target: &RemoteTarget) -> Result<Channel, RemoteError> {
    let endpoint =
        Endpoint::from_shared(target.url.clone()).map_err(|e| RemoteError::Url(target.url.clone(), e))?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    let endpoint = match &target.tls {
        None => endpoint,
        Some(files) => endpoint.tls_config(client_tls(files, &target.name)?).map_err(RemoteError::Tls)?,
    };
    Ok(endpoint.connect_lazy())
}

fn client_tls(files: &TlsFiles, name: &str) -> Result<ClientTlsConfig, RemoteError> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|e| RemoteError::File(path.clone(), e));
    Ok(ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(read(&files.authority)?))
        .identity(Identity::from_pem(read(&files.certificate)?, read(&files.key)?))
        .domain_name(name))
}
