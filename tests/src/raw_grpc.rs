//! A gRPC call that nothing on this side enforces anything for: a path, the bytes of a message, metadata, over HTTP/2 on a
//! connection of its own. A gRPC library keeps deadlines by itself, so that one never sees whether the service does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::{Code, Status};

/// No answer takes longer, on however busy a machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Where a service listens, and how it is reached.
#[derive(Clone)]
pub struct Peer {
    pub address: SocketAddr,
    /// What its certificate says.
    pub name: String,
    pub tls: Arc<rustls::ClientConfig>,
}

/// One call to make.
#[derive(Clone, Debug)]
pub struct RawCall {
    /// `/beem.identity.v1.Clients/GetClient`.
    pub path: String,
    /// The encoded request message.
    pub message: Vec<u8>,
    pub metadata: Vec<(String, String)>,
}

impl RawCall {
    #[must_use]
    pub fn new(path: &str, message: &[u8]) -> Self {
        Self { path: path.to_owned(), message: message.to_vec(), metadata: Vec::new() }
    }

    /// With that text in the metadata.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Into<String>) -> Self {
        self.metadata.push((name.to_owned(), value.into()));
        self
    }

    /// With those bytes in the metadata; the name ends in `-bin`.
    #[must_use]
    pub fn binary(self, name: &str, value: &[u8]) -> Self {
        self.text(name, STANDARD_NO_PAD.encode(value))
    }

    /// The bytes of the answer's message.
    ///
    /// # Errors
    /// The status, with its text.
    pub async fn send(&self, peer: &Peer) -> Result<Bytes, Status> {
        let answer = tokio::time::timeout(LIMIT, self.exchange(peer)).await;
        answer
            .unwrap_or_else(|_| panic!("{}: no answer", self.path))
            .unwrap_or_else(|e| panic!("{}: {e}", self.path))
    }

    async fn exchange(&self, peer: &Peer) -> Result<Result<Bytes, Status>, Box<dyn std::error::Error>> {
        let stream = TcpStream::connect(peer.address).await?;
        let name = ServerName::try_from(peer.name.clone())?;
        let stream = TlsConnector::from(Arc::clone(&peer.tls)).connect(name, stream).await?;
        let (requests, connection) = h2::client::handshake(stream).await?;
        tokio::select! {
            answer = self.call(requests, &peer.name) => answer,
            ended = connection => Err(format!("the connection ended: {ended:?}").into()),
        }
    }

    async fn call(
        &self,
        requests: h2::client::SendRequest<Bytes>,
        authority: &str,
    ) -> Result<Result<Bytes, Status>, Box<dyn std::error::Error>> {
        let mut request = http::Request::post(format!("https://{authority}{}", self.path))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in &self.metadata {
            request = request.header(name, value);
        }
        let (answer, mut body) = requests.ready().await?.send_request(request.body(())?, false)?;
        let length = u32::try_from(self.message.len())?.to_be_bytes();
        // Whoever is refused at once may find the stream closed: the answer counts.
        let _ = body.send_data([&[0][..], &length, &self.message].concat().into(), true);
        let (head, mut stream) = answer.await?.into_parts();
        let mut received = Vec::new();
        while let Some(data) = stream.data().await {
            let data = data?;
            stream.flow_control().release_capacity(data.len())?;
            received.extend_from_slice(&data);
        }
        let trailers = stream.trailers().await?.unwrap_or_default();
        let status = Status::from_header_map(&trailers).or_else(|| Status::from_header_map(&head.headers));
        let status = status.ok_or_else(|| format!("HTTP {} without a gRPC status", head.status))?;
        if status.code() != Code::Ok {
            return Ok(Err(status));
        }
        Ok(Ok(received.get(5..).ok_or("an answer without a message")?.to_vec().into()))
    }
}
