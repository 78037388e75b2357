//! `DIR/admin.sock`: how `beem admin` reaches an embedded installation. Whoever may open the socket (mode 0600) acts as
//! `admin`: each gRPC call is passed on over a link of that identity, and the services' guards judge it like any other.

use beem_link::Link;
use beem_proto::Contract;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::{AxumBody, AxumRouter, Routes};
use tonic::transport::{Channel, Endpoint, Server};
use tower::{Service, service_fn};

/// Serves the socket until cancelled. A stale socket of a process that is gone is replaced: the caller holds the data
/// directory's lock.
///
/// # Errors
/// When the socket cannot be made.
pub async fn serve(
    path: &Path,
    contract: Contract,
    links: BTreeMap<String, Link>,
    cancel: CancellationToken,
) -> std::io::Result<()> {
    let draft = path.with_extension("sock.new");
    for old in [&draft, path] {
        if let Err(error) = std::fs::remove_file(old)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error);
        }
    }
    // Made under another name, closed to others, and only then put where it is looked for.
    let listener = UnixListener::bind(&draft)?;
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&draft, path)?;
    let pass_on = service_fn(move |request: http::Request<AxumBody>| {
        let owner = contract.method(request.uri().path()).map(|m| m.owner.as_str());
        let link = owner.and_then(|owner| links.get(owner)).cloned();
        async move {
            Ok::<_, Infallible>(match link {
                Some(mut link) => {
                    link.call(request.map(Body::new)).await.unwrap_or_else(|never| match never {})
                }
                None => Status::unimplemented("no such method here").into_http(),
            })
        }
    });
    let served = Server::builder()
        .add_routes(Routes::from(AxumRouter::new().fallback_service(pass_on)))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), cancel.cancelled_owned())
        .await;
    let _ = std::fs::remove_file(path);
    served.map_err(std::io::Error::other)
}

/// A channel to the socket.
///
/// # Errors
/// When nobody serves it.
pub async fn connect(path: &Path) -> Result<Channel, tonic::transport::Error> {
    let path = path.to_owned();
    // The address is never dialled: the connector opens the socket.
    Endpoint::from_static("http://admin.sock")
        .connect_with_connector(service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
        }))
        .await
}
