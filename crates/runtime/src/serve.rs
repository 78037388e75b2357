//! A guarded service on a network listener: HTTP/2 over mutual TLS, with health and reflection beside it, drained when
//! told to. Only the clustered shape has one.

use beem_link::LocalService;
use std::path::PathBuf;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::{AxumBody, AxumRouter, Routes, RoutesBuilder};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tower::ServiceExt;

/// A service's certificate and key, and whose signatures it demands of callers. PEM.
#[derive(Clone, Debug)]
pub struct TlsListener {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub authority: PathBuf,
}

/// The listener could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot read {0}")]
    File(PathBuf, #[source] std::io::Error),
    #[error("the descriptor set cannot be reflected")]
    Reflection(#[source] tonic_reflection::server::Error),
    #[error("the gRPC server failed")]
    Server(#[source] tonic::transport::Error),
}

/// Serves guarded services until cancelled, then lets what is under way finish. `grpc_names` are what health answers for.
///
/// # Errors
/// When a certificate cannot be used or the listener fails.
pub async fn serve_grpc(
    listener: TcpListener,
    tls: Option<&TlsListener>,
    grpc_names: &[&'static str],
    service: LocalService,
    cancel: CancellationToken,
) -> Result<(), ServeError> {
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(std::time::Duration::from_secs(10)))
        .max_concurrent_streams(1024);
    if let Some(tls) = tls {
        let read = |path: &PathBuf| std::fs::read(path).map_err(|e| ServeError::File(path.clone(), e));
        let config = ServerTlsConfig::new()
            .identity(Identity::from_pem(read(&tls.certificate)?, read(&tls.key)?))
            .client_ca_root(Certificate::from_pem(read(&tls.authority)?));
        server = server.tls_config(config).map_err(ServeError::Server)?;
    }
    // Set here: the server's own setting is for sockets it binds itself. Without it every answer waits out a delayed
    // acknowledgement, 40 ms.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    server
        .add_routes(routes(grpc_names, service).await?)
        .serve_with_incoming_shutdown(incoming, cancel.cancelled_owned())
        .await
        .map_err(ServeError::Server)
}

/// Health and reflection, and everything else to the guarded services, which know their own methods.
async fn routes(grpc_names: &[&'static str], service: LocalService) -> Result<Routes, ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    for name in grpc_names {
        reporter.set_service_status(*name, tonic_health::ServingStatus::Serving).await;
    }
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(beem_proto::DESCRIPTOR_SET)
        .build_v1()
        .map_err(ServeError::Reflection)?;
    let guarded = service.map_request(|request: http::Request<AxumBody>| request.map(Body::new));
    let router = AxumRouter::new().fallback_service(guarded);
    let mut builder = RoutesBuilder::from(router);
    builder.add_service(health).add_service(reflection);
    Ok(builder.routes())
}
